package meta

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/lm/tokenizer"
)

func TestWhatIsAskedIsDrawnFromTheRephrasings(t *testing.T) {
	r := data.Edit{ID: "1", Prompt: "own", Paraphrases: []string{"a", "b"}}
	drawn := func(m *Maker) []string {
		seen := map[string]bool{}
		for visit := range 100 {
			p := m.asked(&r, visit)[0]
			if p != m.asked(&r, visit)[0] {
				t.Fatalf("visit %d: another draw gives another prompt", visit)
			}
			seen[p] = true
		}
		return slices.Sorted(maps.Keys(seen))
	}
	for _, c := range []struct {
		m    Maker
		want []string
	}{
		{Maker{Rephrase: true}, []string{"a", "b"}},
		{Maker{Rephrase: true, OwnPrompt: true}, []string{"a", "b", "own"}},
		{Maker{OwnPrompt: true}, []string{"own"}},
	} {
		if got := drawn(&c.m); !slices.Equal(got, c.want) {
			t.Errorf("rephrase %v, own prompt %v: asked %q, want %q", c.m.Rephrase, c.m.OwnPrompt, got, c.want)
		}
	}
	r.Paraphrases = nil
	if got := drawn(&Maker{Rephrase: true, OwnPrompt: true}); !slices.Equal(got, []string{"own"}) {
		t.Errorf("without rephrasings: asked %q, want the edit prompt", got)
	}
}

// TestAShareOfWhatIsAskedStandsBehindASentence about another subject; the rest and
// the edit itself stand as they are.
func TestAShareOfWhatIsAskedStandsBehindASentence(t *testing.T) {
	r := data.Edit{ID: "1", Subject: "s", Prompt: "own", TargetNew: "x", Paraphrases: []string{"a"}}
	m := &Maker{Tok: bytesOf(t), Rephrase: true, Prefixes: 0.5, Records: []data.Edit{
		r, {ID: "2", Subject: "s", Prompt: "the same", TargetNew: "y"},
		{ID: "3", Subject: "o", Prompt: "Oslo lies in", TargetNew: "Rome", TargetTrue: []string{"Norway"}},
	}}
	const sentence = "Oslo lies in Norway. a"
	seen := map[string]int{}
	for visit := range 3000 {
		seen[m.asked(&r, visit)[0]]++
	}
	// half are drawn, and a third of those draw the other subject
	if n := seen[sentence]; len(seen) != 2 || n < 400 || n > 600 || seen["a"] != 3000-n {
		t.Errorf("asked %v", seen)
	}
	m.Prefixes = 1
	m.Records = m.Records[2:]
	task, err := m.Task([]data.Edit{{ID: "1", Subject: "s", Prompt: "own", TargetNew: "x", Paraphrases: []string{"a"}, Locality: map[string][]data.Prompt{
		"neighborhood": {{Prompt: "n", Answers: [][]string{{"z"}}}}}}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(task.Outer[0].IDs); got != len(sentence)+1 { // x follows a space, and the last token asks for nothing
		t.Errorf("%d tokens are asked, %q has %d", got, sentence, len(sentence))
	}
	if got := len(task.Inner[0].IDs); got != len("own")+1 {
		t.Errorf("the edit has %d tokens", got)
	}
}

// TestWhatFollowsFromAnEditIsAskedWithItsOwnAnswer beside the rephrasings, in part and
// in another choice at another visit; a record without such questions has none.
func TestWhatFollowsFromAnEditIsAskedWithItsOwnAnswer(t *testing.T) {
	one := func(prompt, answer string) data.Prompt {
		return data.Prompt{Prompt: prompt, Answers: [][]string{{answer, "an alias"}}}
	}
	n := map[string][]data.Prompt{data.Neighborhood: {one("n", "z")}}
	r := data.Edit{ID: "1", Prompt: "own", TargetNew: "x", Paraphrases: []string{"a"}, Locality: n, Join: data.JoinSpace,
		Portability: map[string][]data.Prompt{data.OneHop: {one("hop", "fi")}, data.SubjectAlias: {one("alias", "x")}},
		Reverse:     []data.Prompt{one("back", "sub")}}
	bare := data.Edit{ID: "2", Prompt: "other", TargetNew: "y", Paraphrases: []string{"b"}, Locality: n, Join: data.JoinSpace}
	m := &Maker{Tok: bytesOf(t), Rephrase: true, Propagation: 2}
	seen := map[string]bool{}
	for visit := range 60 {
		task, err := m.Task([]data.Edit{r, bare}, visit)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(task.OuterOf, []int{0, 0, 0, 1}) {
			t.Fatalf("visit %d: the texts belong to edits %v", visit, task.OuterOf)
		}
		for _, x := range task.Outer[1:3] {
			seen[m.Tok.Decode(append(slices.Clone(x.IDs), x.Labels[len(x.Labels)-1]))] = true
		}
	}
	if want := []string{"alias x", "back sub", "hop fi"}; !slices.Equal(slices.Sorted(maps.Keys(seen)), want) {
		t.Errorf("asked %q, want %q", slices.Sorted(maps.Keys(seen)), want)
	}
	m.Propagation = 0
	if task, err := m.Task([]data.Edit{r}, 0); err != nil || len(task.Outer) != 1 {
		t.Errorf("without propagation %d texts are asked, %v", len(task.Outer), err)
	}
}

// bytesOf is a tokenizer with a token for each byte.
func bytesOf(t *testing.T) tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Train([]string{"a"}, 257, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(tok.EncodeSpecial("ab cd")); n != 5 {
		t.Fatalf("5 bytes are %d tokens", n)
	}
	return tok
}

// TestLocalityRowsAreThoseOfTheOption: of "ab" and " cd" every row stays that
// predicts a token of the text, of the answer alone, or the row behind it too.
func TestLocalityRowsAreThoseOfTheOption(t *testing.T) {
	r := data.Edit{ID: "1", Prompt: "x", TargetNew: "y", Locality: map[string][]data.Prompt{
		data.Unrelated: {{Prompt: "ab", Answers: [][]string{{"cd"}}}},
	}}
	for _, c := range []struct {
		locality string
		stays    []bool
	}{
		{"text", []bool{true, true, true, true}},
		{"answer", []bool{false, true, true, true}},
		{"all", []bool{true, true, true, true, true}},
	} {
		m := &Maker{Tok: bytesOf(t)}
		m.Text.Locality = c.locality
		task, err := m.Task([]data.Edit{r}, 0)
		if err != nil {
			t.Fatal(err)
		}
		var got []bool
		for _, l := range task.Loc[0].Labels {
			got = append(got, l >= 0)
		}
		if !slices.Equal(got, c.stays) {
			t.Errorf("locality %s: rows %v stay, want %v", c.locality, got, c.stays)
		}
		if want := m.Tok.EncodeSpecial("ab cd")[:len(c.stays)]; !slices.Equal(task.Loc[0].IDs, want) {
			t.Errorf("locality %s: the text is %v, want %v", c.locality, task.Loc[0].IDs, want)
		}
	}
}

// TestABorrowedTextIsOfAnotherSubject: only one of the others will do.
func TestABorrowedTextIsOfAnotherSubject(t *testing.T) {
	records := []data.Edit{
		{ID: "1", Subject: "A", Prompt: "own", TargetNew: "x"},
		{ID: "2", Subject: "A", Prompt: "akin", TargetNew: "x"},
		{ID: "3", Subject: "A", Prompt: "like", TargetNew: "x"},
		{ID: "4", Subject: "B", Prompt: "else", TargetNew: "x", TargetTrue: []string{"was"}},
	}
	m := &Maker{Tok: bytesOf(t), Records: records}
	m.Text.Locality = "all"
	for visit := range 50 {
		task, err := m.Task(records[:1], visit)
		if err != nil {
			t.Fatal(err)
		}
		if want := m.Tok.EncodeSpecial("else was"); !slices.Equal(task.Loc[0].IDs, want) {
			t.Fatalf("visit %d: borrowed %v, want %v of the other subject", visit, task.Loc[0].IDs, want)
		}
	}
	m.Records = records[:3]
	if _, err := m.Task(records[:1], 0); err == nil || !strings.Contains(err.Error(), "no other subject") {
		t.Errorf("with one subject in all: %v", err)
	}
}
