package grace

import (
	"context"
	"fmt"
	"slices"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/nn/graph"
	"keyhole.example/keyhole/text"
)

// asked is an edit's text in the unedited model.
type asked struct {
	text   text.Text
	prompt int
	states kernel.Matrix // what enters the layer's block, [tokens, d_model]
	query  []float32     // the layer's input at the prompt's last token, [in]
	output []float32     // and its output, [out]
}

// read runs the text up to the layer.
func read(m *lm.Model, k *kernel.Engine, s lm.Site, t text.Text) (*asked, error) {
	a := &asked{text: t, prompt: t.Prompt()}
	if a.prompt == 0 {
		a.prompt = len(t.IDs)
	}
	o := eager.New(k)
	o.OnLinear = func(l *nn.Linear, x, y kernel.Matrix) {
		if l == s.Linear {
			a.query, a.output = slices.Clone(row(x, a.prompt-1)), slices.Clone(row(y, a.prompt-1))
		}
	}
	ids, seq := text.Lay(t.IDs)
	x := lm.Embed[kernel.Matrix](o, m, ids, seq)
	x = lm.Blocks[kernel.Matrix](o, m, x, 0, s.Block, seq, nil)
	a.states = x.Clone()
	lm.Blocks[kernel.Matrix](o, m, x, s.Block, s.Block+1, seq, nil)
	return a, o.Err()
}

// trainer finds a value.
type trainer struct {
	k       *kernel.Engine
	machine *graph.Machine
	sum     graph.Node
	grad    graph.Node
	value   *nn.Param // [1, out]
	watch   func(step int, value []float32)
}

// newTrainer builds the blocks from the layer's on, with the value in the place
// of the layer's output where the rules say.
func newTrainer(m *lm.Model, k *kernel.Engine, s lm.Site, a *asked, r rules, start []float32) (*trainer, error) {
	t := &trainer{k: k, value: nn.NewParam("value", 1, s.Linear.Out, slices.Clone(start))}
	var rows []int32
	for i := range a.text.IDs {
		if r.replaced(i, a.prompt) {
			rows = append(rows, int32(i))
		}
	}
	b := graph.New(k)
	value := b.Trainable(t.value)
	b.OnLinear = func(l *nn.Linear, _, y graph.Node) graph.Node {
		if l != s.Linear {
			return y
		}
		return b.SetRows(y, value, rows)
	}
	in := b.Input("states", a.states.Rows, a.states.Cols)
	one := text.Pack(a.text)
	seq, want, labels := &one.Seq, &one.Want, &graph.Labels{IDs: one.Labels}
	for range labels.IDs {
		labels.Weight = append(labels.Weight, 1/float32(len(labels.IDs)))
	}
	want.Cap = len(want.V)
	layers := m.Config.Layers
	x := lm.Blocks[graph.Node](b, m, in, s.Block, layers-1, seq, nil)
	if s.Block == layers-1 { // rows are named as they stand in the whole text
		x = b.Rows(lm.Blocks[graph.Node](b, m, x, layers-1, layers, seq, nil), want)
	} else {
		x = lm.Blocks[graph.Node](b, m, x, layers-1, layers, seq, want)
	}
	t.sum = b.CrossEntropy(lm.FinalNorm[graph.Node](b, m, x), m.Head(), labels).Sum
	t.grad = b.Grad([]graph.Node{t.sum}, value)[0]
	var err error
	if t.machine, err = b.Compile(t.sum, t.grad); err != nil {
		return nil, fmt.Errorf("build the graph: %w", err)
	}
	t.machine.Watch = true
	t.machine.Set(in, a.states)
	return t, nil
}

// run takes steps of Adam and returns the losses before each.
func (t *trainer) run(ctx context.Context, c Config) (losses []float64, err error) {
	v, err := t.value.Values()
	if err != nil {
		return nil, err
	}
	mean, square := make([]float32, len(v)), make([]float32, len(v))
	adam := kernel.NewAdam(c.LR)
	for step := range c.Steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := t.machine.Run(false); err != nil {
			return nil, fmt.Errorf("step %d: %w; a smaller edit_lr than %g may help", step+1, err, c.LR)
		}
		loss, x := 0.0, t.machine.Value(t.sum)
		for _, l := range x.Data[:x.Rows] {
			loss += float64(l)
		}
		losses = append(losses, loss)
		if loss < c.StopLoss {
			break
		}
		t.k.AdamStep(v, slices.Clone(t.machine.Value(t.grad).Data[:len(v)]), mean, square, adam, step+1, 1)
		if t.watch != nil {
			t.watch(step, v)
		}
	}
	return losses, nil
}
