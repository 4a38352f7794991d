package text

import (
	"fmt"
	"slices"

	"keyhole.example/keyhole/lm/tokenizer"
)

// Options say how records become token sequences.
type Options struct {
	MaxLen   int    // prompts and answers are cut at this many tokens each; 0: never
	Locality string // rows whose distribution has to stay: "text" (every row that predicts a token of the text), "answer", "all" (the row behind the text too, as the reference)
}

// Answer is prompt and answer as one text that asks for the answer's tokens.
// The text ends before the last of them, which predicts nothing.
func Answer(tok tokenizer.Tokenizer, prompt, answer string, o Options) (Text, error) {
	p, a, err := split(tok, prompt, answer, o.MaxLen)
	if err != nil {
		return Text{}, err
	}
	return asked(p, a), nil
}

// Whole is Answer with an error where o would cut the answer: what is made true
// must not be half of it.
func Whole(tok tokenizer.Tokenizer, prompt, answer string, o Options) (Text, error) {
	p, a, err := split(tok, prompt, answer, 0)
	switch {
	case err != nil:
		return Text{}, err
	case o.MaxLen == 0:
		return asked(p, a), nil
	case len(a) > o.MaxLen:
		return Text{}, fmt.Errorf("the target has %d tokens, but the editor was trained to cut at %d (data.max_len); shorten it, or train with a larger data.max_len", len(a), o.MaxLen)
	}
	return asked(p[:min(len(p), o.MaxLen)], a), nil
}

// asked is the tokens of prompt and answer as a text that asks for the answer's.
func asked(p, a []int32) Text {
	t := Text{IDs: append(slices.Clone(p), a[:len(a)-1]...)}
	for i := range t.IDs {
		l := int32(-1)
		if j := i + 1 - len(p); j >= 0 {
			l = a[j]
		}
		t.Labels = append(t.Labels, l)
	}
	return t
}

// Kept is prompt and answer as a text whose distributions have to stay.
func Kept(tok tokenizer.Tokenizer, prompt, answer string, o Options) (Text, error) {
	p, a, err := split(tok, prompt, answer, o.MaxLen)
	if err != nil {
		return Text{}, err
	}
	t := Text{IDs: append(slices.Clone(p), a...)}
	if o.Locality != "all" {
		t.IDs = t.IDs[:len(t.IDs)-1]
	}
	for i := range t.IDs {
		l := int32(0)
		if o.Locality == "answer" && i+1 < len(p) {
			l = -1
		}
		t.Labels = append(t.Labels, l)
	}
	return t, nil
}

// split tokenises prompt + " " + answer and cuts it where the prompt ends. The
// answer's tokens are those of the joint text behind the prompt's own.
func split(tok tokenizer.Tokenizer, prompt, answer string, maxLen int) (p, a []int32, err error) {
	if prompt == "" {
		return nil, nil, fmt.Errorf("the prompt is empty")
	}
	p = tok.EncodeSpecial(prompt)
	full := tok.EncodeSpecial(prompt + " " + answer)
	if len(full) <= len(p) {
		return nil, nil, fmt.Errorf("target %q tokenises to nothing after %q", answer, prompt)
	}
	a = full[len(p):]
	if maxLen > 0 {
		p, a = p[:min(len(p), maxLen)], a[:min(len(a), maxLen)]
	}
	return p, a, nil
}
