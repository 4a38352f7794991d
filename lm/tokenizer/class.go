package tokenizer

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
)

// tokenizerClass is a class of transformers that, when it loads a
// tokenizer.json, replaces its template by one made of add_bos_token and
// add_eos_token. All other classes leave the template as it is and ignore the
// two settings (transformers 4.57, update_post_processor in *_fast.py; 4.36 does
// the same, but knows no such class for GPT-NeoX).
type tokenizerClass struct {
	bos, eos, unknown string // its tokens where the files name none
	addBOS            bool   // where add_bos_token is not set; add_eos_token is false then
}

// replacing finds such a class by its name in tokenizer_config.json.
func replacing(class string) (tokenizerClass, bool) {
	switch strings.TrimSuffix(class, "Fast") {
	case "LlamaTokenizer", "CodeLlamaTokenizer":
		return tokenizerClass{"<s>", "</s>", "<unk>", true}, true
	case "GPTNeoXTokenizer":
		return tokenizerClass{"<|endoftext|>", "<|endoftext|>", "<|endoftext|>", false}, true
	case "GemmaTokenizer":
		return tokenizerClass{"<bos>", "<eos>", "<unk>", true}, true
	case "CohereTokenizer":
		return tokenizerClass{"<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>", "<UNK>", true}, true
	}
	return tokenizerClass{}, false
}

// classOfModel is the class that transformers takes for a model whose
// tokenizer_config.json names none: config.json's own, or its family's.
func classOfModel(dir string) string {
	data, err := readFile(filepath.Join(dir, fileModel))
	if err != nil {
		return ""
	}
	var c struct {
		Class string `json:"tokenizer_class"`
		Type  string `json:"model_type"`
	}
	if json.Unmarshal(data, &c) != nil { // who reads the config says what is wrong with it
		return ""
	}
	if c.Class != "" {
		return c.Class
	}
	switch c.Type {
	case "llama", "mistral", "mixtral", "phi3":
		return "LlamaTokenizerFast"
	case "gemma", "gemma2", "gemma3", "gemma3_text":
		return "GemmaTokenizerFast"
	case "cohere":
		return "CohereTokenizerFast"
	}
	return ""
}

// around names what the class in st puts around a text, "" for nothing; ok is
// false for a class that leaves it to the template.
func (st *settings) around() (before, after string, ok bool) {
	class, ok := replacing(st.Class)
	if !ok {
		return "", "", false
	}
	name := func(add bool, token *tokenName, usual string) string {
		switch {
		case !add:
			return ""
		case token != nil:
			return string(*token)
		}
		return usual
	}
	return name(or(st.AddBOS, class.addBOS), st.BOS, class.bos), name(or(st.AddEOS, false), st.EOS, class.eos), true
}

// missing lists those of them that the vocabulary lacks; transformers gives
// them the next ids.
func (st *settings) missing(known func(string) bool) []string {
	var out []string
	before, after, _ := st.around()
	for _, name := range []string{before, after} {
		if name != "" && !known(name) && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// applyClass sets what is put around a text as the class in st does.
func (p *pipeline) applyClass(st settings) {
	before, after, ok := st.around()
	if !ok {
		return
	}
	p.prefix, p.suffix = nil, nil
	if id, ok := p.ID(before); ok && before != "" {
		p.prefix = []int32{id}
	}
	if id, ok := p.ID(after); ok && after != "" {
		p.suffix = []int32{id}
	}
}
