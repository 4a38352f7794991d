package tokenizer

import (
	"fmt"
	"slices"
	"strings"
)

// preTokenizer is what a value of tokenizer.ggml.pre stands for. The names and
// expressions are llama.cpp's (llama-vocab.cpp), the parts those of the
// original tokenizers.
type preTokenizer struct {
	names      []string
	parts      []string // components of the pre-tokenizer, in order
	nfc        bool
	wholeWords bool // a word that is a token is not cut by merges
	addBOS     bool // where the file does not say

	// markers are tokens that only this family has; a vocabulary with all of
	// one set is taken for it.
	markers [][]string
}

// preTokenizers lists them; where markers of several fit, the first counts.
func preTokenizers() []preTokenizer {
	by := func(patterns ...string) []string {
		parts := make([]string, 0, len(patterns)+1)
		for _, p := range patterns {
			parts = append(parts, splitRegex(p))
		}
		return append(parts, partByteLetters)
	}
	return []preTokenizer{
		{names: []string{"deepseek-r1-qwen"}, parts: by(patternQwen2), nfc: true,
			markers: [][]string{{"<｜begin▁of▁sentence｜>", "<|vision_start|>"}}},
		{names: []string{"deepseek-v3"}, parts: by(patternNumbers3, patternKana, patternDeepSeek3),
			markers: [][]string{{"<｜begin▁of▁sentence｜>", "<｜User｜>"}}},
		{names: []string{"deepseek-coder"}, parts: by(patternBreak, `\s?\p{L}+`, `\s?\p{P}+`, patternHan, patternNumber),
			markers: [][]string{{"<｜begin▁of▁sentence｜>", "<｜fim▁begin｜>", "<|EOT|>"}}},
		{names: []string{"deepseek-llm"}, parts: by(patternBreak, patternCased,
			`\s?[!-/:-~！-／：-～‘-‟　-。]+`, `\s+$`, patternHan, patternNumber),
			markers: [][]string{{"<｜begin▁of▁sentence｜>"}}},
		{names: []string{"llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral"}, parts: by(patternLlama3), wholeWords: true, addBOS: true,
			markers: [][]string{{"<|begin_of_text|>"}}},
		{names: []string{"tekken"}, parts: by(patternTekken), wholeWords: true, addBOS: true,
			markers: [][]string{{"[INST]", "[AVAILABLE_TOOLS]"}}},
		{names: []string{"gpt-4o"}, parts: by(patternO200K),
			markers: [][]string{{"<|start|>", "<|channel|>", "<|message|>"}, {"<|endofprompt|>"}}},
		{names: []string{"smaug-bpe", "dbrx"}, parts: by(patternLlama3),
			markers: [][]string{{"<|im_sep|>"}, {"|||IP_ADDRESS|||"}}},
		{names: []string{"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"},
			parts:   []string{partDigits, partByteLevel},
			markers: [][]string{{"<gh_stars>"}, {"<|START_OF_TURN_TOKEN|>"}}},
		{names: []string{"stablelm2"}, parts: by(patternQwen2),
			markers: [][]string{{"<|reg_extra|>"}}},
		{names: []string{"qwen2", "megrez"}, parts: by(patternQwen2), nfc: true,
			markers: [][]string{{"<|endoftext|>", "<|im_start|>"}}},
		{names: []string{"gpt-2", "gpt2", "phi-2", "olmo", "jais", "mpt", "roberta-bpe"}, parts: []string{partByteLevel},
			markers: [][]string{{}}}, // of all that is left
	}
}

// preTokenizer finds what the user, the file or the vocabulary says.
func (r *ggufReader) preTokenizer(vocab map[string]int32) (preTokenizer, error) {
	all := preTokenizers()
	named := func(name, where string) (preTokenizer, error) {
		var known []string
		for _, p := range all {
			if slices.Contains(p.names, name) {
				return p, nil
			}
			known = append(known, p.names...)
		}
		slices.Sort(known)
		return preTokenizer{}, fmt.Errorf("%s %q is not supported (known are %s, and default)", where, name, strings.Join(known, ", "))
	}
	if r.pre != "" && r.pre != "default" {
		return named(r.pre, "pre-tokenizer")
	}
	const key = "tokenizer.ggml.pre"
	found := "is missing"
	if v, ok := r.meta.Get(key); ok {
		name, ok := v.(string)
		if !ok {
			return preTokenizer{}, fmt.Errorf("%s is a %T, want a string", key, v)
		}
		if name != "default" && r.pre == "" {
			return named(name, key)
		}
		found = `is "default"`
	}
	has := func(token string) bool { _, ok := vocab[token]; return ok }
	for _, p := range all {
		for _, set := range p.markers {
			if slices.ContainsFunc(set, func(token string) bool { return !has(token) }) {
				continue
			}
			why := "no family is recognised by its tokens"
			if len(set) > 0 {
				why = "for the vocabulary has " + strings.Join(set, ", ")
			}
			r.notes = append(r.notes, fmt.Sprintf("%s %s: taken as %q, %s; --pre NAME sets another", key, found, p.names[0], why))
			return p, nil
		}
	}
	panic("tokenizer: the last pre-tokenizer has no markers and fits all")
}
