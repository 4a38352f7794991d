package train

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/embedded"
	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/meta"
)

// silent is an observer that keeps what was left out.
type silent struct{ skipped []string }

func (*silent) Started(int, int)             {}
func (*silent) Stepped(Metrics, int)         {}
func (*silent) Validated(Metrics, bool)      {}
func (*silent) Saved(string)                 {}
func (s *silent) Skipped(id string, _ error) { s.skipped = append(s.skipped, id) }

// begin starts a run of one block of the embedded model, without validation.
func begin(t *testing.T, edits []data.Edit, model func() (*lm.Model, error), change func(*Config)) (*Loop, *silent) {
	t.Helper()
	c := Default()
	c.Model.Blocks, c.Hypernet.Rank, c.Train.ValEvery, c.Train.SaveEvery = 1, 4, 0, 0
	change(&c)
	r, err := configs.Load("", &c, configs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	src := Sources{Model: model, Edits: func(o data.Options) (*data.Set, error) {
		if o.Split == "train" {
			return &data.Set{Name: "train", Format: "keyhole", Edits: edits}, nil
		}
		return embedded.Edits(o)
	}}
	o := &silent{}
	l, err := Start(c, r, filepath.Join(t.TempDir(), "run"), false, src, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, o
}

// numbered are edits named by their place.
func numbered(n int) []data.Edit {
	list := make([]data.Edit, n)
	for i := range list {
		list[i] = data.Edit{
			ID: fmt.Sprint(i), Subject: fmt.Sprintf("Land %c", 'A'+i), Prompt: fmt.Sprintf("The capital of Land %c is", 'A'+i), TargetNew: "Rome",
			Locality: map[string][]data.Prompt{data.Unrelated: {{Prompt: "The capital of Norway is", Answers: [][]string{{"Oslo"}}}}},
		}
	}
	return list
}

func TestEditsComeInTheOrderThatWasAskedFor(t *testing.T) {
	const n, epochs = 7, 3
	ids := func(order string) (out []string) {
		l, _ := begin(t, numbered(n), embedded.Model, func(c *Config) { c.Data.Order = order })
		for range n * epochs {
			task, err := l.next(1)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, task.ID)
		}
		return out
	}
	var file []string
	for i := range n * epochs {
		file = append(file, fmt.Sprint(i%n))
	}
	if got := ids("file"); !slices.Equal(got, file) {
		t.Errorf("order: file gives %v, want %v", got, file)
	}
	shuffled := ids("shuffle")
	for e := range epochs {
		epoch := slices.Clone(shuffled[e*n : (e+1)*n])
		if slices.Equal(epoch, file[:n]) {
			t.Errorf("order: shuffle leaves epoch %d in the file's order", e)
		}
		if slices.Sort(epoch); !slices.Equal(epoch, file[:n]) {
			t.Errorf("order: shuffle gives %v in epoch %d, want each edit once", epoch, e)
		}
	}
}

// TestTheScheduleReachesTheStep: Adam's first step is as long as the rate, so
// in the first of ten steps of warmup every parameter goes a tenth of the way.
func TestTheScheduleReachesTheStep(t *testing.T) {
	moved := func(warmup int) (params, rates []float64) {
		l, _ := begin(t, numbered(4), embedded.Model, func(c *Config) {
			c.Train.Steps, c.Train.Warmup, c.Train.Accumulate, c.Train.LR, c.Train.LRLR = 1, warmup, 2, 1e-3, 1e-2
		})
		before := slices.Clone(l.Net.Flat)
		if err := l.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		all := make([]float64, len(before))
		for i, v := range l.Net.Flat {
			all[i] = float64(v - before[i])
		}
		cut := len(all) - l.Net.NumRates()
		return all[:cut], all[cut:]
	}
	size := func(x []float64) (sum float64) {
		for _, v := range x {
			sum += math.Abs(v)
		}
		return sum
	}
	params, rates := moved(0)
	slow, slowRates := moved(10)
	for _, c := range []struct {
		name       string
		full, slow []float64
	}{{"parameters", params, slow}, {"step sizes", rates, slowRates}} {
		if full := size(c.full); full == 0 || math.Abs(size(c.slow)/full-0.1) > 1e-3 {
			t.Errorf("the %s moved by %v in all without a warmup, by %v in its first of ten steps; want a tenth", c.name, full, size(c.slow))
		}
	}
}

// TestABadExampleLeavesTheNormaliserAsItWas: one of three examples has a
// locality text at a position where the model is broken, which shows when the
// normaliser has seen the example's edit already.
func TestABadExampleLeavesTheNormaliserAsItWas(t *testing.T) {
	const broken = 30
	model := func() (*lm.Model, error) {
		m, err := embedded.Model()
		if err != nil {
			return nil, err
		}
		p, ok := m.Param("transformer.wpe.weight")
		if !ok {
			t.Fatal("the embedded model has no positions")
		}
		v, err := p.Values()
		if err != nil {
			return nil, err
		}
		bad := slices.Clone(v)
		bad[broken*m.Config.Width] = float32(math.NaN())
		_, err = p.Replace(bad)
		return m, err
	}
	edits := numbered(3)
	edits[1].Locality = map[string][]data.Prompt{data.Unrelated: {{
		Prompt: strings.Repeat("The capital of Norway is Oslo. ", broken), Answers: [][]string{{"Oslo"}},
	}}}
	settings := func(c *Config) { c.Data.Order, c.Data.MaxLen, c.Train.Accumulate = "file", broken+5, 3 }

	good, _ := begin(t, edits, model, settings)
	var tasks []meta.Task
	for i := range edits {
		task, err := good.next(1)
		if err != nil {
			t.Fatal(err)
		}
		if i != 1 {
			tasks = append(tasks, task)
		}
	}
	if _, err := good.oneByOne(tasks); err != nil {
		t.Fatal(err)
	}

	l, o := begin(t, edits, model, settings)
	if _, n, err := l.step(); err != nil || n != 2 {
		t.Fatalf("a step of %d edits (%v), want 2", n, err)
	}
	if !slices.Equal(o.skipped, []string{"1"}) {
		t.Errorf("left out %v, want the second edit", o.skipped)
	}
	if got, want := remembered(t, l), remembered(t, good); !reflect.DeepEqual(got, want) || want[0].Name == "normaliser0" {
		t.Errorf("the learner remembers %s rows, want the %s of the good examples, with their means", got[0].Name, want[0].Name)
	}
}

// remembered is all that a loop's learner remembers beside its parameters.
func remembered(t *testing.T, l *Loop) []hypernet.Tensor {
	t.Helper()
	var out []hypernet.Tensor
	err := l.Learner().Remembered(func(k hypernet.Kept) error {
		out = append(out, hypernet.Tensor{Name: fmt.Sprint(k.File, *k.Rows)})
		out = append(out, k.Tensors...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestTheTimeOfAStepIsThatOfItsTokens: whichever texts the trial has, the plan says
// the time of texts of the mean length.
func TestTheTimeOfAStepIsThatOfItsTokens(t *testing.T) {
	all, err := embedded.Edits(data.Options{Split: "train"})
	if err != nil {
		t.Fatal(err)
	}
	for _, mix := range [][]int{nil, {1, 4}} {
		l, _ := begin(t, all.Edits, embedded.Model, func(c *Config) { c.Train.Accumulate, c.Train.Mix = 4, mix })
		const steps = 60
		var first time.Duration
		total := 0
		for i := range steps {
			tasks, edits, err := l.draw()
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, task := range tasks {
				e, r := tokensOf(task)
				n += e + r
			}
			total += n
			took := l.usual(time.Duration(n)*time.Millisecond, tasks, edits)
			if first == 0 {
				first = took
			}
			if d := took - first; d.Abs() > time.Millisecond {
				t.Fatalf("mix %v, step %d: %v, the first %v", mix, i, took, first)
			}
		}
		if mean := time.Duration(total/steps) * time.Millisecond; (first - mean).Abs() > mean/10 {
			t.Errorf("mix %v: a step of %v in the mean is planned to take %v", mix, mean, first)
		}
	}
}
