package data_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/data/datatest"
)

// fuzzLoad reads any bytes as a data set, detected and by name, and checks what
// must hold of whatever is accepted. The samples of the family are the seeds.
func fuzzLoad(f *testing.F, prefixes ...string) {
	var names []string
	for _, fm := range data.Formats() {
		for _, p := range prefixes {
			if strings.HasPrefix(fm.Name, p) && fm.Reader == "Load" {
				names = append(names, fm.Name)
			}
		}
	}
	for i, name := range names {
		paths, err := filepath.Glob(filepath.Join("testdata", name, "*", "*.[jcy]*")) // json, jsonl, csv, yaml
		if err != nil || len(paths) == 0 {
			f.Fatalf("no seeds for %s: %v", name, err)
		}
		for _, p := range paths {
			raw, err := os.ReadFile(p)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw, uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, which uint8) {
		for _, o := range []data.Options{
			{SkipBad: true, MaxRecord: 1 << 16},
			{SkipBad: true, Format: names[int(which)%len(names)], MaxRecord: 1 << 16},
		} {
			set, err := data.Read(bytes.NewReader(raw), "fuzz", o)
			if err != nil {
				continue
			}
			datatest.Edits(t, set)
			_ = set.Summary().String()
			if parts, err := set.SplitBySubject(1, 0.5, 0.5); err == nil {
				if err := data.Disjoint(parts[0], parts[1]); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

func FuzzLoadZsRE(f *testing.F)        { fuzzLoad(f, "zsre", "wikifactdiff", "qaedit") }
func FuzzLoadCounterFact(f *testing.F) { fuzzLoad(f, "counterfact") }
func FuzzLoadKnowEdit(f *testing.F)    { fuzzLoad(f, "knowedit") }
func FuzzLoadChains(f *testing.F)      { fuzzLoad(f, "mquake", "pitfalls") }
func FuzzLoadOwn(f *testing.F)         { fuzzLoad(f, "keyhole") }

// FuzzLoadOthers reads files of facts, patterns, questions and neighbours.
func FuzzLoadOthers(f *testing.F) {
	for _, name := range []string{"known-facts", "pararel-facts", "pararel-patterns", "nq-locality", "nq-lists", "counterfact-neighbors"} {
		paths, err := filepath.Glob(filepath.Join("testdata", name, "*", "*.[jcy]*")) // json, jsonl, csv, yaml
		if err != nil || len(paths) == 0 {
			f.Fatalf("no seeds for %s: %v", name, err)
		}
		for _, p := range paths {
			raw, err := os.ReadFile(p)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(raw)
		}
	}
	base := filepath.Join("testdata", "counterfact-flat", "good", "lines.jsonl")
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		o := data.Options{SkipBad: true, MaxRecord: 1 << 16}
		if c, err := data.LoadFacts(path, o); err == nil && len(c.Items) == 0 {
			t.Error("no facts and no error")
		}
		if c, err := data.LoadPatterns(path, o); err == nil && c.Items[0].Fill("a", "b") == "" {
			t.Error("an empty sentence")
		}
		if c, err := data.LoadQuestions(path, o); err == nil && len(c.Items) == 0 {
			t.Error("no questions and no error")
		}
		if s, err := data.Load(base, data.Options{Neighbors: path}); err == nil {
			datatest.Edits(t, s)
		}
	})
}

func FuzzDocuments(f *testing.F) {
	f.Add([]byte(" \n = Orvane = \n \n A town .\n \n = = River = = \n"))
	f.Add([]byte("\xef\xbb\xbfplain\n\ntext"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		n := 0
		for d, err := range data.ReadDocuments(bytes.NewReader(raw), "fuzz") {
			n++
			if err == nil && d.Title == "" && len(d.Paragraphs) == 0 {
				t.Error("a document of nothing")
			}
		}
		if n == 0 {
			t.Error("neither a document nor an error")
		}
	})
}

func FuzzByHand(f *testing.F) { fuzzLoad(f, "facts") }
