package train_test

import (
	"context"
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
