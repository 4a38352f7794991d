package console

import (
	"strings"
	"testing"
)

func TestFold(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"short\n", 10, "short\n"},
		{"one two three four\nnext\n", 9, "one two\nthree\nfour\nnext\n"},
		{"  - one two three four", 12, "  - one two\n    three\n    four"},
		{"load       32.7 processes in the last minute", 40, "load       32.7 processes in the last\n           minute"},
		{"there is a network: keyhole pull gpt2. Without, copy it\n", 20, "there is a network:\nkeyhole pull gpt2.\nWithout, copy it\n"},
		{`next: keyhole edit --prompt "a, b" --target c, or more`, 20, "next:\nkeyhole edit --prompt \"a, b\" --target c,\nor more"},
		{"unbreakablewordthatistoolong yes", 10, "unbreakablewordthatistoolong\nyes"},
		{"東京は日本の 首都です。\n", 14, "東京は日本の\n首都です。\n"},
	} {
		if got := fold(c.text, c.width); got != c.want {
			t.Errorf("%q in %d columns: %q, not %q", c.text, c.width, got, c.want)
		}
	}
	text := "validation at step 20: loss 0.6704  edit_acc 0.200  stability 0.983  loc 1.77e-01  best\n"
	for width := 40; width <= 200; width++ {
		got := fold(text, width)
		if strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(text), " ") {
			t.Fatalf("%d columns: words are lost: %q", width, got)
		}
		for line := range strings.Lines(got) {
			if n := lineWidth(strings.TrimSuffix(line, "\n")); n > width {
				t.Fatalf("%d columns: a line of %d", width, n)
			}
		}
	}
}
