package meta

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sort"
	"strings"
	"testing"
	"weak"

	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/lmtest"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/text"
)

// tiny is an objective on a random model with three blocks, the last two of
// which are edited; the network's parameters are all away from their start.
func tiny(t testing.TB, arch string, threads int, change func(*hypernet.Config, *Config)) *Objective {
	t.Helper()
	cfg := lm.Config{ModelType: arch, Layers: 3, Width: 16, Heads: 2, FFN: 24, Vocab: 40, Context: 32, Eps: 1e-5, Activation: kernel.GELUTanh, Tied: true}
	if arch == "llama" {
		cfg.KVHeads, cfg.Activation, cfg.Rope = 1, kernel.SiLU, lm.Rope{Base: 1e4}
	}
	rng := rand.New(rand.NewPCG(7, 8))
	m, err := lm.New(cfg, rng)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params() { // larger weights, so that logits are far from flat
		v, _ := p.Values()
		for i := range v {
			v[i] += float32(0.3 * rng.NormFloat64())
		}
	}
	k := lmtest.Engine(t, threads)
	sites := m.DefaultSites(2)
	hc, oc := hypernet.Default(), Default()
	hc.Rank, hc.EditLR = 6, 0.01
	if change != nil {
		change(&hc, &oc)
	}
	net, err := hypernet.New(hc, sites, rng)
	if err != nil {
		t.Fatal(err)
	}
	for i := range net.Flat[:len(net.Flat)-net.NumRates()] {
		net.Flat[i] += float32(0.1 * rng.NormFloat64())
	}
	o, err := New(oc, m, net, k, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(net.Priors) > 0 {
		var texts []text.Text
		for _, x := range someTasks(20) {
			texts = append(texts, x.Loc...)
		}
		if err := o.TakePrior(texts); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// solving makes the network's rows an update by ridge regression under a moment.
func solving(h *hypernet.Config, _ *Config) {
	h.Update.Rule, h.Update.Prior, h.Update.Ridge, h.Update.Shrink = hypernet.Solve, hypernet.Moment, 0.05, 0.1
	h.EditLR = 0.1
}

// malmen is MALMEN's network, values and learned ridge.
func malmen(h *hypernet.Config, c *Config) {
	solving(h, c)
	h.Kind, h.EditLR = "malmen", 0.02
	u := &h.Update
	u.Prior, u.Ridge, u.Values, u.LearnRidge = hypernet.Identity, 1, hypernet.Product, true
}

// variants are the changes under which an update has the properties below.
var variants = map[string]func(*hypernet.Config, *Config){"sum": nil, "solve": solving, "two steps": twoSteps, "malmen": malmen}

// twoSteps is solving with a second look at the edit.
func twoSteps(h *hypernet.Config, c *Config) {
	solving(h, c)
	h.Update.Steps = 2
}

// someTasks makes n tasks of random tokens and unequal lengths.
func someTasks(n int) []Task {
	rng := rand.New(rand.NewPCG(9, 10))
	ids := func(n int) []int32 {
		out := make([]int32, n)
		for i := range out {
			out[i] = int32(rng.IntN(40))
		}
		return out
	}
	var tasks []Task
	for i := range n {
		target := ids(1 + rng.IntN(3))
		loc := text.Text{IDs: ids(4 + rng.IntN(5))}
		loc.Labels = make([]int32, len(loc.IDs))
		tasks = append(tasks, Task{
			ID:    fmt.Sprint(i),
			Inner: []text.Text{answerText(ids(3+rng.IntN(6)), target)},
			Outer: []text.Text{answerText(ids(3+rng.IntN(6)), target)},
			Loc:   []text.Text{loc}, LocOf: []int{0},
		})
	}
	return tasks
}

// besideOthers gives each task two texts that have to stay.
func besideOthers(tasks []Task) {
	rng := rand.New(rand.NewPCG(19, 20))
	for i := range tasks {
		for range 2 {
			t := text.Text{}
			for range 4 + rng.IntN(3) {
				t.IDs, t.Labels = append(t.IDs, int32(rng.IntN(40))), append(t.Labels, -1)
			}
			t.Rows = nn.Range{Lo: len(t.IDs) - 1 - rng.IntN(2), Hi: len(t.IDs)}
			tasks[i].Stay = append(tasks[i].Stay, t)
		}
	}
}

// TestNegativesChangeNoByteOfOtherTasks: a task's score is the same alone and in
// a batch of tasks with negatives, which do change it.
func TestNegativesChangeNoByteOfOtherTasks(t *testing.T) {
	o := tiny(t, "llama", 2, solving)
	warm(t, o)
	tasks := someTasks(5)
	without, err := o.Score(tasks)
	if err != nil {
		t.Fatal(err)
	}
	besideOthers(tasks)
	together, err := o.Score(tasks)
	if err != nil {
		t.Fatal(err)
	}
	for i := range tasks {
		alone, err := o.Score(tasks[i : i+1])
		if err != nil {
			t.Fatal(err)
		}
		if alone[0] != together[i] || alone[0] == without[i] {
			t.Errorf("task %d scores %+v alone, %+v in a batch, %+v without negatives", i, alone[0], together[i], without[i])
		}
	}
}

// warm gives the normaliser statistics.
func warm(t testing.TB, o *Objective) {
	t.Helper()
	if _, err := o.Step(someTasks(8), make([]float32, len(o.Net.Flat)), false); err != nil {
		t.Fatal(err)
	}
}

func raw(x any) []byte {
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, x); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func TestTasksTogetherScoreAsOneByOne(t *testing.T) {
	for name, change := range variants {
		o := tiny(t, "llama", 2, change)
		warm(t, o)
		tasks := someTasks(6)
		together, err := o.Score(tasks)
		if err != nil {
			t.Fatal(err)
		}
		for i := range tasks {
			alone, err := o.Score(tasks[i : i+1])
			if err != nil {
				t.Fatal(err)
			}
			if alone[0] != together[i] {
				t.Errorf("%s: task %d scores %+v alone, %+v in a batch", name, i, alone[0], together[i])
			}
		}
	}
}

func TestThreadsChangeNoByte(t *testing.T) {
	for name, change := range variants {
		var want []byte
		for _, threads := range []int{1, 2, 3, 5} {
			o := tiny(t, "llama", threads, change)
			grads := make([]float32, len(o.Net.Flat))
			if _, err := o.Step(someTasks(7), grads, false); err != nil {
				t.Fatal(err)
			}
			got := raw(grads)
			if want == nil {
				want = got
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s: %d threads give other gradients than one", name, threads)
			}
		}
	}
}

func TestCacheChangesNoByte(t *testing.T) {
	tasks := someTasks(6)
	run := func(limit int64, times int) []byte {
		o := tiny(t, "gpt2", 2, nil)
		o.Prefix.Cache = &text.Bounded[text.Computed]{Limit: limit}
		grads := make([]float32, len(o.Net.Flat))
		for range times {
			for _, g := range o.Net.Groups {
				g.Norm.State = hypernet.State{Mean: make([]float64, len(g.Norm.Mean)), S: make([]float64, len(g.Norm.S))}
			}
			if _, err := o.Step(tasks, grads, false); err != nil {
				t.Fatal(err)
			}
		}
		if times > 1 && limit > 1<<20 && o.Prefix.Hits == 0 {
			t.Error("the cache was never used")
		}
		return raw(grads)
	}
	off := run(0, 1)
	for name, got := range map[string][]byte{"cold": run(1<<24, 1), "warm": run(1<<24, 2), "too small": run(3000, 2)} {
		if !bytes.Equal(off, got) {
			t.Errorf("a %s cache changes the gradient", name)
		}
	}
}

func TestAccumulatedGradientIsTheSum(t *testing.T) {
	tasks := someTasks(6)
	one, two := tiny(t, "gpt2", 2, nil), tiny(t, "gpt2", 2, nil)
	a, b := make([]float32, len(one.Net.Flat)), make([]float32, len(one.Net.Flat))
	if _, err := one.Step(tasks, a, false); err != nil {
		t.Fatal(err)
	}
	for i := range tasks {
		if _, err := two.Step(tasks[i:i+1], b, i > 0); err != nil {
			t.Fatal(err)
		}
	}
	if w := worst(b, a); w > 1e-5 {
		t.Errorf("six steps of one task differ from one step of six by %.2e", w)
	}
}

// TestMetaGradient compares the gradient of the whole meta-loss with central
// differences, at the coordinates of each parameter where it is largest. The
// losses are of size 1 and known to about 1e-7; the steps move them by 0.0003
// at most, since larger ones cross edges of the clamp. 3 % of the parameter's
// largest gradient is allowed, which a wrong factor or a missing path would
// exceed; parameters with small gradients only are left out.
func TestMetaGradient(t *testing.T) {
	for _, c := range []struct {
		name   string
		arch   string
		change func(*hypernet.Config, *Config)
	}{
		{"solve", "gpt2", solving},
		{"solve, with a margin", "gpt2", func(h *hypernet.Config, c *Config) { solving(h, c); c.Margin, c.CMargin = 4, 0.5 }},
		{"solve, answer rows", "llama", func(h *hypernet.Config, c *Config) { solving(h, c); h.Update.Rows = hypernet.AnswerRows }},
		{"two steps", "llama", twoSteps},
		{"two steps of the answer rows", "gpt2", func(h *hypernet.Config, c *Config) { twoSteps(h, c); h.Update.Rows = hypernet.AnswerRows }},
		{"products, learned ridge", "gpt2", malmen},
		{"products, learned ridge, moment", "llama", func(h *hypernet.Config, c *Config) {
			malmen(h, c)
			h.Update.Prior, h.Update.Ridge, h.EditLR = hypernet.Moment, 0.1, 0.02
		}},
		{"squares", "gpt2", func(h *hypernet.Config, c *Config) { malmen(h, c); h.Update.Values, h.EditLR = hypernet.Square, 1e-3 }},
		{"solve beside negatives", "gpt2", func(h *hypernet.Config, c *Config) { solving(h, c); h.Update.Negatives = 2 }},
		{"solve for the identity", "gpt2", func(h *hypernet.Config, c *Config) {
			solving(h, c)
			h.Update.Prior = hypernet.Identity
			h.Update.Ridge = 1
		}},
		{"gpt2", "gpt2", nil},
		{"llama", "llama", nil},
		{"added", "gpt2", func(_ *hypernet.Config, o *Config) { o.Descent = false }},
		{"two networks", "gpt2", func(h *hypernet.Config, _ *Config) { h.Combine = false }},
		{"unshared", "gpt2", func(h *hypernet.Config, _ *Config) { h.Shared = false }},
		{"last layer linear", "gpt2", func(h *hypernet.Config, _ *Config) { h.LastLin = true }},
		{"rates alone", "gpt2", func(h *hypernet.Config, _ *Config) { h.Kind = "rates"; h.EditLR = 0.1 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := tiny(t, c.arch, 2, c.change)
			warm(t, o)
			tasks := someTasks(3)
			if o.Net.Config.Update.Rule == hypernet.Solve { // edits made together
				two := someTasks(6)
				for i := range tasks {
					tasks[i].Inner = append(tasks[i].Inner, two[3+i].Inner...)
					tasks[i].Outer = append(tasks[i].Outer, two[3+i].Outer...)
					tasks[i].Loc = append(tasks[i].Loc, two[3+i].Loc...)
					tasks[i].LocOf = append(tasks[i].LocOf, 1)
				}
			}
			if o.Net.Config.Update.Negatives > 0 {
				besideOthers(tasks)
			}
			if o.Net.Config.Update.Rows == hypernet.AnswerRows {
				for _, x := range tasks {
					for i := range x.Inner {
						if err := Mark(nil, &x.Inner[i], hypernet.AnswerRows, "", "", ""); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			// the gradient under frozen statistics
			grads := make([]float32, len(o.Net.Flat))
			if _, err := o.step(tasks, grads, false, false); err != nil {
				t.Fatal(err)
			}
			loss := func() float64 {
				out, err := o.Score(tasks)
				if err != nil {
					t.Fatal(err)
				}
				s := 0.0
				for _, r := range out {
					s += r.Total
				}
				return s
			}
			at, checked := 0, 0
			for _, p := range o.Net.Params() {
				v, _ := p.Values()
				g := grads[at : at+p.Len()]
				at += p.Len()
				if o.Net.Config.Update.Steps > 1 && !strings.HasPrefix(p.Name, "step2.") {
					continue // the factors of the second step follow the first one's values, which the gradient takes for constant
				}
				order := make([]int, len(g))
				for i := range order {
					order[i] = i
				}
				sort.Slice(order, func(a, b int) bool { return math.Abs(float64(g[order[a]])) > math.Abs(float64(g[order[b]])) })
				largest := math.Abs(float64(g[order[0]]))
				if largest < 0.02 {
					continue // below what differences of float32 losses can tell
				}
				for _, i := range order[:min(2, len(order))] {
					h := float32(math.Min(1e-3, 3e-4/math.Abs(float64(g[i]))))
					old := v[i]
					v[i] = old + h
					up := loss()
					v[i] = old - h
					down := loss()
					v[i] = old
					want := (up - down) / (2 * float64(h))
					if d := math.Abs(want - float64(g[i])); d > 0.03*largest {
						t.Errorf("%s[%d]: gradient %.5g, differences give %.5g", p.Name, i, g[i], want)
					}
					checked++
				}
			}
			if checked < 2 {
				t.Errorf("only %d coordinates could be checked", checked)
			}
		})
	}
}

func TestIdentityAtInit(t *testing.T) {
	o := tiny(t, "gpt2", 2, nil)
	fresh, err := hypernet.New(o.Net.Config, o.Net.Sites, rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range o.Net.Groups {
		fresh.Groups[i].Norm = g.Norm
	}
	f, err := New(Default(), o.model, fresh, o.k, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := bench{f, make([]float32, len(fresh.Flat))}
	if _, err := b.stepKeeping(someTasks(4)); err != nil {
		t.Fatal(err)
	}
	for gi, grp := range fresh.Groups {
		z0, z := b.g.training.Value(b.g.gathered[gi]), b.g.training.Value(b.g.factors[gi])
		n := z0.Rows * z0.Cols
		want := make([]float32, n)
		copy(want, z0.Data[:n])
		// the last task's rows are normalised by the final statistics
		q := b.g.layouts[gi].Tasks[len(grp.Sites)-1][3]
		d := z0.Cols
		if err := grp.Norm.Apply(want[q.Lo*d:q.Hi*d], z0.Data[q.Lo*d:q.Hi*d]); err != nil {
			t.Fatal(err)
		}
		for i := q.Lo * d; i < q.Hi*d; i++ {
			if want[i] != z.Data[i] {
				t.Fatalf("group %s: element %d is %v, normalised input %v", grp.Name, i, z.Data[i], want[i])
			}
		}
	}
}

// TestStepSizesAlone: with the raw gradient and a small step, the edit loss of
// the edited text itself falls when the update is subtracted and rises when it
// is added.
func TestStepSizesAlone(t *testing.T) {
	for _, descent := range []bool{true, false} {
		o := tiny(t, "gpt2", 2, func(h *hypernet.Config, c *Config) { h.Kind, h.EditLR, c.Descent = "rates", 0.01, descent })
		tasks := someTasks(4)
		for i := range tasks {
			tasks[i].Outer = tasks[i].Inner
		}
		out, err := o.Score(tasks)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range out {
			if fell := r.Edit < r.Inner; fell != descent {
				t.Errorf("descent %v: loss of task %d goes from %v to %v", descent, i, r.Inner, r.Edit)
			}
		}
	}
}

func TestImpossibleTasks(t *testing.T) {
	o := tiny(t, "gpt2", 1, nil)
	good := someTasks(1)[0]
	for name, change := range map[string]func(*Task){
		"no labels":    func(x *Task) { x.Inner = []text.Text{{IDs: []int32{1, 2}, Labels: []int32{-1, -1}}} },
		"no tokens":    func(x *Task) { x.Outer = []text.Text{{}} },
		"nothing":      func(x *Task) { x.Inner = nil },
		"no locality":  func(x *Task) { x.Loc = []text.Text{{IDs: []int32{1}, Labels: []int32{-1}}} },
		"too long":     func(x *Task) { x.Loc = []text.Text{{IDs: make([]int32, 33), Labels: make([]int32, 33)}} },
		"bad token id": func(x *Task) { x.Inner = []text.Text{{IDs: []int32{99, 1}, Labels: []int32{-1, 1}}} },
	} {
		task := good
		change(&task)
		if _, err := o.Score([]Task{task}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestBucket(t *testing.T) {
	for n := -2; n < 5000; n++ {
		b := Bucket(n)
		if b < n || n <= 0 && b != n || Bucket(b) != b && n > 0 {
			t.Fatalf("Bucket(%d) = %d", n, b)
		}
	}
}

// TestAnOldGraphsMemoryGoes: where more rows want a larger graph, nothing holds the
// memory of the one before, which would stand beside the new one's.
func TestAnOldGraphsMemoryGoes(t *testing.T) {
	o := tiny(t, "gpt2", 2, nil)
	list := someTasks(8)
	if _, err := o.Step(list[:1], make([]float32, len(o.Net.Flat)), false); err != nil {
		t.Fatal(err)
	}
	old := weak.Make(&o.memory.Idle()[0])
	if err := o.prepare(list, true); err != nil {
		t.Fatal(err)
	}
	if runtime.GC(); old.Value() != nil {
		t.Error("the old graph's memory is still held")
	}
	runtime.KeepAlive(o)
}
