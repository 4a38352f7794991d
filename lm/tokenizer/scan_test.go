package tokenizer

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

func pieces(split splitter, text string) []string {
	var out []string
	for _, a := range split(nil, aligned{s: text, first: true}, false) {
		out = append(out, a.s)
	}
	return out
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct{ pattern, text, want string }{
		{patternGPT2, "I'm HE'S 'sabc", "I|'m| HE|'|S| '|sabc"},
		{patternGPT2, "a  b   ", "a| | b|   "},
		{patternGPT2, "a\n\nb \n c", "a|\n|\n|b| \n| c"},
		{patternGPT2, "x123 45!? .", "x|123| 45|!?| ."},
		{patternGPT2, "a\u00a0b\u200bc", "a|\u00a0|b|\u200b|c"},
		{patternQwen2, "HE'S I'LL x'ſ", "HE|'S| I|'LL| x|'ſ"},
		{patternQwen2, "(a) \tb 12", "(a|)| |\tb| |1|2"},
		{patternQwen2, "x!\n\n y", "x|!\n\n| y"},
		{patternQwen2, "a  \n \n  b", "a|  \n \n| | b"},
		{patternLlama3, "12345 678", "123|45| |678"},
		{patternCL100K, "we'Ve 1234\r\n", "we|'Ve| |123|4|\r\n"},
		{patternNumber, "a12b", "a|1|2|b"},
		{patternNumbers, "a12b½", "a|12|b|½"},
		{patternNumbers3, "1234", "123|4"},
	} {
		next, err := scannerOf(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(pieces(splitBy(next), c.text), "|"); got != c.want {
			t.Errorf("%.12q… cuts %q into %q, want %q", c.pattern, c.text, got, c.want)
		}
	}
}

func TestSplitters(t *testing.T) {
	for _, c := range []struct {
		name  string
		split splitter
		text  string
		want  []string
	}{
		{"delimiter apart", splitString("-", "Isolated"), "-a--b", []string{"-", "a", "-", "-", "b"}},
		{"delimiter with what precedes", splitString("-", "MergedWithPrevious"), "-a--b", []string{"-", "a-", "-", "b"}},
		{"delimiter with what follows", splitString("-", "MergedWithNext"), "-a--b", []string{"-a", "-", "-b"}},
		{"Bert", splitBert, "it's\u3000 no.", []string{"it", "'", "s", "no", "."}},
		{"marks before words", metaspace("▁", "always", true), "a  b", []string{"▁a", "▁", "▁b"}},
		{"space added", spaceBefore(), "a", []string{" a"}},
		{"space there", spaceBefore(), " a", []string{" a"}},
	} {
		if got := pieces(c.split, c.text); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q gives %q, want %q", c.name, c.text, got, c.want)
		}
	}
}

func TestUnicodeFormAgreesWithPackageNorm(t *testing.T) {
	texts := []string{"e\u0301\u0302", "a\u0323\u0301", "\u1112\u1161\u11ab", "Å Å", "ﬁ½", "가\u11a8", "\u0301", "\u0958", "q\u0307\u0323"}
	for _, form := range []norm.Form{norm.NFC, norm.NFD, norm.NFKC, norm.NFKD} {
		for _, text := range texts {
			if got := unicodeForm(form)(aligned{s: text}, true); got.s != form.String(text) {
				t.Errorf("form %d of %+q is %+q, want %+q", form, text, got.s, form.String(text))
			}
		}
	}
}

// TestUnicodeFormAddsNothing: package norm would put a joiner after thirty
// marks.
func TestUnicodeFormAddsNothing(t *testing.T) {
	text := "a" + strings.Repeat("\u0302", 40)
	got := unicodeForm(norm.NFC)(aligned{s: text}, false).s
	if want := "â" + strings.Repeat("\u0302", 39); got != want {
		t.Errorf("got %+q", got)
	}
	broken := "e\u0301\xff\u0301"
	if got := unicodeForm(norm.NFC)(aligned{s: broken}, false).s; got != "é\xff\u0301" {
		t.Errorf("with a byte that is not UTF-8: %+q", got)
	}
}

func TestByteLettersAreReversible(t *testing.T) {
	seen := map[rune]bool{}
	for b := range 256 {
		r := byteLetter(byte(b))
		if back, ok := letterByte(r); !ok || int(back) != b || seen[r] {
			t.Errorf("byte %#x has the letter %q, which means %#x (%t)", b, r, back, ok)
		}
		seen[r] = true
	}
	for _, r := range []rune{' ', 0x7f, 0xad, 0x144, '中'} {
		if b, ok := letterByte(r); ok {
			t.Errorf("%q is taken for byte %#x", r, b)
		}
	}
}

// TestValidUTF8 has the examples of the Unicode Standard, table 3-8 and those
// before it.
func TestValidUTF8(t *testing.T) {
	for _, c := range []struct {
		in      string
		replace int
		end     string
	}{
		{"abc", 0, "abc"},
		{"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82A", 8, "A"},
		{"\xed\xa0\x80\xed\xbf\xbf\xed\xafA", 8, "A"},
		{"\xf4\x91\x92\x93\xff", 5, ""},
		{"\xe1\x80\xe2\xf0\x91\x92\xf1\xbfA", 4, "A"},
		{"\xe2\x82", 1, ""},
		{"\xf0\x9f\x99é", 1, "é"},
	} {
		if got, want := validUTF8([]byte(c.in)), strings.Repeat("\ufffd", c.replace)+c.end; got != want {
			t.Errorf("%+q gives %+q, want %+q", c.in, got, want)
		}
	}
}
