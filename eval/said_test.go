package eval

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestTextsAreKeptOnRequest asks for the texts of two edits, and reads them back.
func TestTextsAreKeptOnRequest(t *testing.T) {
	m := tinyModel(t, "gpt2")
	o := Options{Model: m, Engine: testEngine(t), Editor: random{}, Set: tinySet(2)}
	o.Texts, o.Out = true, filepath.Join(t.TempDir(), "r.jsonl")
	r, err := Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Texts) != 2 {
		t.Fatalf("texts of %d edits", len(r.Texts))
	}
	sums := map[string]float64{}
	for i, e := range r.Texts {
		if e.ID != o.Set.Edits[i].ID {
			t.Errorf("edit %d: id %q", i, e.ID)
		}
		at := slices.IndexFunc(e.Texts, func(s *Said) bool { return s.Prompt == o.Set.Edits[i].Prompt && s.Expected == o.Set.Edits[i].TargetNew })
		if at < 0 || e.Texts[at].Before == "" || e.Texts[at].After == "" {
			t.Fatalf("the edit's own prompt is not among the texts, or has no answers: %+v", e.Texts)
		}
		s := e.Texts[at]
		sums["reliability"] += s.Values["reliability"]
		if want := indicator(strings.TrimSpace(s.After) == s.Expected); s.Values["reliability"] != want {
			t.Errorf("%+v: reliability %v, want %v", s, s.Values["reliability"], want)
		}
	}
	if want := r.Metrics["reliability"].Micro * 2; sums["reliability"] != want {
		t.Errorf("the texts count %v, the report %v", sums["reliability"], want)
	}
	back, err := LoadResults(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	again := back.ReportOf()
	if !near(again.Reliability, r.Reliability) || again.N != 2 || len(again.Texts) != 2 || again.Texts[1].Texts[0].Prompt != r.Texts[1].Texts[0].Prompt {
		t.Errorf("read back: %+v", again)
	}
	o.Texts = false
	if _, err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), "texts kept: true and false") {
		t.Errorf("a file with texts goes on without them: %v", err)
	}
	o.Out = filepath.Join(t.TempDir(), "plain.jsonl")
	if r, err = Run(context.Background(), o); err != nil || len(r.Texts) > 0 {
		t.Errorf("texts without a wish: %v, %v", r, err)
	}
}
