package tokenizer_test

import (
	"fmt"
	"log"
	"strings"

	"keyhole.example/keyhole/lm/tokenizer"
)

// The last token of a subject is the one whose span ends where the subject
// ends.
func ExampleTokenizer_EncodeOffsets() {
	tok, err := tokenizer.Train([]string{"Paris is the capital of France. Paris, France."}, 270, nil)
	if err != nil {
		log.Fatal(err)
	}
	const text, subject = "The capital of France", "France"
	end := strings.Index(text, subject) + len(subject)
	ids, spans := tok.EncodeOffsets(text)
	for i, s := range spans {
		if s[0] < end && end <= s[1] {
			fmt.Printf("token %d of %d: %q\n", i, len(ids), text[s[0]:s[1]])
		}
	}
	// Output: token 14 of 15: " France"
}
