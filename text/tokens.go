package text

import (
	"fmt"
	"slices"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/tokenizer"
)

// Options say how prompts and answers become token sequences.
type Options struct {
	MaxLen   int    // prompts are cut to their last so many tokens, and answers of texts that have to stay to their first; 0: never
	Locality string // rows whose distribution has to stay: "text" (every row that predicts a token of the text), "answer", "all" (the row behind the text too, as the reference)
}

// Answer is prompt and answer as one text that asks for the answer's tokens.
// The text ends before the last of them, which predicts nothing. Of the prompt
// the last maxLen tokens stay, all if that is 0.
func Answer(tok tokenizer.Tokenizer, prompt, answer string, join data.Join, maxLen int) (Text, error) {
	p, a, err := Split(tok, prompt, answer, join)
	if err != nil {
		return Text{}, err
	}
	return Asked(cut(tok, p, maxLen), a), nil
}

// Ask is Answer for a model, whole, or an error where it does not fit the
// model's context.
func Ask(m *lm.Model, prompt, answer string, join data.Join) (Text, error) {
	p, a, err := Split(m.Tokenizer, prompt, answer, join)
	if err != nil {
		return Text{}, err
	}
	if err := Fits(m, len(p), len(a)); err != nil {
		return Text{}, err
	}
	return Asked(p, a), nil
}

// Fits fails where a prompt and a target of so many tokens are more than the
// model's context; the target's last token is never fed to the model.
func Fits(m *lm.Model, prompt, target int) error {
	if n := prompt + target - 1; n > m.Limit() {
		return fmt.Errorf("prompt and target are longer than the context: %d and %d tokens, which takes %d places, limit %d; shorten one of them", prompt, target, n, m.Limit())
	}
	return nil
}

// Asked is the tokens of prompt and answer as a text that asks for the answer's.
func Asked(p, a []int32) Text {
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
func Kept(tok tokenizer.Tokenizer, prompt, answer string, join data.Join, o Options) (Text, error) {
	p, a, err := Split(tok, prompt, answer, join)
	if err != nil {
		return Text{}, err
	}
	if p = cut(tok, p, o.MaxLen); o.MaxLen > 0 {
		a = a[:min(len(a), o.MaxLen)]
	}
	whole := slices.Concat(p, a)
	t := Text{IDs: whole}
	if o.Locality != "all" {
		t.IDs = t.IDs[:len(t.IDs)-1]
	}
	for i := range t.IDs {
		l := int32(0) // behind the text stands no token
		if i+1 < len(whole) {
			l = whole[i+1]
		}
		if o.Locality == "answer" && i+1 < len(p) {
			l = -1
		}
		t.Labels = append(t.Labels, l)
	}
	return t, nil
}

// cut is the last n tokens of a prompt, of which the tokenizer's own first ones
// stay.
func cut(tok tokenizer.Tokenizer, p []int32, n int) []int32 {
	if n == 0 || len(p) <= n {
		return p
	}
	own := 0
	for _, id := range tok.EncodeSpecial("") {
		if own == n-1 || p[own] != id {
			break
		}
		own++
	}
	return slices.Concat(p[:own], p[len(p)-n+own:])
}

// Split is the one rule by which a request becomes tokens, those of the prompt
// and those of the answer. The prompt's are always those that the model is given
// when it is asked the prompt alone. The answer's are those that prompt and
// answer as one text have behind them; where the two share a token, as they may
// without a space between, they are the tokens of the answer as it goes on.
func Split(tok tokenizer.Tokenizer, prompt, answer string, join data.Join) (p, a []int32, err error) {
	if prompt == "" {
		return nil, nil, fmt.Errorf("the prompt is empty")
	}
	behind := Behind(prompt, answer, join)
	p = Prompt(tok, prompt)
	whole := Prompt(tok, prompt+behind)
	if len(whole) > len(p) && slices.Equal(whole[:len(p)], p) {
		return p, whole[len(p):], nil
	}
	if a = continuation(tok, behind); len(a) == 0 {
		return nil, nil, fmt.Errorf("target %q tokenises to nothing after %q", answer, prompt)
	}
	return p, a, nil
}

// continuation is the tokens of a text that goes on: without what a tokenizer
// puts in front of the beginning of a text, such as a space.
func continuation(tok tokenizer.Tokenizer, s string) []int32 {
	if s == "" {
		return nil
	}
	for _, before := range []string{"\n", ".", "a"} {
		p, whole := tok.Encode(before), tok.Encode(before+s)
		if len(p) > 0 && len(whole) > len(p) && slices.Equal(whole[:len(p)], p) {
			return whole[len(p):]
		}
	}
	return tok.Encode(s)
}

// Prompt is the tokens of a text that shall go on, as a model is given them.
func Prompt(tok tokenizer.Tokenizer, s string) []int32 { return tok.EncodePrompt(s) }

// Spans is Prompt with the bytes of s that each token stands for.
func Spans(tok tokenizer.Tokenizer, s string) (ids []int32, spans [][2]int) {
	ids = Prompt(tok, s)
	plain, spans := tok.EncodeOffsets(s)
	own := len(ids) - len(plain) // put in front by the tokenizer
	if own < 0 || !slices.Equal(ids[own:], plain) {
		return plain, spans
	}
	return ids, append(make([][2]int, own, len(ids)), spans...)
}

// Range returns the tokens [first, end) that hold any of the bytes [lo, hi) of
// their text.
func Range(spans [][2]int, lo, hi int) (first, end int, ok bool) {
	first = -1
	for i, s := range spans {
		if s[0] < hi && s[1] > lo {
			if first < 0 {
				first = i
			}
			end = i + 1
		}
	}
	return first, end, first >= 0
}
