package data

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestAsked_rewrites_every_prompt(t *testing.T) {
	e := Edit{ID: "1", Subject: "A", Prompt: "A is", Template: "{} is", TargetNew: "b", Paraphrases: []string{"p"},
		Reverse: []Prompt{{Prompt: "r"}}, Locality: map[string][]Prompt{Unrelated: {{Prompt: "l", Answers: [][]string{{"x"}}}}},
		Portability: map[string][]Prompt{OneHop: {{Prompt: "o"}}}, GenerationPrompts: []string{"g"},
		Chain: &Chain{Questions: []string{"q"}, Edits: []Edit{{ID: "1.1", Prompt: "c"}}}}
	before := e
	got, err := e.Asked(func(s string) (string, error) { return "<" + s + ">", nil })
	if err != nil {
		t.Fatal(err)
	}
	want := Edit{ID: "1", Subject: "A", Prompt: "<A is>", TargetNew: "b", Paraphrases: []string{"<p>"}, Join: JoinNone,
		Reverse: []Prompt{{Prompt: "<r>"}}, Locality: map[string][]Prompt{Unrelated: {{Prompt: "<l>", Answers: [][]string{{"x"}}}}},
		Portability: map[string][]Prompt{OneHop: {{Prompt: "<o>"}}}, GenerationPrompts: []string{"g"},
		Chain: &Chain{Questions: []string{"<q>"}, Edits: []Edit{{ID: "1.1", Prompt: "<c>", Join: JoinNone}}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if !reflect.DeepEqual(e, before) || e.Locality[Unrelated][0].Prompt != "l" || e.Chain.Edits[0].Prompt != "c" {
		t.Error("the record itself was changed")
	}
	if _, err := e.Asked(func(string) (string, error) { return "", errors.New("no") }); err == nil || !strings.Contains(err.Error(), "no") {
		t.Errorf("%v", err)
	}
}
