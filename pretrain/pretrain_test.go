package pretrain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/internal/lock"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
)

// small is a recipe that runs in a second.
func small(t *testing.T) Config {
	t.Helper()
	c := Default()
	c.Facts.Path = filepath.Join(t.TempDir(), "facts.jsonl")
	c.Model = ModelConfig{Layers: 2, Width: 32, Heads: 2, FFN: 64, Context: 32, Vocab: 400}
	c.Train.Epochs, c.Train.Batch, c.Train.LR, c.Train.Warmup = 60, 30, 1e-2, 10
	c.Edits = EditsConfig{Test: 6, Val: 4, PerFact: 3, Paraphrases: 2, Neighborhood: 2, Unrelated: 1, SameSubject: 1}
	c.Relations = []Relation{
		{ID: "P1", Patterns: []string{"[X] lives in [Y]", "The home of [X] is [Y]", "[X] stays in [Y]"}},
		{ID: "P2", Patterns: []string{"[X] speaks [Y]", "The language of [X] is [Y]", "[X] writes in [Y]"}},
	}
	objects := [][]string{{"Paris", "Rome", "Oslo"}, {"Latin", "Greek", "Dutch"}}
	var text bytes.Buffer
	for i := range 60 {
		name := fmt.Sprintf("%c%c", 'A'+i%7, 'a'+i%23)
		for r, list := range objects {
			fmt.Fprintf(&text, `{"relation_id":"P%d","subject":"%s%d","object":"%s"}`+"\n", r+1, name, i, list[(i*7+i/3+r)%3])
		}
	}
	if err := os.WriteFile(c.Facts.Path, text.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRunIsDeterministic(t *testing.T) {
	c := small(t)
	var made [2]map[string][]byte
	for i := range made {
		c.Threads = i + 1
		dir := filepath.Join(t.TempDir(), "out")
		steps := 0
		m, err := Run(context.Background(), c, dir, func(p Progress) { steps = p.Step })
		if err != nil {
			t.Fatal(err)
		}
		if m.Known < 0.95 {
			t.Errorf("known %.3f, want 0.95; loss %.3f", m.Known, m.Loss)
		}
		if want := c.Train.Epochs * (m.Sentences / c.Train.Batch); steps != want {
			t.Errorf("%d steps reported, want %d", steps, want)
		}
		if made[i], err = folder(dir); err != nil {
			t.Fatal(err)
		}
		checkOutput(t, dir, m)
	}
	if len(made[0]) != len(made[1]) {
		t.Fatalf("%d files, then %d", len(made[0]), len(made[1]))
	}
	for name, content := range made[0] {
		if !bytes.Equal(content, made[1][name]) {
			t.Errorf("%s differs between one thread and two", name)
		}
	}
}

// checkOutput loads what Run wrote.
func checkOutput(t *testing.T, dir string, m *Manifest) {
	t.Helper()
	model, err := lm.Load(filepath.Join(dir, ModelDir))
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	if model.Tokenizer == nil || model.Parameters() != m.Parameters {
		t.Errorf("the model has %d parameters, the manifest says %d", model.Parameters(), m.Parameters)
	}
	var sets []*data.Set
	for name, want := range map[string]int{TrainFile: m.Train, ValFile: m.Val, TestFile: m.Test} {
		s, err := data.Load(filepath.Join(dir, name), data.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Edits) != want {
			t.Errorf("%s holds %d edits, the manifest says %d", name, len(s.Edits), want)
		}
		for _, other := range sets {
			if err := data.Disjoint(s, other); err != nil {
				t.Error(err)
			}
		}
		sets = append(sets, s)
	}
}

func folder(dir string) (map[string][]byte, error) {
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		out[strings.TrimPrefix(path, dir)], err = os.ReadFile(path)
		return err
	})
	return out, err
}

func TestRunRefusesAndStops(t *testing.T) {
	c := small(t)
	taken := filepath.Join(t.TempDir(), "out")
	held, err := lock.Beside(taken)
	if err != nil {
		t.Fatal(err)
	}
	var used *lock.InUseError
	if _, err := Run(context.Background(), c, taken, nil); !errors.As(err, &used) {
		t.Errorf("where another process writes: error %v", err)
	}
	if err := held.Unlock(); err != nil {
		t.Fatal(err)
	}
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(context.Background(), c, full, nil); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a full folder: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := Run(ctx, c, dir, func(Progress) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run: %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a cancelled run left %s behind (%v)", dir, err)
	}
	c.Relations[0].ID = "P3"
	if _, err := Run(context.Background(), c, dir, nil); err == nil || !strings.Contains(err.Error(), "P3") {
		t.Errorf("a relation without facts: %v", err)
	}
	c.Facts.Path = filepath.Join(t.TempDir(), "none")
	if _, err := Run(context.Background(), c, dir, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file of facts: %v", err)
	}
}

func TestEditsAreCounterfactual(t *testing.T) {
	c := small(t)
	all, err := data.LoadFacts(c.Facts.Path, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	facts, err := chooseFacts(&c, all.Items)
	if err != nil {
		t.Fatal(err)
	}
	truth := map[string]bool{} // prompt and answer
	subjectOf := map[string]string{}
	for i := range facts {
		f := &facts[i]
		for k := range c.Relations[f.Relation].Patterns {
			truth[f.Prompt(&c, k)+"\x00"+f.Object] = true
			subjectOf[f.Prompt(&c, k)] = f.Subject
		}
	}
	s, err := makeEdits(&c, facts)
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]bool{}
	for _, e := range append(append([]data.Edit(nil), s.val...), s.test...) {
		held[e.Subject] = true
	}
	if len(held) != c.Edits.Val+c.Edits.Test {
		t.Errorf("%d held-out subjects", len(held))
	}
	for part, edits := range map[string][]data.Edit{"train": s.train, "val": s.val, "test": s.test} {
		for _, e := range edits {
			if truth[e.Prompt+"\x00"+e.TargetNew] || !truth[e.Prompt+"\x00"+e.TargetTrue[0]] {
				t.Errorf("%s: %+v is not counterfactual", part, e)
			}
			if len(e.Paraphrases) != c.Edits.Paraphrases || len(e.Locality[data.Neighborhood]) == 0 {
				t.Errorf("%s: %s lacks paraphrases or neighbours", part, e.ID)
			}
			for _, p := range e.Paraphrases {
				if subjectOf[p] != e.Subject || p == e.Prompt {
					t.Errorf("%s: %q is no paraphrase of %q", part, p, e.Prompt)
				}
			}
			for kind, prompts := range e.Locality {
				for _, p := range prompts {
					answer := p.Answers[0][0]
					if !truth[p.Prompt+"\x00"+answer] {
						t.Errorf("%s: %s prompt %q → %q is false", part, kind, p.Prompt, answer)
					}
					if kind == data.Neighborhood && (answer != e.TargetTrue[0] || subjectOf[p.Prompt] == e.Subject) {
						t.Errorf("%s: %q is no neighbour of %q", part, p.Prompt, e.Prompt)
					}
					if part == "train" && held[subjectOf[p.Prompt]] {
						t.Errorf("training edit %s asks about the held-out subject %s", e.ID, subjectOf[p.Prompt])
					}
				}
			}
		}
	}
	if want := c.Edits.PerFact - 1; len(s.train) < want*100 { // three objects leave two false ones
		t.Errorf("%d training edits", len(s.train))
	}
}

// TestGradient compares the graph's gradient with central differences. Losses
// of order 1 carry a rounding of about 1e-6, over a step of 1e-2.
func TestGradient(t *testing.T) {
	c := small(t)
	rng := rand.New(rand.NewPCG(1, 1))
	model, err := lm.New(c.Model.lm(300), rng)
	if err != nil {
		t.Fatal(err)
	}
	k, err := kernel.New(kernel.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	batch := []sentence{
		{ids: []int32{5, 9, 200, 7}, object: nn.Range{Lo: 2, Hi: 3}},
		{ids: []int32{9, 9, 12}, object: nn.Range{Lo: 0, Hi: 2}},
	}
	n, err := newNetwork(model, k, rows(batch, 2))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n.values {
		n.values[i] += float32(rng.NormFloat64() * 0.1)
	}
	loss := func() float64 {
		n.batch.set(batch, 1, 0.5)
		if err := n.machine.Run(false); err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, l := range n.machine.Value(n.loss).Data[:len(n.batch.labels.IDs)] {
			sum += float64(l)
		}
		return sum
	}
	loss()
	grads := append([]float32(nil), n.grads...)
	const step = 1e-2
	at := 0
	for _, p := range model.Params() {
		for range 3 {
			i := at + rng.IntN(p.Len())
			old := n.values[i]
			n.values[i] = old + step
			up := loss()
			n.values[i] = old - step
			down := loss()
			n.values[i] = old
			want := (up - down) / (2 * step)
			if diff := math.Abs(want - float64(grads[i])); diff > 1e-3+0.02*math.Abs(want) {
				t.Errorf("%s element %d: gradient %g, difference quotient %g", p.Name, i-at, grads[i], want)
			}
		}
		at += p.Len()
	}
}

func TestValidate(t *testing.T) {
	for _, bad := range []struct {
		want   string
		change func(*Config)
	}{
		{"relations", func(c *Config) { c.Relations = nil }},
		{"twice", func(c *Config) { c.Relations[1].ID = "P1" }},
		{"need two", func(c *Config) { c.Relations[0].Patterns = c.Relations[0].Patterns[:1] }},
		{"[Y] is the home", func(c *Config) { c.Relations[0].Patterns[0] = "[Y] is the home of [X]" }},
		{"in P1", func(c *Config) { c.Relations[1].Patterns[0] = c.Relations[0].Patterns[1] }},
		{"threads", func(c *Config) { c.Threads = -1 }},
	} {
		c := small(t)
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		bad.change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("want an error with %q, got %v", bad.want, err)
		}
	}
	c := Default()
	if err := c.Facts.Validate(); err == nil {
		t.Error("an empty path is accepted")
	}
	for name, change := range map[string]func(*Config){
		"heads": func(c *Config) { c.Model.Heads = 5 }, "vocab": func(c *Config) { c.Model.Vocab = 256 },
		"lr": func(c *Config) { c.Train.LR = 0 }, "beta2": func(c *Config) { c.Train.Beta2 = 1 },
		"share": func(c *Config) { c.Train.ContextShare = 2 }, "batch": func(c *Config) { c.Train.Batch = 0 },
		"test": func(c *Config) { c.Edits.Test = 0 },
	} {
		c := Default()
		change(&c)
		if c.Model.Validate() == nil && c.Train.Validate() == nil && c.Edits.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestHashIgnoresPathAndThreads(t *testing.T) {
	a, b := small(t), small(t)
	b.Facts.Path, b.Threads = "elsewhere", 7
	if a.Hash() != b.Hash() {
		t.Error("path or threads change the hash")
	}
	b.Seed++
	if a.Hash() == b.Hash() {
		t.Error("the seed does not change the hash")
	}
}
