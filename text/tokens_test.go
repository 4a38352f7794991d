package text

import (
	"reflect"
	"strings"
	"testing"

	"keyhole.example/keyhole/lm/tokenizer"
)

func TestWholeRefusesWhatAnswerCuts(t *testing.T) {
	tok, err := tokenizer.Train([]string{"a b c d e f"}, 270, nil)
	if err != nil {
		t.Fatal(err)
	}
	const long = "a b c d e f a b c d e f"
	for _, c := range []struct {
		prompt, answer string
		maxLen         int
	}{{"a b", "c d", 0}, {long, "c d", 5}, {"a b", long, 0}} {
		o := Options{MaxLen: c.maxLen}
		want, err := Answer(tok, c.prompt, c.answer, o)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Whole(tok, c.prompt, c.answer, o); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q %q at %d: got %v (%v), want %v", c.prompt, c.answer, c.maxLen, got, err, want)
		}
	}
	cut, err := Answer(tok, "a b", long, Options{MaxLen: 5})
	if n := cut.Wanted(); err != nil || n != 5 {
		t.Errorf("Answer keeps %d tokens (%v), want 5", n, err)
	}
	if _, err := Whole(tok, "a b", long, Options{MaxLen: 5}); err == nil || !strings.Contains(err.Error(), "cut at 5 (data.max_len)") {
		t.Errorf("a target that would be cut: %v", err)
	}
}
