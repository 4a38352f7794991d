package text

import (
	"fmt"
	"slices"
	"strings"

	"keyhole.example/keyhole/lm/tokenizer"
	"keyhole.example/keyhole/nn"
)

// Subject is the tokens of prompt, as a model is given it, that hold the first
// place of subject.
func Subject(tok tokenizer.Tokenizer, prompt, subject string) (nn.Range, error) {
	subject = strings.TrimSpace(subject)
	lo := strings.Index(prompt, subject)
	switch {
	case subject == "":
		return nn.Range{}, fmt.Errorf("it has no subject; name the words of the prompt %q that the fact is about", prompt)
	case lo < 0:
		return nn.Range{}, fmt.Errorf("the subject %q does not stand in the prompt %q; spell it as it stands there", subject, prompt)
	}
	ids, spans := tok.EncodeOffsets(prompt)
	whole := tok.EncodeSpecial(prompt)
	front := 0
	for front+len(ids) < len(whole) && !slices.Equal(whole[front:front+len(ids)], ids) {
		front++ // tokens that the tokenizer puts before a text
	}
	r := nn.Range{Lo: -1}
	for i, s := range spans {
		if s[0] < lo+len(subject) && s[1] > lo {
			if r.Lo < 0 {
				r.Lo = front + i
			}
			r.Hi = front + i + 1
		}
	}
	if r.Lo < 0 {
		return nn.Range{}, fmt.Errorf("the subject %q has no tokens of its own in the prompt %q", subject, prompt)
	}
	return r, nil
}
