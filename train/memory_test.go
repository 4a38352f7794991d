package train_test

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"keyhole.example/keyhole/embedded"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/train"
)

// TestEstimateCountsMappedWeightsOnce trains on a folder of float32 weights,
// which are used where the file is mapped.
func TestEstimateCountsMappedWeightsOnce(t *testing.T) {
	m, err := embedded.Model()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := m.Save(dir, lm.SaveOptions{DType: tensorfile.F32}); err != nil {
		t.Fatal(err)
	}
	c := small()
	c.Model.Path, c.Train.Steps, c.Train.ValEvery = dir, 3, 0
	src := train.Sources{Edits: embedded.Edits}
	l, err := start(t, c, filepath.Join(t.TempDir(), "run"), false, src, &quiet{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	e := l.Estimate()
	if all := 4 * int64(l.Model.Parameters()); e.Model < all || e.Model > all+all/50 {
		t.Errorf("%d bytes of weights, want about %d", e.Model, all)
	}
	if err := l.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	// A batch of three texts is small beside the steps in which bounds grow.
	if got := l.Objective.GraphBytes(); e.Graph < got/2 || e.Graph > 4*got {
		t.Errorf("the graph takes %d bytes, %d were estimated", got, e.Graph)
	}
}

// TestEstimateKnowsWhatIsReadByRows: beside an untied head, the table of tokens is
// never decoded whole.
func TestEstimateKnowsWhatIsReadByRows(t *testing.T) {
	base, err := embedded.Model()
	if err != nil {
		t.Fatal(err)
	}
	model := func(tied bool) (bytes, file int64) {
		c := base.Config
		c.Tied = tied
		m, err := lm.New(c, rand.New(rand.NewPCG(1, 2)))
		if err != nil {
			t.Fatal(err)
		}
		m.Tokenizer = base.Tokenizer
		dir := t.TempDir()
		if err := m.Save(dir, lm.SaveOptions{DType: tensorfile.F16}); err != nil {
			t.Fatal(err)
		}
		cfg := small()
		cfg.Model.Path, cfg.Train.ValEvery = dir, 0
		l, err := start(t, cfg, filepath.Join(t.TempDir(), "run"), false, train.Sources{Edits: embedded.Edits}, &quiet{})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Estimate().Model, l.Model.FileBytes()
	}
	tied, tiedFile := model(true)
	untied, untiedFile := model(false)
	if untiedFile <= tiedFile || untied-tied != untiedFile-tiedFile {
		t.Errorf("an own head takes %d bytes more where the files are %d larger", untied-tied, untiedFile-tiedFile)
	}
}
