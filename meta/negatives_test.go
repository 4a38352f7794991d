package meta

import (
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/text"
)

func TestNegativesAreThePromptOfOthers(t *testing.T) {
	tok := bytesOf(t)
	edits := []data.Edit{{Subject: "Ann"}, {Subject: "Bob"}, {Subject: " Ann"}, {}, {Subject: "Cleo"}}
	names := Names(5, edits)
	if sorted := slices.Sorted(slices.Values(names)); !slices.Equal(sorted, []string{"Ann", "Bob", "Cleo"}) {
		t.Fatalf("names are %q", sorted)
	}
	const prompt = "When was Bob born, in"
	for rows, want := range map[string]string{
		hypernet.AnswerRows: "n", hypernet.SubjectLast: "", hypernet.SubjectRows: "", hypernet.AllRows: " born, in",
	} {
		o := Others{Names: names, Count: 5, Rows: rows}
		got, err := o.Texts(tok, prompt, "Bob", text.First, 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 2 {
			t.Fatalf("%s: %d texts, want those of Ann and Cleo", rows, len(got))
		}
		for _, x := range got {
			whole := tok.Decode(x.IDs)
			name := "Ann"
			if strings.Contains(whole, "Cleo") {
				name = "Cleo"
			}
			part := want
			switch rows {
			case hypernet.SubjectRows, hypernet.AllRows:
				part = name + want
			case hypernet.SubjectLast:
				part = name[len(name)-1:]
			}
			if rows := tok.Decode(x.IDs[x.Rows.Lo:x.Rows.Hi]); strings.TrimSpace(rows) != part {
				t.Errorf("rows %q of %q, want %q", rows, whole, part)
			}
			if !strings.HasPrefix(strings.TrimSpace(strings.ReplaceAll(prompt, "Bob", name)), strings.TrimSpace(whole)) {
				t.Errorf("%q is no part of the prompt", whole)
			}
		}
	}
	o := Others{Names: names, Count: 1, Rows: hypernet.AnswerRows}
	if _, err := o.Texts(tok, prompt, "Zed", text.First, 0); err == nil {
		t.Error("no error for a subject that the prompt has not")
	}
	if got, err := o.Texts(tok, prompt, "", text.First, 0); err != nil || got != nil {
		t.Errorf("%v, %v for an edit without a subject", got, err)
	}
}
