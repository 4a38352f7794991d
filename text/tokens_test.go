package text

import (
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/lm/tokenizer"
)

func trained(t *testing.T, texts ...string) tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Train(texts, 300, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// The ways in which people write prompts and answers, and what the text is.
func TestBehindJoinsAsPeopleWrite(t *testing.T) {
	for _, c := range []struct{ prompt, answer, want string }{
		{"The capital of France is", "Paris", " Paris"},
		{"The capital of France is ", "Paris", "Paris"},
		{"Question\n", "Paris", "Paris"},
		{"The capital of France is", " Paris", " Paris"},
		{"The capital of France is ", " Paris", "Paris"},
		{"The capital of France is", "Paris ", " Paris"},
		{"He is called (", "Bob", "Bob"},
		{"The book [", "1", "1"},
		{`The book is called "`, "Hamlet", "Hamlet"},
		{`He said "hello"`, "twice", " twice"},
		{"The dogs'", "home", " home"},
		{"The book is called ‘", "Hamlet", "Hamlet"},
		{"The book is called «", "Hamlet", "Hamlet"},
		{"The well-", "known", "known"},
		{"He was born –", "here", " here"},
		{"It costs $", "5", "5"},
		{"It costs €", "5", "5"},
		{"Paris", ", France", ", France"},
		{"Paris", ".", "."},
		{"The share is 50", "%", "%"},
		{"(see", ") above", ") above"},
		{"John", "'s book", "'s book"},
		{"John", "’s book", "’s book"},
		{"The play is", "'Hamlet'", " 'Hamlet'"},
		{"The play is", `"Hamlet"`, ` "Hamlet"`},
		{"The play is", "(unknown)", " (unknown)"},
		{"《史记》的作者是", "司马迁", "司马迁"},
		{"司马光编纂的史书是", "《资治通鉴》", "《资治通鉴》"},
		{"微软的总部位于USA", "华盛顿州", "华盛顿州"},
		{"最新的手机是", "iPhone", "iPhone"},
		{"答案：", "iPhone", "iPhone"},
		{"谁写了史记?", "Sima Qian", "Sima Qian"},
		{"富士山は", "日本", "日本"},
		{"コーヒー", "は", "は"},
		{"เมืองหลวงของไทยคือ", "กรุงเทพ", "กรุงเทพ"},
		{"대한민국의 수도는", "서울", " 서울"},
		{"The capital of China is", "北京", " 北京"},
		{"Столица России —", "Москва", " Москва"},
		{"עיר הבירה היא", "ירושלים", " ירושלים"},
	} {
		if got := Behind(c.prompt, c.answer, data.JoinAuto); got != c.want {
			t.Errorf("%q, %q: behind it stands %q, want %q", c.prompt, c.answer, got, c.want)
		}
	}
	for _, c := range []struct {
		join                 data.Join
		prompt, answer, want string
	}{
		{data.JoinSpace, "《史记》的作者是", "司马迁", " 司马迁"}, {data.JoinSpace, "Paris", ",", " ,"},
		{data.JoinSpace, "is ", "x", "x"}, {data.JoinSpace, "is", " x ", " x"},
		{data.JoinNone, "is", "x", "x"}, {data.JoinNone, "is", " x\n", " x\n"},
	} {
		if got := Behind(c.prompt, c.answer, c.join); got != c.want {
			t.Errorf("%s: %q, %q: %q, want %q", c.join, c.prompt, c.answer, got, c.want)
		}
	}
}

// Prompt and answer are the whole text's tokens where these begin with the
// prompt's, and otherwise the prompt's as it is asked alone with the answer's
// behind: the text of the tokens is the same.
func TestSplitKeepsThePromptsOwnTokens(t *testing.T) {
	tok := trained(t, strings.Repeat("the capital of abcd is xy abcd abcd ", 20))
	for _, c := range [][2]string{{"the capital of", "abcd"}, {"the capital of ab", "cd is"}, {"the capital of ", "abcd"}, {"资治", "通鉴"}, {"a", "b"}} {
		for _, join := range []data.Join{data.JoinAuto, data.JoinSpace, data.JoinNone} {
			p, a, err := Split(tok, c[0], c[1], join)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(p, tok.EncodeSpecial(c[0])) {
				t.Errorf("%q: the prompt's tokens are not those that it has alone", c)
			}
			if got, want := tok.Decode(append(slices.Clone(p), a...)), c[0]+Behind(c[0], c[1], join); got != want {
				t.Errorf("%q by %s: the tokens say %q, want %q", c, join, got, want)
			}
		}
	}
	if _, _, err := Split(tok, "a", " ", data.JoinAuto); err == nil {
		t.Error("an answer without tokens was accepted")
	}
}

func TestOnlyRephrasingsAndLocalityTextsAreCutAndTheirEndStays(t *testing.T) {
	tok := trained(t, "a b c d e f")
	const long = "a b c d e f a b c d e g"
	whole, err := Answer(tok, long, "c d", data.JoinAuto, 0)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Answer(tok, long, "c d", data.JoinAuto, 5)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(whole.IDs) - len(got.IDs); n != len(tok.Encode(long))-5 || !slices.Equal(got.IDs, whole.IDs[n:]) || got.Wanted() != whole.Wanted() {
		t.Errorf("cut to %v, of %v", got.IDs, whole.IDs)
	}
	if answer, err := Answer(tok, "a b", long, data.JoinAuto, 5); err != nil || answer.Wanted() != len(tok.Encode(" "+long)) {
		t.Errorf("the answer was cut: %d tokens (%v)", answer.Wanted(), err)
	}
}

func TestShortenedPromptsEndAlikeAndFit(t *testing.T) {
	tok := trained(t, "the quick brown fox jumps over the lazy dog")
	for _, prompt := range []string{"the quick brown fox jumps over the lazy dog and more", "资治通鉴的作者是谁呢", "x", strings.Repeat("zz", 40)} {
		for n := 1; n < 30; n++ {
			s := Shortener{Tok: tok, Max: n}
			got, cut := s.Prompt(prompt)
			if !strings.HasSuffix(prompt, got) || got == "" || cut != (got != prompt) {
				t.Fatalf("%q at %d: %q, cut %v", prompt, n, got, cut)
			}
			if len(tok.Encode(got)) > n && len([]rune(got)) > 1 {
				t.Errorf("%q at %d: %q has %d tokens", prompt, n, got, len(tok.Encode(got)))
			}
		}
	}
	s := Shortener{Tok: tok, Max: 2}
	if got, cut := s.Answer("the", "lazy dog", data.JoinAuto); !cut || !strings.HasPrefix("lazy dog", got) {
		t.Errorf("%q, %v", got, cut)
	}
}

func TestAnAnswerIsSaidByItsTokensOrItsText(t *testing.T) {
	tok := trained(t, strings.Repeat("ab ab. 》 》。 ", 40))
	ids := func(s string) []int32 { return tok.Encode(s) }
	stop, ok := ids("》。"), ids("》")
	if len(stop) != 1 || len(ok) == 0 {
		t.Skipf("the tokenizer cuts %v %v", stop, ok)
	}
	want := append(ids("x"), ok...)
	got := append(ids("x"), stop...)
	for len(got) < len(want) {
		got = append(got, 0) // what follows a wrong token does not count
	}
	if !Said(tok, want, got[:len(want)]) || !Said(tok, want, want) {
		t.Error("an answer with a full stop behind it does not count")
	}
	if Said(tok, ids("x"), ids("y")) || Said(tok, ids("x"), []int32{-1}) {
		t.Error("another answer counts")
	}
	for _, c := range []struct {
		s, answer string
		want      bool
	}{
		{" Rome.", "Rome", true}, {"Rome", " Rome", true}, {"Romeo", "Rome", false}, {"《资治通鉴》。", "《资治通鉴》", true},
		{"北京", "北", false}, {"", "", false}, {"a", "", false}, {"Rome2", "Rome", false},
	} {
		if got := Begins(c.s, c.answer); got != c.want {
			t.Errorf("%q begins with %q: %v", c.s, c.answer, got)
		}
	}
}
