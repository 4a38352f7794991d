package train_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/checkpoints"
	"keyhole.example/keyhole/train"
)

// TestTheBestIsTheLowestAndPatienceCountsFromIt lets runs of a rate that is far
// too high go on until the early stop, and reads what happened from their logs.
func TestTheBestIsTheLowestAndPatienceCountsFromIt(t *testing.T) {
	for _, patience := range []int{2, 5} {
		c := small()
		c.Train.Steps, c.Train.Accumulate, c.Train.ValEvery, c.Train.Patience, c.Train.LR = 60, 1, 1, patience, 0.002
		c.Train.ValEdits = 4
		dir := filepath.Join(t.TempDir(), "run")
		run(t, c, dir, false, 0)
		log, err := train.ReadLog(dir)
		must(t, err)
		var losses []float64
		var steps []int
		for _, m := range log {
			if m.Kind == "val" {
				losses, steps = append(losses, m.Total), append(steps, m.Step)
			}
		}
		if len(losses) >= c.Train.Steps {
			t.Fatalf("patience %d: no early stop: %v", patience, losses)
		}
		best := slices.Index(losses, slices.Min(losses))
		if patience == 5 && best == 0 {
			t.Fatalf("no loss is lower than the first: %v", losses)
		}
		if got := len(losses) - 1 - best; got != patience {
			t.Errorf("patience %d: stopped %d validations after the best: %v", patience, got, losses)
		}
		last := filepath.Join(dir, "checkpoints", pointed(t, dir, "last"))
		if got := bestStep(t, last); got != steps[best] {
			t.Errorf("patience %d: best at step %d, want %d: %v", patience, got, steps[best], losses)
		}
		if got, want := pointed(t, dir, "best"), checkpoints.FolderName(steps[best]); got != want {
			t.Errorf("patience %d: checkpoints/best is %s, want %s", patience, got, want)
		}
	}
}

// pointed is the checkpoint that a pointer of a run names.
func pointed(t *testing.T, dir, pointer string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "checkpoints", pointer))
	must(t, err)
	name, _, _ := strings.Cut(strings.TrimSpace(string(b)), " ") // its sum follows
	return name
}
