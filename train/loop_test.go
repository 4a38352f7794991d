package train_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyhole.example/keyhole/checkpoints"
	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/embedded"
	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/internal/lock"
	"keyhole.example/keyhole/internal/seal"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/train"
)

// quiet is an observer that can end a run after a step.
type quiet struct {
	stopAt  int
	stop    context.CancelFunc
	skipped []string
}

func (q *quiet) Started(int, int) {}
func (q *quiet) Stepped(m train.Metrics, _ int) {
	if q.stop != nil && m.Step == q.stopAt {
		q.stop()
	}
}
func (q *quiet) Validated(train.Metrics, bool) {}
func (q *quiet) Saved(string)                  {}
func (q *quiet) Skipped(id string, err error)  { q.skipped = append(q.skipped, id+": "+err.Error()) }

func sources() train.Sources {
	return train.Sources{Model: embedded.Model, Edits: embedded.Edits, Text: embedded.Text}
}

// small is a run of twelve steps on the embedded model.
func small() train.Config {
	c := train.Default()
	c.Model.Blocks, c.Hypernet.Rank, c.Hypernet.EditLR = 1, 8, 1e-3
	c.Train.Steps, c.Train.Accumulate, c.Train.ValEvery, c.Train.ValEdits, c.Train.SaveEvery = 12, 3, 4, 10, 3
	c.Train.LR, c.Train.LRLR = 1e-4, 1e-3
	return c
}

// start begins or resumes a run; its error is returned.
func start(t *testing.T, c train.Config, dir string, resume bool, src train.Sources, q *quiet) (*train.Loop, error) {
	t.Helper()
	r, err := configs.Load("", &c, configs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return train.Start(c, r, dir, resume, src, q)
}

func run(t *testing.T, c train.Config, dir string, resume bool, stopAt int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l, err := start(t, c, dir, resume, sources(), &quiet{stopAt: stopAt, stop: cancel})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

// files reads a checkpoint's files.
func files(t *testing.T, dir, step string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "checkpoints", step, "*"))
	if err != nil || len(paths) < 3 { // values, optimiser, manifest
		t.Fatalf("%s: %d files in %s (%v)", dir, len(paths), step, err)
	}
	out := map[string][]byte{}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(p)] = b
	}
	return out
}

// scoped is small with SERAC's two networks in the place of an editor network.
func scoped() train.Config {
	c := small()
	c.Learner = train.LearnSERAC
	c.SERAC.New.Layers, c.SERAC.New.Width, c.SERAC.New.Heads = 1, 16, 2
	c.Train.Accumulate, c.Train.Edits, c.Train.Batch = 2, 3, 1
	return c
}

// solving is small with a moment that the rows are solved under.
func solving() train.Config {
	c := small()
	c.Model.Sites = []string{"mlp.down@4"}
	c.Data.Paraphrases, c.Data.Localities, c.Train.Accumulate, c.Train.Mix = 2, 3, 6, []int{1, 3}
	c.Hypernet.Update.Rule, c.Hypernet.Update.Prior, c.Hypernet.Update.Tokens = hypernet.Solve, hypernet.Moment, 2000
	return c
}

// inTurn is small with edits that stay in the model for some steps.
func inTurn() train.Config {
	c := small()
	c.Model.Sites = []string{"mlp.down@4"}
	c.Train.Accumulate, c.Train.Edits, c.Train.Part, c.Train.Turns, c.Train.BackDepth, c.Train.TimeDecay = 1, 2, 1, 5, 3, 0.9
	c.Hypernet.Kind, c.Hypernet.EditLR = "malmen", 1e-2
	u := &c.Hypernet.Update
	u.Rule, u.Values, u.Ridge, u.LearnRidge = hypernet.Solve, hypernet.Product, 1, true
	return c
}

func TestAResumedRunWritesTheSameBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("many runs take too long with the race detector")
	}
	t.Run("sum", func(t *testing.T) { resumedRuns(t, small(), []int{1, 3, 4, 7, 11}) })
	t.Run("solve", func(t *testing.T) {
		c := solving()
		c.Hypernet.Update.Negatives = 4
		resumedRuns(t, c, []int{1, 7})
	})
	t.Run("turns", func(t *testing.T) { resumedRuns(t, inTurn(), []int{2, 7}) })
	t.Run("serac", func(t *testing.T) { resumedRuns(t, scoped(), []int{1, 7}) })
}

func resumedRuns(t *testing.T, c train.Config, stops []int) {
	whole := filepath.Join(t.TempDir(), "whole")
	run(t, c, whole, false, 0)
	want := files(t, whole, "step-000012")
	for _, at := range stops {
		dir := filepath.Join(t.TempDir(), "cut")
		run(t, c, dir, false, at)
		run(t, c, dir, true, 0)
		for name, b := range files(t, dir, "step-000012") {
			if !bytes.Equal(b, want[name]) {
				t.Errorf("stopped at step %d: %s differs", at, name)
			}
		}
		log, err := train.ReadLog(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(log) != 12+3 {
			t.Errorf("stopped at step %d: %d log lines, want 12 steps and 3 validations", at, len(log))
		}
	}
}

// TestARunKilledWhileSavingWritesTheSameBytes resumes runs that were killed
// between a checkpoint and the pointer to the best.
func TestARunKilledWhileSavingWritesTheSameBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("five runs take too long with the race detector")
	}
	c := small()
	c.Train.SaveEvery, c.Train.Keep = 1, 0
	whole := filepath.Join(t.TempDir(), "whole")
	run(t, c, whole, false, 0)
	folder := func(dir string, step int) string {
		return filepath.Join(dir, "checkpoints", checkpoints.FolderName(step))
	}
	for _, at := range []int{4, 5, 8, 11} { // at a validation, and between
		dir := filepath.Join(t.TempDir(), "cut")
		if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
			t.Fatal(err)
		}
		for step := at + 1; step <= c.Train.Steps; step++ {
			must(t, os.RemoveAll(folder(dir, step)))
		}
		must(t, os.Remove(filepath.Join(dir, "summary.json")))
		must(t, os.WriteFile(filepath.Join(dir, "checkpoints", "last"), pointer(at), 0o666))
		must(t, os.Remove(filepath.Join(dir, "checkpoints", "best")))
		if best := bestStep(t, folder(dir, at-1)); best > 0 {
			must(t, os.WriteFile(filepath.Join(dir, "checkpoints", "best"), pointer(best), 0o666))
		}
		run(t, c, dir, true, 0)
		names := []string{"summary.json", "checkpoints/best", "checkpoints/last"}
		for step := 1; step <= c.Train.Steps; step++ {
			for name := range files(t, whole, checkpoints.FolderName(step)) {
				names = append(names, filepath.Join("checkpoints", checkpoints.FolderName(step), name))
			}
		}
		for _, name := range names {
			want, err := os.ReadFile(filepath.Join(whole, name))
			must(t, err)
			if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("killed at step %d: %s differs (%v)", at, name, err)
			}
		}
	}
}

// pointer is the text of a pointer to a step's checkpoint.
func pointer(step int) []byte {
	name := checkpoints.FolderName(step)
	return []byte(name + " " + seal.Sum([]byte(name)) + "\n")
}

// bestStep is the best step so far, by a checkpoint's state.
func bestStep(t *testing.T, dir string) int {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	must(t, err)
	var m checkpoints.Manifest
	must(t, json.Unmarshal(raw, &m))
	var s struct {
		BestStep int `json:"best_step"`
	}
	must(t, json.Unmarshal(m.State, &s))
	return s.BestStep
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestThreadsChangeNoTensor(t *testing.T) {
	one := small()
	one.Threads = 1
	a, b := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	run(t, small(), a, false, 0)
	run(t, one, b, false, 0)
	want := files(t, a, "step-000012")
	for name, x := range files(t, b, "step-000012") {
		if strings.HasSuffix(name, ".safetensors") && !bytes.Equal(x, want[name]) {
			t.Errorf("%s differs with one thread", name)
		}
	}
}

func TestRefusals(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	run(t, small(), dir, false, 6)
	expect := func(name string, err error, want ...string) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: no error", name)
			return
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q does not say %q", name, err, w)
			}
		}
	}
	_, err := start(t, small(), dir, false, sources(), &quiet{})
	expect("a run that exists", err, "already holds a run", "keyhole resume")

	changed := small()
	changed.Train.LR = 5e-4
	_, err = start(t, changed, dir, true, sources(), &quiet{})
	expect("another config", err, "train.lr", "another config")

	held, err := lock.Folder(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = start(t, small(), dir, true, sources(), &quiet{})
	expect("a run in use", err, "in use")
	if err := held.Unlock(); err != nil {
		t.Fatal(err)
	}

	tight := small()
	tight.Memory.Limit = 1
	none := filepath.Join(t.TempDir(), "deep", "x")
	_, err = start(t, tight, none, false, sources(), &quiet{})
	expect("too little memory", err, "memory.limit", "MiB")
	if _, err := os.Stat(filepath.Dir(none)); err == nil {
		t.Error("a refused run leaves a folder")
	}

	large := tight
	large.Hypernet.Rank = 256
	_, err = start(t, large, filepath.Join(t.TempDir(), "x"), false, sources(), &quiet{})
	expect("too large a network", err, "memory.limit", "parameters")

	path := filepath.Join(dir, "checkpoints", "step-000006", "phi.safetensors")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = start(t, small(), dir, true, sources(), &quiet{})
	expect("a flipped bit", err, "phi.safetensors")
}

// TestARunKilledBeforeItsConfigIsTypedAgain: what such a run leaves is no run
// that could be resumed.
func TestARunKilledBeforeItsConfigIsTypedAgain(t *testing.T) {
	for _, c := range []struct {
		name, left string
		again      bool
	}{
		{"locks alone", "checkpoints/.lock", true},
		{"a checkpoint in the making", "checkpoints/.step-000003.unfinished-1-0", true},
		{"a checkpoint", "checkpoints/step-000003", false},
		{"a config", "config.yaml", false},
	} {
		dir := t.TempDir()
		for _, name := range []string{".lock", "checkpoints/.lock", c.left} {
			path := filepath.Join(dir, name)
			must(t, os.MkdirAll(filepath.Dir(path), 0o777))
			must(t, os.WriteFile(path, nil, 0o666))
		}
		l, err := start(t, small(), dir, false, sources(), &quiet{})
		if again := err == nil; again != c.again {
			t.Errorf("%s: started again %v (%v), want %v", c.name, again, err, c.again)
		}
		if err == nil {
			must(t, l.Close())
		}
	}
}

// TestNotFinite: a model whose last norm is not a number leaves every example
// out until the run stops, naming edit and node.
func TestNotFinite(t *testing.T) {
	c := small()
	c.Train.MaxSkips, c.Train.ValEvery = 4, 0
	src := sources()
	src.Model = func() (*lm.Model, error) {
		m, err := embedded.Model()
		if err != nil {
			return nil, err
		}
		p, ok := m.Param("transformer.ln_f.weight")
		if !ok {
			t.Fatal("no last norm")
		}
		v, err := p.Values()
		if err != nil {
			return nil, err
		}
		bad := append([]float32(nil), v...)
		bad[0] = float32(math.NaN())
		_, err = p.Replace(bad)
		return m, err
	}
	q := &quiet{}
	l, err := start(t, c, filepath.Join(t.TempDir(), "run"), false, src, q)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = l.Run(context.Background())
	if err == nil || !strings.Contains(err.Error(), "non-finite value at") || !strings.Contains(err.Error(), "edit ") {
		t.Errorf("got %v", err)
	}
	if len(q.skipped) != c.Train.MaxSkips+1 {
		t.Errorf("%d examples left out, want %d", len(q.skipped), c.Train.MaxSkips+1)
	}
}

func TestOpenEditorTakesTheBestCheckpoint(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	run(t, small(), dir, false, 0)
	e, c, err := train.OpenEditor(dir, sources(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Net.Flat) == 0 || c.Step == 0 {
		t.Errorf("step %d with %d parameters", c.Step, len(e.Net.Flat))
	}
	if _, _, err := train.OpenEditor(t.TempDir(), sources(), nil); err == nil || !strings.Contains(err.Error(), "neither a run folder") {
		t.Errorf("an empty folder: %v", err)
	}
}

// TestDamageIsNoReasonToTakeSomethingElse: a damaged or missing pointer to the
// best does not mean the last, and a damaged line of the log stays.
func TestDamageIsNoReasonToTakeSomethingElse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	c := small()
	c.Train.Steps, c.Train.ValEvery = 6, 3
	run(t, c, dir, false, 0)
	best := filepath.Join(dir, "checkpoints", "best")
	whole, err := os.ReadFile(best)
	must(t, err)
	for bit := range 8 * len(whole) {
		bad := bytes.Clone(whole)
		bad[bit/8] ^= 1 << (bit % 8)
		must(t, os.WriteFile(best, bad, 0o666))
		if _, _, err := train.OpenEditor(dir, sources(), nil); err == nil || !strings.Contains(err.Error(), "best") {
			t.Fatalf("bit %d of best flipped: %v", bit, err)
		}
	}
	must(t, os.Remove(best))
	if _, _, err := train.OpenEditor(dir, sources(), nil); err == nil || !strings.Contains(err.Error(), "best is missing") {
		t.Errorf("without best: %v", err)
	}
	log := filepath.Join(dir, "log.jsonl")
	lines, err := os.ReadFile(log)
	must(t, err)
	bad := bytes.Clone(lines)
	bad[len(bad)/2] ^= 1 << 6
	must(t, os.WriteFile(log, bad, 0o666))
	l, err := start(t, c, dir, true, sources(), &quiet{})
	must(t, err)
	if notes := l.Notes(); len(notes) != 1 || !strings.Contains(notes[0], "log.jsonl line") {
		t.Errorf("notes %q", notes)
	}
	must(t, l.Close())
	if after, err := os.ReadFile(log); err != nil || !bytes.Equal(after, bad) {
		t.Errorf("the log of %d bytes became one of %d (%v)", len(bad), len(after), err)
	}
	if back, err := os.ReadFile(best); err != nil || !bytes.Equal(back, whole) {
		t.Errorf("resume puts best back as %q, %v", back, err)
	}
	if _, err := train.ReadLog(dir); err == nil || !strings.Contains(err.Error(), "line") {
		t.Errorf("the damaged log is read: %v", err)
	}
}

func TestOptionsHoldForEmbeddedEdits(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	for want, change := range map[string]func(*train.Config){
		`no split "x"`:           func(c *train.Config) { c.Data.Split = "x" },
		`no split "y"`:           func(c *train.Config) { c.Data.ValSplit = "y" },
		"edits to leave out":     func(c *train.Config) { c.Data.Exclude = []string{none} },
		"open neighbours":        func(c *train.Config) { c.Data.Neighbors = none },
		"share subjects":         func(c *train.Config) { c.Data.Split = "val" },
		"data.propagation is":    func(c *train.Config) { c.Data.Propagation = 2 },
		"data.val_split is":      func(c *train.Config) { c.Data.Train, c.Data.ValSplit = edits(t, 20), "val" },
		"model.path is \"\" and": func(c *train.Config) {},
		"data.train is \"\" and": func(c *train.Config) {},
	} {
		c, src := small(), sources()
		change(&c)
		switch {
		case strings.HasPrefix(want, "model.path"):
			src.Model = nil
		case strings.HasPrefix(want, "data.train"):
			src.Edits = nil
		}
		if _, err := start(t, c, filepath.Join(t.TempDir(), "run"), false, src, &quiet{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}

	trained := func(change func(*train.Config)) []byte {
		t.Helper()
		c := small()
		c.Train.Steps = 3
		change(&c)
		dir := filepath.Join(t.TempDir(), "run")
		run(t, c, dir, false, 0)
		return files(t, dir, "step-000003")["phi.safetensors"]
	}
	plain := trained(func(*train.Config) {})
	if !bytes.Equal(plain, trained(func(c *train.Config) {
		c.Model.Path, c.Data.Train, c.Data.Val, c.Data.Split, c.Data.ValSplit = "embedded", "embedded", "embedded", "train", "val"
	})) {
		t.Error("embedded by name trains otherwise")
	}
	for name, change := range map[string]func(*train.Config){
		"limit":   func(c *train.Config) { c.Data.Limit = 5 },
		"split":   func(c *train.Config) { c.Data.Split = "test" },
		"exclude": func(c *train.Config) { c.Data.Exclude = []string{edits(t, 5000)} },
	} {
		if bytes.Equal(plain, trained(change)) {
			t.Errorf("data.%s changes nothing", name)
		}
	}
}

// edits writes the first n embedded edits to train on into a file.
func edits(t *testing.T, n int) string {
	t.Helper()
	set, err := embedded.Edits(data.Options{Split: "train", Limit: n})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := data.WriteEdits(&b, set.Edits); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "edits.jsonl")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestARunWithoutStepsLeftStaysAsItIs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	c := small()
	c.Train.Steps, c.Train.ValEvery = 4, 0
	run(t, c, dir, false, 0)
	before, err := os.ReadFile(filepath.Join(dir, "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c.Train.Steps = 2
	l, err := start(t, c, dir, true, sources(), &quiet{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Run(context.Background()); err != nil || !l.Done() || l.Step() != 4 {
		t.Errorf("step %d, done %v (%v), want 4 steps, done", l.Step(), l.Done(), err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, "config.yaml")); err != nil || !bytes.Equal(after, before) {
		t.Errorf("config.yaml changed (%v):\n%s", err, after)
	}
	if summary, err := os.ReadFile(filepath.Join(dir, "summary.json")); err != nil || bytes.Contains(summary, []byte("best_")) {
		t.Errorf("the summary of a run without validation names a best step (%v):\n%s", err, summary)
	}
}

// TestParametersThatAreNotFiniteAreNotSaved trains with rates that no number
// survives.
func TestParametersThatAreNotFiniteAreNotSaved(t *testing.T) {
	c := small()
	c.Train.LR, c.Train.LRLR, c.Train.Accumulate, c.Train.Steps, c.Train.ValEvery, c.Train.SaveEvery = 3e38, 3e38, 1, 8, 0, 1
	dir := filepath.Join(t.TempDir(), "run")
	l, err := start(t, c, dir, false, sources(), &quiet{})
	must(t, err)
	defer l.Close()
	if err := l.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "finite") {
		t.Fatalf("got %v", err)
	}
	steps, err := filepath.Glob(filepath.Join(dir, "checkpoints", "step-*"))
	must(t, err)
	for _, s := range steps {
		if _, _, err := train.OpenEditor(s, sources(), nil); err != nil {
			t.Errorf("%s was saved: %v", s, err)
		}
	}
}

// TestWhatCannotFitIsRefusedBeforeItIsMade asks for more than any machine has.
func TestWhatCannotFitIsRefusedBeforeItIsMade(t *testing.T) {
	for name, change := range map[string]func(*train.Config){
		"accumulate":            func(c *train.Config) { c.Train.Accumulate = 1e9 },
		"accumulate one by one": func(c *train.Config) { c.Train.Accumulate, c.Train.Batch = 1e9, 1 },
		"both":                  func(c *train.Config) { c.Train.Accumulate, c.Train.Edits = 1e9, 1e9 },
	} {
		c := small()
		c.Memory.Limit = 1 << 20 // a TiB, whatever this machine has
		change(&c)
		dir := filepath.Join(t.TempDir(), "run")
		if _, err := start(t, c, dir, false, sources(), &quiet{}); err == nil || !strings.Contains(err.Error(), "memory") {
			t.Errorf("%s: got %v", name, err)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s: a folder is left", name)
		}
	}
	c := small()
	c.Hypernet.Hidden = 1e9
	r, err := configs.Load("", &c, configs.Options{})
	if err == nil || !strings.Contains(err.Error(), "n_hidden") {
		t.Errorf("n_hidden: got %v, %v", r, err)
	}
}
