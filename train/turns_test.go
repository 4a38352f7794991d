package train

import (
	"math"
	"slices"
	"testing"

	"keyhole.example/keyhole/embedded"
	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/meta"
)

// TestTurnsStayInTheModel: edits stay in the model until a sequence ends, and no
// longer than the run.
func TestTurnsStayInTheModel(t *testing.T) {
	l, _ := begin(t, numbered(8), embedded.Model, func(c *Config) {
		c.Train.Steps, c.Train.Accumulate, c.Train.Turns, c.Train.BackDepth = 100, 1, 3, 2
		c.Hypernet.Update.Rule = hypernet.Solve
	})
	weights := func() []float32 {
		v, err := l.Sites[0].Linear.W.Values()
		if err != nil {
			t.Fatal(err)
		}
		return slices.Clone(v)
	}
	base := weights()
	step := func() {
		t.Helper()
		if _, _, err := l.step(); err != nil {
			t.Fatal(err)
		}
	}
	step() // the first example has one row of each weight, and so no update
	step()
	first := weights()
	if slices.Equal(first, base) {
		t.Error("the second turn left nothing in the model")
	}
	if n := len(l.turns.seen); n != 1 {
		t.Errorf("%d turns are looked back at beside the own one, want 1", n)
	}
	again, err := l.turns.lift(l.Sites)
	if err != nil || !slices.Equal(weights(), base) {
		t.Errorf("lifted, the weights are not the base model's (%v)", err)
	}
	again()
	if !slices.Equal(weights(), first) {
		t.Error("they are not put back")
	}
	step()
	if !slices.Equal(weights(), base) || l.state.Turn != 0 {
		t.Error("the third of three turns did not end the sequence")
	}
	step()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(weights(), base) {
		t.Error("the run leaves its edits in the model")
	}
}

// TestTheReferenceOfTurnsClipsWhatAddsUp: under compat: reference one step of the
// optimiser has all turns, whose gradients are clipped together behind each.
func TestTheReferenceOfTurnsClipsWhatAddsUp(t *testing.T) {
	l, _ := begin(t, numbered(8), embedded.Model, func(c *Config) {
		c.Compat, c.Train.Accumulate, c.Train.Turns, c.Train.Edits, c.Train.Part, c.Train.GradClip = "reference", 2, 2, 3, 2, 1e-3
		c.Hypernet.Kind, c.Hypernet.Update.Rule, c.Hypernet.Update.Values, c.Hypernet.Update.Ridge = "malmen", hypernet.Solve, hypernet.Product, 1
		c.Hypernet.EditLR = 1
	})
	if o := l.Config.Objective; !o.Late || !o.Short || o.Descent || o.DeltaScale != "batch_mean" {
		t.Errorf("compat: reference means %+v", o)
	}
	if c := l.Objective.Cut; c.Size != 2 || !c.Sorted {
		t.Errorf("cut %+v", c)
	}
	l.divisor = 1
	l.turns.begin(l)
	var tasks []meta.Task
	for range 2 {
		x, err := l.next(3)
		if err != nil {
			t.Fatal(err)
		}
		tasks = append(tasks, x)
	}
	if _, err := l.gradients(tasks); err != nil {
		t.Fatal(err)
	}
	if n := math.Sqrt(l.Engine.SumSquares(l.grads)); n > 1.001e-3 || n < 0.999e-3 {
		t.Errorf("the gradients' norm is %g, clipped at 1e-3", n)
	}
}

func TestTurnsThatCannotBe(t *testing.T) {
	for name, change := range map[string]func(c *Config){
		"within a step": func(c *Config) { c.Train.Turns = 7 },
		"mixed":         func(c *Config) { c.Train.Turns, c.Train.Mix = 10, []int{1, 2} },
		"no turns":      func(c *Config) { c.Train.BackDepth = 3 },
		"decay":         func(c *Config) { c.Train.Turns, c.Train.TimeDecay = 10, 0 },
	} {
		c := Default()
		change(&c)
		if c.Train.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	c := Default()
	c.Learner, c.Train.Turns = LearnSERAC, 10
	if c.Validate() == nil {
		t.Error("serac in turn: no error")
	}
	c = Default()
	c.Train.Part, c.Hypernet.Update.Rule, c.Hypernet.Update.Reach = 2, hypernet.Solve, 0.5
	if c.Validate() == nil {
		t.Error("a reach for parts: no error")
	}
}
