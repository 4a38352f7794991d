package eval

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/internal/golden"
	"keyhole.example/keyhole/lm"
)

func TestEveryDataSetCanBeEvaluated(t *testing.T) {
	m, err := lm.Load(golden.Path(t, "models", "stories260k"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	k := testEngine(t)
	seen := 0
	err = filepath.WalkDir(golden.Path(t, "data"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".jsonl.gz") {
			return err
		}
		set, err := data.Load(path, data.Options{Limit: 4})
		if err != nil {
			return nil // facts, questions and texts hold no edits
		}
		seen++
		t.Run(filepath.Base(path), func(t *testing.T) {
			r := evaluate(t, Options{Model: m, Engine: k, Editor: none{}, Set: set})
			own, apart := r.Metrics["locality"], r.Metrics["locality.borrowed"]
			if own.Cases+apart.Cases != r.N || own.Cases > 0 && own.Mean != 1 || apart.Cases > 0 && apart.Mean != 1 || r.LocalityKL != 0 {
				t.Errorf("locality %+v, borrowed %+v, KL %v, missing %v", own, apart, r.LocalityKL, r.Missing)
			}
			t.Logf("%s: n %d, %d figures, skipped %v, cut %d, %s", set.Format, r.N, len(r.Metrics), r.Skipped, r.Cut, strings.Join(sortedKeys(r.Metrics), " "))
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen == 0 {
		t.Fatal("no data set was found")
	}
}
