package wise

import (
	"context"
	"fmt"
	"math"
	"slices"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/nn/graph"
	"keyhole.example/keyhole/text"
)

// trainer changes a side memory for one edit: rows are the edit in every context,
// the last one an unrelated text.
type trainer struct {
	k       *kernel.Engine
	site    lm.Site
	cfg     Config
	start   []float32 // the matrix, stored
	mask    []bool    // stored
	weight  *nn.Param // the side memory
	machine *graph.Machine
	sum     graph.Node // losses of the target's tokens
	grad    graph.Node
	margins *margins
	watch   func(step int, targets, margin float64, grad, weight []float32)
}

// newTrainer computes what enters the layer and builds the graph behind it.
func newTrainer(m *lm.Model, k *kernel.Engine, site lm.Site, cfg Config, texts []text.Text, weight []float32, mask []bool) (*trainer, error) {
	base, err := site.Linear.W.Values()
	if err != nil {
		return nil, err
	}
	w := site.Linear.W
	t := &trainer{k: k, site: site, cfg: cfg, start: base, mask: mask, weight: nn.NewParam("side", w.Rows, w.Cols, slices.Clone(weight))}
	packed, labels := &text.Packed{}, &graph.Labels{}
	t.margins = &margins{cfg: cfg, kind: m.Config.Activation, k: k}
	for i, x := range texts {
		if i == len(texts)-1 {
			x.Labels = nil // of the unrelated text nothing is asked
		}
		n := x.Wanted()
		if cfg.Compat == CompatReference {
			n++ // the published mask begins one position early, at a label without loss
		}
		rows, wanted := packed.Add(x)
		for range wanted.Hi - wanted.Lo {
			labels.Weight = append(labels.Weight, 1/float32(n*(len(texts)-1)))
		}
		t.margins.rows = append(t.margins.rows, rows)
	}
	seq, want := &packed.Seq, &packed.Want
	labels.IDs, want.Cap = packed.Labels, len(want.V)
	o := eager.New(k)
	o.OnLinear = func(l *nn.Linear, _, y kernel.Matrix) {
		if l == site.Linear {
			t.margins.before = y.Clone()
		}
	}
	x := lm.Embed[kernel.Matrix](o, m, &packed.IDs, seq)
	x = lm.Blocks[kernel.Matrix](o, m, x, 0, site.Block, seq, nil)
	states := x.Clone()
	lm.Blocks[kernel.Matrix](o, m, x, site.Block, site.Block+1, seq, nil)
	if err := o.Err(); err != nil {
		return nil, err
	}

	b := graph.New(k)
	side := b.Trainable(t.weight)
	var margin graph.Node
	b.OnLinear = func(l *nn.Linear, x, y graph.Node) graph.Node {
		if l != site.Linear {
			return y
		}
		z := b.MatMul(x, side, !l.InOut)
		if l.B != nil {
			z = b.AddBias(z, b.Trainable(l.B))
		}
		margin = t.margins.node(b, z)
		return z
	}
	in := b.Input("states", states.Rows, states.Cols)
	layers := m.Config.Layers
	h := lm.Blocks[graph.Node](b, m, in, site.Block, layers, seq, nil)
	h = lm.FinalNorm[graph.Node](b, m, b.Rows(h, want))
	t.sum = b.CrossEntropy(h, m.Head(), labels).Sum
	t.grad = b.Grad([]graph.Node{t.sum, margin}, side)[0]
	if t.machine, err = b.Compile(t.sum, margin, t.grad); err != nil {
		return nil, fmt.Errorf("build the graph: %w", err)
	}
	t.machine.Watch = true
	t.machine.Set(in, states)
	return t, nil
}

// run takes steps; distance is that of the edit's rows in the last forward pass.
func (t *trainer) run(ctx context.Context) (losses []float64, distance float64, err error) {
	const still, low, decay = 1e-4, 0.02, 1e-5
	w, err := t.weight.Values()
	if err != nil {
		return nil, 0, err
	}
	for step := range t.cfg.Steps {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		if err := t.machine.Run(false); err != nil {
			return nil, 0, fmt.Errorf("step %d: %w; a smaller edit_lr than %g may help", step+1, err, t.cfg.LR)
		}
		targets, x := 0.0, t.machine.Value(t.sum)
		for _, l := range x.Data[:x.Rows] {
			targets += float64(l)
		}
		n := len(losses)
		stop := n >= 2 && math.Abs(losses[n-1]-losses[n-2]) <= still && losses[n-1] <= low
		losses = append(losses, targets+t.margins.loss)
		distance = t.margins.mean()
		if stop {
			break
		}
		grad := slices.Clone(t.machine.Value(t.grad).Data[:len(w)])
		for i := range grad {
			if !t.mask[i] {
				grad[i] = 0
			}
		}
		for i, g := range grad {
			pull := float32(decay) * (w[i] - t.start[i])
			if t.cfg.Compat == CompatReference {
				pull = decay * w[i]
			}
			w[i] -= float32(t.cfg.LR) * (g + pull)
		}
		if t.watch != nil {
			t.watch(step, targets, t.margins.loss, grad, slices.Clone(w))
		}
		if c := float32(t.cfg.Clamp); c > 0 {
			for i, v := range w {
				w[i] = min(max(v, t.start[i]-c), t.start[i]+c)
			}
		}
	}
	return losses, distance, nil
}

// margins is the loss on activations. With d_j the distance of row j and d the
// last row's, it is mean⁺(d − d_j + γ) + mean⁺(d − α) + mean⁺(β − d_j), mean⁺ being
// the mean of what is positive.
type margins struct {
	cfg    Config
	kind   kernel.Activation
	k      *kernel.Engine
	rows   []nn.Range
	before kernel.Matrix // outputs of the matrix itself

	distances []float64 // of the last run
	loss      float64
	grad      []float32 // by the side memory's outputs
}

func (g *margins) mean() float64 {
	sum := 0.0
	for _, d := range g.distances[:len(g.distances)-1] {
		sum += d
	}
	return sum / float64(len(g.distances)-1)
}

// compute fills in the distances, the loss and its gradient for outputs y.
func (g *margins) compute(y []float32) {
	n, cols := g.before.Rows*g.before.Cols, g.before.Cols
	old, now := make([]float32, n), make([]float32, n)
	g.k.Activate(g.kind, old, g.before.Data[:n])
	g.k.Activate(g.kind, now, y[:n])
	lengths := make([]float64, g.before.Rows)
	g.distances = g.distances[:0]
	for _, r := range g.rows {
		sum := 0.0
		for i := r.Lo; i < r.Hi; i++ {
			square := 0.0
			for c := i * cols; c < (i+1)*cols; c++ {
				d := float64(now[c]) - float64(old[c])
				square += d * d
			}
			lengths[i] = math.Sqrt(square)
			sum += lengths[i]
		}
		g.distances = append(g.distances, sum/float64(r.Hi-r.Lo))
	}
	edits := len(g.distances) - 1
	apart := g.distances[edits]
	by := make([]float64, edits+1) // gradient by each distance
	term := func(list []float64, add func(i int, share float64)) float64 {
		sum, n := 0.0, 0
		for _, v := range list {
			if v > 0 {
				sum, n = sum+v, n+1
			}
		}
		for i, v := range list {
			if v > 0 {
				add(i, 1/float64(n))
			}
		}
		return sum / max(float64(n), 1)
	}
	var margin, least []float64
	for _, d := range g.distances[:edits] {
		margin, least = append(margin, apart-d+g.cfg.Gamma), append(least, g.cfg.Beta-d)
	}
	g.loss = term(margin, func(i int, s float64) { by[i] -= s; by[edits] += s }) +
		term([]float64{apart - g.cfg.Alpha}, func(_ int, s float64) { by[edits] += s }) +
		term(least, func(i int, s float64) { by[i] -= s })

	g.grad = make([]float32, n)
	for j, r := range g.rows {
		for i := r.Lo; i < r.Hi; i++ {
			if lengths[i] == 0 { // the subgradient 0 of a norm
				continue
			}
			scale := by[j] / float64(r.Hi-r.Lo) / lengths[i]
			for c := i * cols; c < (i+1)*cols; c++ {
				g.grad[c] = float32(scale * (float64(now[c]) - float64(old[c])))
			}
		}
	}
	g.k.ActivateGrad(g.kind, g.grad, y[:n], g.grad)
}

// node is the loss as a value of the graph: [1, 1].
func (g *margins) node(b *graph.Builder, y graph.Node) graph.Node {
	return b.Apply(&graph.Op{Kind: marginLoss, Attr: g, Rows: 1, Cols: 1}, y)
}

var marginLoss = &graph.Kind{
	Name: "margins",
	Host: graph.With(func(_ *graph.Ctx, g *margins, out *kernel.Matrix, in []kernel.Matrix) error {
		g.compute(in[0].Data)
		out.Rows = 1
		out.Data[0] = float32(g.loss)
		return nil
	}),
	Grad: func(b *graph.Builder, p *graph.Op, in []graph.Node, out, grad graph.Node) []graph.Node {
		return []graph.Node{b.Apply(&graph.Op{Kind: marginGrad, Attr: p.Attr, Cols: in[0].Shape()[1]}, in[0], grad, out)}
	},
}

var marginGrad = &graph.Kind{
	Name: "margins.grad",
	Host: graph.With(func(_ *graph.Ctx, g *margins, out *kernel.Matrix, in []kernel.Matrix) error {
		for i, v := range g.grad {
			out.Data[i] = v * in[1].Data[0]
		}
		return nil
	}),
}
