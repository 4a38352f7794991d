package wise

import (
	"context"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/edittest"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm/lmtest"
)

func tiny() Config {
	c := Default()
	c.Layer, c.Steps, c.LR, c.Save, c.Merge = "mlp.down@1", 5, 0.3, 2, 4
	c.Alpha, c.Beta, c.Gamma, c.ActRatio = 0.1, 0.5, 0.2, 0.5
	c.Contexts.Count, c.Contexts.Lengths, c.Contexts.Starts = 1, []int{3}, []string{"The"}
	return c
}

func requests(n int) []edit.Request {
	var out []edit.Request
	base := edittest.Requests()
	for i := range n {
		r := base[i%len(base)]
		r.ID = string(rune('a' + i))
		r.Prompt = strings.Repeat("Often ", i/len(base)) + r.Prompt
		out = append(out, r)
	}
	return out
}

func apply(t *testing.T, c Config, arch string, n int) (*Editor, *Memory) {
	t.Helper()
	ed, err := New(c, lmtest.Engine(t, 1), edittest.Facts())
	if err != nil {
		t.Fatal(err)
	}
	e, err := ed.Apply(context.Background(), edittest.TinyModel(t, arch), requests(n))
	if err != nil {
		t.Fatal(err)
	}
	return ed, e.Memory.(*Memory)
}

// TestEntriesOutsideTheMaskStay: in both orientations of the stored matrix, also
// after a merge, and none moves farther than the clamp.
func TestEntriesOutsideTheMaskStay(t *testing.T) {
	for _, arch := range edittest.Architectures() {
		c := tiny()
		c.Clamp = 0.01
		ed, m := apply(t, c, arch, 3)
		site, err := c.Site(edittest.TinyModel(t, arch))
		if err != nil {
			t.Fatal(err)
		}
		if len(m.saved) != 1 || m.fresh.change == nil {
			t.Fatalf("%s: %d memories", arch, len(m.saved))
		}
		for shard, change := range [][]float32{m.saved[0].change, m.fresh.change} {
			moved := 0
			for i, free := range ed.mask(site, shard*c.Save) {
				v := change[stored(site.Linear, i)]
				if v != 0 {
					moved++
				}
				if !free && v != 0 || math.Abs(float64(v)) > 0.01+1e-6 {
					t.Fatalf("%s, shard %d: entry %d, in the mask %v, moved by %v", arch, shard, i, free, v)
				}
			}
			if moved == 0 {
				t.Errorf("%s, shard %d: nothing moved", arch, shard)
			}
		}
	}
}

func TestWithoutEditsTheMatrixAnswers(t *testing.T) {
	m := &Memory{In: 2, Out: 2, Rules: Rules{ActRatio: 0.5, Retrieve: true}, fresh: side{threshold: never}}
	x := kernel.Mat([]float32{1, 2}, 1, 2)
	if way := m.way(x, x); way != wayMatrix {
		t.Errorf("way %v", way)
	}
	m.fresh = side{make([]float32, 4), 0.1} // a copy that has not changed
	if d := m.distance(m.fresh.change, x, x); d != 0 || m.way(x, x) != wayMatrix {
		t.Errorf("distance %v, way %v", d, m.way(x, x))
	}
}

func TestTIESOfOneIsTheOne(t *testing.T) {
	one := []float32{1, -2, 0, 0.5}
	if got := ties([][]float32{one}, []float64{1}, 1); !slices.Equal(got, one) {
		t.Errorf("got %v", got)
	}
	if got := ties([][]float32{one}, []float64{1}, 0.5); !slices.Equal(got, []float32{1, -2, 0, 0}) {
		t.Errorf("half of it is %v", got)
	}
	// the sign of the sum wins, and what has it is averaged
	if got := ties([][]float32{{3, 1}, {-1, 1}}, []float64{0.5, 0.5}, 1); !slices.Equal(got, []float32{3, 1}) {
		t.Errorf("two give %v", got)
	}
}

func TestShardsAreMergedWhenTheyAreFull(t *testing.T) {
	for retrieve, want := range map[bool]int{true: 1, false: 0} {
		c := tiny()
		c.Retrieve = retrieve
		_, m := apply(t, c, "llama", 4)
		if len(m.saved) != want || (m.main != nil) == retrieve || m.fresh.change != nil {
			t.Errorf("retrieve %v: %d memories, main %v", retrieve, len(m.saved), m.main != nil)
		}
	}
}

func TestASequenceGoesOnFromAFile(t *testing.T) {
	ed, memory := apply(t, tiny(), "gpt2", 3)
	m := edittest.TinyModel(t, "gpt2")
	p, err := memory.Pack()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ed.Open(context.Background(), m, p)
	if err != nil {
		t.Fatal(err)
	}
	next := requests(4)[3:]
	a, err := ed.Continue(context.Background(), m, &edit.Edited{Memory: memory}, next)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ed.Continue(context.Background(), m, &edit.Edited{Memory: again}, next)
	if err != nil {
		t.Fatal(err)
	}
	x, errX := a.Memory.Pack()
	y, errY := b.Memory.Pack()
	if errX != nil || errY != nil || !reflect.DeepEqual(x, y) {
		t.Error("it goes on differently")
	}
	if _, err := ed.Open(context.Background(), edittest.TinyModel(t, "llama"), p); err == nil || !strings.Contains(err.Error(), "another model") {
		t.Errorf("another model: %v", err)
	}
	c := tiny()
	c.Layer = "mlp.down@0"
	other, err := New(c, lmtest.Engine(t, 1), edittest.Facts())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Continue(context.Background(), m, &edit.Edited{Memory: memory}, next); err == nil || !strings.Contains(err.Error(), "layer") {
		t.Errorf("another layer: %v", err)
	}
	p.Tensors[0].Shape = []int{1, 2}
	if _, err := ed.Open(context.Background(), m, p); err == nil {
		t.Error("damaged memories were opened")
	}
}

func TestWrongSettingsAreNamed(t *testing.T) {
	for want, set := range map[string]func(*Config){
		"mask_ratio":      func(c *Config) { c.MaskRatio = 0 },
		"densities":       func(c *Config) { c.Density = 0 },
		"merge_freq":      func(c *Config) { c.Merge = 3 },
		"save_freq":       func(c *Config) { c.Save = 0 },
		"n_iter":          func(c *Config) { c.Steps = 0 },
		"act_ratio":       func(c *Config) { c.ActRatio = 0 },
		"keeps nothing":   func(c *Config) { c.ActRatio = 1.01 },
		"norm_constraint": func(c *Config) { c.Clamp = -1 },
		"compat":          func(c *Config) { c.Compat = "x" },
		"merge_alg":       func(c *Config) { c.Algorithm = "x" },
		"capacity":        func(c *Config) { c.Capacity = -1 },
	} {
		c := tiny()
		set(&c)
		if _, err := New(c, nil, edittest.Facts()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
}

// Every algorithm merges full shards, equal edits to equal bytes, and a sequence
// goes on from a file.
func TestEveryAlgorithmMerges(t *testing.T) {
	for _, name := range strings.Split(mergeNames(), ", ") {
		c := tiny()
		c.Algorithm = name
		ed, m := apply(t, c, "gpt2", 4)
		_, again := apply(t, c, "gpt2", 4)
		if len(m.saved) != 1 || slices.Max(m.saved[0].change) == 0 || !slices.Equal(m.saved[0].change, again.saved[0].change) {
			t.Errorf("%s: %d memories, or another merge of the same edits", name, len(m.saved))
		}
		p, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		model := edittest.TinyModel(t, "gpt2")
		read, err := ed.Open(t.Context(), model, p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ed.Continue(t.Context(), model, &edit.Edited{Memory: read}, requests(6)[4:]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// DARE keeps a share of the entries, and the mean of each.
func TestDrawnEntriesKeepTheMean(t *testing.T) {
	one := slices.Repeat([]float32{1}, 20000)
	a, _ := find("dare_linear")
	got := a.merge([][]float32{one}, []float64{1}, 0.25, rand.New(rand.NewPCG(1, 2)))
	sum, kept := 0.0, 0
	for _, v := range got {
		if v != 0 && v != 4 {
			t.Fatalf("an entry became %v", v)
		}
		if sum += float64(v); v != 0 {
			kept++
		}
	}
	if math.Abs(sum/20000-1) > 0.05 || math.Abs(float64(kept)/20000-0.25) > 0.02 {
		t.Errorf("mean %v, %d kept", sum/20000, kept)
	}
}

func TestSideMemoriesOfAnotherOrderAreRefused(t *testing.T) {
	_, two := apply(t, tiny(), "gpt2", 2)
	_, three := apply(t, tiny(), "gpt2", 3)
	if err := three.Follows(two); err != nil {
		t.Error(err)
	}
	turned := *two
	turned.Requests = []edit.Request{two.Requests[1], two.Requests[0]}
	for _, before := range []*Memory{&turned, three} {
		if err := two.Follows(before); err == nil || !strings.Contains(err.Error(), "do not go on from") {
			t.Errorf("error %v", err)
		}
	}
}

func TestFullSideMemoriesAreRefused(t *testing.T) {
	c := tiny()
	c.Capacity = 2
	ed, two := apply(t, c, "gpt2", 2)
	_, err := ed.Continue(t.Context(), edittest.TinyModel(t, "gpt2"), &edit.Edited{Memory: two}, requests(3)[2:])
	if err == nil || !strings.Contains(err.Error(), "the side memories are full: they hold 2 edits") {
		t.Errorf("error %v", err)
	}
}

// ties merges by TIES.
func ties(changes [][]float32, weights []float64, density float64) []float32 {
	a, _ := find(tiesName)
	return a.merge(changes, weights, density, nil)
}
