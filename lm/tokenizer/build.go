package tokenizer

import (
	"encoding/json"
	"fmt"
)

// Components of the tokenizers that this package writes.
const (
	partByteLevel       = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}`
	partByteLevelPrefix = `{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}`
	partByteLetters     = `{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}`
	partDigits          = `{"type":"Digits","individual_digits":true}`
	partNFC             = `{"type":"NFC"}`

	// SentencePiece spells spaces as U+2581 and begins each text with one.
	partSpaces        = `{"type":"Replace","pattern":{"String":" "},"content":"▁"}`
	partPrefixSpaces  = `{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},` + partSpaces + `]}`
	partFromSpaces    = `{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"}`
	partDecode        = `{"type":"Sequence","decoders":[` + partFromSpaces + `]}`
	partDecodeStarted = `{"type":"Sequence","decoders":[` + partFromSpaces + `,{"type":"Strip","content":" ","start":1,"stop":0}]}`
)

// sequence joins parts to one pre-tokenizer.
func sequence(parts ...string) json.RawMessage {
	list := make([]json.RawMessage, len(parts))
	for i, p := range parts {
		list[i] = json.RawMessage(p)
	}
	return must(marshal(map[string]any{"type": "Sequence", "pretokenizers": list}))
}

// splitRegex is the pre-tokenizer that isolates matches of a pattern.
func splitRegex(pattern string) string {
	return string(must(marshal(map[string]any{
		"type": "Split", "pattern": map[string]string{"Regex": pattern}, "behavior": "Isolated", "invert": false,
	})))
}

// template is the post-processor that puts tokens around a text; the empty
// name stands for none. Without any it is null.
func template(ids map[string]int32, before, after string) json.RawMessage {
	type m = map[string]any
	specials, single, double := m{}, []m{}, []m{}
	add := func(list *[]m, token string, kind int) {
		if token == "" {
			return
		}
		*list = append(*list, m{"SpecialToken": m{"id": token, "type_id": kind}})
		specials[token] = m{"id": token, "ids": []int32{ids[token]}, "tokens": []string{token}}
	}
	text := func(list *[]m, name string, kind int) {
		add(list, before, kind)
		*list = append(*list, m{"Sequence": m{"id": name, "type_id": kind}})
		add(list, after, kind)
	}
	text(&single, "A", 0)
	if len(specials) == 0 {
		return nil
	}
	text(&double, "A", 0)
	text(&double, "B", 1)
	return must(marshal(m{"type": "TemplateProcessing", "single": single, "pair": double, "special_tokens": specials}))
}

// must passes on JSON made of strings and numbers, which cannot fail.
func must(data []byte, err error) json.RawMessage {
	if err != nil {
		panic("tokenizer: " + err.Error())
	}
	return data
}

// construct builds the tokenizer of a spec made here rather than read.
func construct(s spec, m modelSpec, st settings, more map[string][]byte) (*pipeline, error) {
	s.Version = "1.0"
	if s.AddedTokens == nil {
		s.AddedTokens = []addedToken{}
	}
	p, err := s.build(m)
	if err != nil {
		return nil, err
	}
	if s.Model, err = marshal(m); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	data, err := marshal(s)
	if err != nil {
		return nil, err
	}
	p.setEnds(st)
	return p, p.describe(data, more)
}

// note keeps an assumption for Notes.
func (p *pipeline) note(format string, args ...any) {
	p.notes = append(p.notes, fmt.Sprintf(format, args...))
}

// setEnds finds the start and end tokens by the names in st; what st leaves
// open is found by usual names.
func (p *pipeline) setEnds(st settings) {
	p.guessEnds()
	for _, end := range []struct {
		name *tokenName
		id   *int32
	}{{st.BOS, &p.bos}, {st.EOS, &p.eos}} {
		if end.name == nil {
			continue
		}
		*end.id = -1
		if id, ok := p.ID(string(*end.name)); ok && *end.name != "" {
			*end.id = id
		}
	}
}

// guessEnds finds the start and end tokens by their usual names.
func (p *pipeline) guessEnds() {
	find := func(names ...string) int32 {
		for _, name := range names {
			if id, ok := p.extra[name]; ok {
				return id
			}
		}
		return -1
	}
	p.bos = find("<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>", "<|endoftext|>")
	p.eos = find("</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>")
}

// describe sets the files: data as tokenizer.json, those in more, and a
// tokenizer_config.json if more has none.
func (p *pipeline) describe(data []byte, more map[string][]byte) error {
	p.files = map[string][]byte{fileJSON: data}
	for name, content := range more {
		p.files[name] = content
	}
	if p.files[fileConfig] != nil {
		return nil
	}
	config, err := p.config(nil)
	if err != nil {
		return err
	}
	p.files[fileConfig] = config
	return nil
}

// config writes a tokenizer_config.json with the fields in more besides.
func (p *pipeline) config(more map[string]any) ([]byte, error) {
	c := map[string]any{
		"tokenizer_class":              "PreTrainedTokenizerFast",
		"clean_up_tokenization_spaces": p.Kind() == "WordPiece",
	}
	if id, ok := p.BOS(); ok {
		c["bos_token"] = p.tokens[id]
	}
	if id, ok := p.EOS(); ok {
		c["eos_token"] = p.tokens[id]
	}
	for key, value := range more {
		c[key] = value
	}
	data, err := marshal(c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fileConfig, err)
	}
	return append(data, '\n'), nil
}
