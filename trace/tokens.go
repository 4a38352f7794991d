package trace

import (
	"fmt"
	"slices"
	"strings"

	"keyhole.example/keyhole/lm/tokenizer"
)

// Encode is the tokens of text as a model is given them, with the tokens that
// the tokenizer puts in front, and the bytes of text that each stands for.
// Tokens put behind a text are left out: the text shall go on.
func Encode(tok tokenizer.Tokenizer, text string) (ids []int32, spans [][2]int) {
	plain, spans := tok.EncodeOffsets(text)
	whole := tok.EncodeSpecial(text)
	for k := 0; k+len(plain) <= len(whole); k++ {
		if slices.Equal(whole[k:k+len(plain)], plain) {
			return whole[:k+len(plain)], append(make([][2]int, k, k+len(spans)), spans...)
		}
	}
	return plain, spans
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

// Find returns where subject stands in prompt, in bytes. It must stand there
// exactly once.
func Find(prompt, subject string) (lo, hi int, err error) {
	subject = strings.TrimSpace(subject)
	switch n := strings.Count(prompt, subject); {
	case subject == "":
		return 0, 0, fmt.Errorf("the subject is empty; name the words of the prompt %q that the fact is about", prompt)
	case n == 0:
		return 0, 0, fmt.Errorf("subject %q does not stand in the prompt %q; spell it as it stands there", subject, prompt)
	case n > 1:
		return 0, 0, fmt.Errorf("subject %q stands %d times in the prompt %q; rephrase the prompt so that it stands once", subject, n, prompt)
	}
	lo = strings.Index(prompt, subject)
	return lo, lo + len(subject), nil
}
