package train_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyhole.example/keyhole/train"
)

// none runs no step: only what a run begins with is saved.
func none(t *testing.T, c train.Config, dir string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	l, err := start(t, c, dir, false, sources(), &quiet{})
	must(t, err)
	defer l.Close()
	if err := l.Run(ctx); err == nil {
		t.Fatal("an ended context ends no run")
	}
}

// TestARunStartsFromAnotherEditor compares what a run begins with, fresh or with
// the optimiser's moments, with the checkpoint that it starts from.
func TestARunStartsFromAnotherEditor(t *testing.T) {
	if testing.Short() {
		t.Skip("several runs take too long with the race detector")
	}
	for name, c := range map[string]train.Config{"sum": small(), "solve": solving()} {
		t.Run(name, func(t *testing.T) {
			c.Train.Steps, c.Train.ValEvery, c.Train.SaveEvery = 3, 0, 3
			first := filepath.Join(t.TempDir(), "first")
			run(t, c, first, false, 0)
			was := files(t, first, "step-000003")
			c.Train.Init, c.Train.LR = first, c.Train.LR/10
			for _, optimiser := range []string{"fresh", "keep"} {
				c.Train.InitOptimizer = optimiser
				dir := filepath.Join(t.TempDir(), optimiser)
				none(t, c, dir)
				for file, b := range files(t, dir, "step-000000") {
					same := bytes.Equal(b, was[file])
					switch {
					case file == "manifest.json":
						if want := `"optimiser": "` + optimiser + `"`; !strings.Contains(string(b), want) || !strings.Contains(string(b), first) {
							t.Errorf("%s: the manifest does not say where the run started from", optimiser)
						}
					case file == "optimiser.safetensors":
						if same != (optimiser == "keep") {
							t.Errorf("%s: the optimiser's moments are those of the checkpoint: %v", optimiser, same)
						}
					case !same:
						t.Errorf("%s: %s differs from that of the checkpoint", optimiser, file)
					}
				}
			}
		})
	}
}

// TestARunFromAnotherEditorResumes has the same bytes whole and interrupted, with
// kept moments, whose number of steps goes on.
func TestARunFromAnotherEditorResumes(t *testing.T) {
	if testing.Short() {
		t.Skip("several runs take too long with the race detector")
	}
	c := small()
	c.Train.Steps, c.Train.ValEvery, c.Train.SaveEvery = 2, 0, 2
	first := filepath.Join(t.TempDir(), "first")
	run(t, c, first, false, 0)
	c.Train.Init, c.Train.InitOptimizer, c.Train.Steps, c.Train.SaveEvery = first, "keep", 4, 1
	c.Train.Keep = 0
	whole, cut := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "cut")
	run(t, c, whole, false, 0)
	run(t, c, cut, false, 2)
	must(t, os.RemoveAll(first)) // a begun run needs it no more
	run(t, c, cut, true, 0)
	want := files(t, whole, "step-000004")
	for name, b := range files(t, cut, "step-000004") {
		if !bytes.Equal(b, want[name]) {
			t.Errorf("%s differs", name)
		}
	}
	c.Train.InitOptimizer = "fresh"
	if _, err := start(t, c, cut, true, sources(), &quiet{}); err == nil || !strings.Contains(err.Error(), "train.init_optimizer: fresh, was keep") {
		t.Errorf("resumed under another config: %v", err)
	}
}

// TestKeysOfTheOtherLearnerDoNotMatter: a network goes on from one whose run had other
// values for SERAC.
func TestKeysOfTheOtherLearnerDoNotMatter(t *testing.T) {
	c := small()
	c.Train.Steps, c.Train.ValEvery, c.Train.SaveEvery = 1, 0, 1
	first := filepath.Join(t.TempDir(), "first")
	none(t, c, first)
	c.Train.Init, c.SERAC.Beginnings = first, !c.SERAC.Beginnings
	none(t, c, filepath.Join(t.TempDir(), "second"))
}

func TestAnEditorOfAnotherKindIsRefused(t *testing.T) {
	c := small()
	c.Train.Steps, c.Train.ValEvery, c.Train.SaveEvery = 1, 0, 1
	first := filepath.Join(t.TempDir(), "first")
	none(t, c, first)
	for want, change := range map[string]func(*train.Config){
		"hypernet.rank: 4, was 8": func(c *train.Config) { c.Hypernet.Rank = 4 },
		"model.blocks: 2, was 1":  func(c *train.Config) { c.Model.Blocks = 2 },
		"train.init":              func(c *train.Config) { c.Train.Init = filepath.Join(first, "nothing") },
		"data.template":           func(c *train.Config) { c.Data.Template = "chat" }, // the embedded model has none
	} {
		o := c
		o.Train.Init = first
		change(&o)
		dir := filepath.Join(t.TempDir(), "second")
		if _, err := start(t, o, dir, false, sources(), &quiet{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: the refused run left a folder", want)
		}
	}
}

// TestAStartCanLeaveOtherTextAlone: a run from another editor may have general text in
// its prior, which it takes anew, and another ridge; the network stays.
func TestAStartCanLeaveOtherTextAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("several runs take too long with the race detector")
	}
	c := solving()
	c.Train.Steps, c.Train.ValEvery, c.Train.SaveEvery = 1, 0, 1
	first := filepath.Join(t.TempDir(), "first")
	run(t, c, first, false, 0)
	was := files(t, first, "step-000001")
	c.Train.Init, c.Hypernet.Update.Ridge = first, 10*c.Hypernet.Update.Ridge
	for general, same := range map[string]bool{"": true, "embedded": false} {
		c.Data.General = general
		dir := filepath.Join(t.TempDir(), "run"+general)
		none(t, c, dir)
		now := files(t, dir, "step-000000")
		if !bytes.Equal(now["phi.safetensors"], was["phi.safetensors"]) {
			t.Errorf("general text %q: the network is another", general)
		}
		if bytes.Equal(now["prior.safetensors"], was["prior.safetensors"]) != same {
			t.Errorf("general text %q: the prior is the checkpoint's: %v", general, !same)
		}
		before, after := priorRows(t, was["manifest.json"]), priorRows(t, now["manifest.json"])
		if more := after - before; same && more != 0 || !same && (more < before || more > before+128) {
			t.Errorf("general text %q: the prior is of %d rows, was of %d", general, after, before)
		}
	}
	c.Hypernet.Update.LearnRidge = true
	if _, err := start(t, c, filepath.Join(t.TempDir(), "x"), false, sources(), &quiet{}); err == nil || !strings.Contains(err.Error(), "another kind of editor") {
		t.Errorf("a learned ridge from one that was not: %v", err)
	}
	c = solving()
	c.Train.Steps, c.Train.ValEvery, c.Train.SaveEvery, c.Hypernet.Update.LearnRidge = 1, 0, 1, true
	learned := filepath.Join(t.TempDir(), "learned")
	run(t, c, learned, false, 0)
	c.Train.Init, c.Hypernet.Update.Ridge = learned, 10*c.Hypernet.Update.Ridge
	if _, err := start(t, c, filepath.Join(t.TempDir(), "z"), false, sources(), &quiet{}); err == nil || !strings.Contains(err.Error(), "hypernet.update.ridge") {
		t.Errorf("another ridge than one that was learned: %v", err)
	}
	c = solving()
	c.Data.General = filepath.Join(t.TempDir(), "none.txt")
	if _, err := start(t, c, filepath.Join(t.TempDir(), "y"), false, sources(), &quiet{}); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "data.general") {
		t.Errorf("no such text: %v", err)
	}
	c = small()
	c.Data.General = "embedded"
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "data.general") {
		t.Errorf("general text for a prior that looks at none: %v", err)
	}
}

// priorRows is how many rows the prior in a manifest is of.
func priorRows(t *testing.T, manifest []byte) int64 {
	t.Helper()
	var m struct {
		State struct {
			Counts []int64 `json:"prior_counts"`
		} `json:"state"`
	}
	must(t, json.Unmarshal(manifest, &m))
	if len(m.State.Counts) == 0 {
		t.Fatal("the manifest counts no rows of the prior")
	}
	return m.State.Counts[0]
}
