package ft

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
)

// tensor is one trained matrix with what Adam keeps of it.
type tensor struct {
	param *nn.Param // a copy that is trained, or a factor
	start []float32 // where it began; nil for factors
	grad  graph.Node
	m, v  []float32 // Adam's moments
}

// layer is a trained site: its weight and bias, or its two factors.
type layer struct {
	site         lm.Site
	weight, bias *tensor // bias may be nil
	u, d         *tensor // lora: [rank, in], [rank, out]
}

// trainer is the network from the first trained block on, as a graph, and the
// tensors that are trained in it.
type trainer struct {
	k       *kernel.Engine
	layers  []layer
	tensors []*tensor
	seq     nn.Sequences
	want    nn.RowSet
	labels  graph.Labels
	in, sum graph.Node
	machine *graph.Machine
}

// newTrainer copies the weights of sites and builds the graph for batches.
func (e *Editor) newTrainer(m *lm.Model, sites []lm.Site, first int, batches []*batch) (*trainer, error) {
	t := &trainer{k: e.k}
	rng := rand.New(rand.NewPCG(e.cfg.Seed, 0))
	for _, s := range sites {
		l, err := e.newLayer(s, rng)
		if err != nil {
			return nil, err
		}
		for _, x := range []*tensor{l.weight, l.bias, l.u, l.d} {
			if x != nil {
				x.m, x.v = make([]float32, x.param.Len()), make([]float32, x.param.Len())
				t.tensors = append(t.tensors, x)
			}
		}
		t.layers = append(t.layers, l)
	}
	rows := 0
	for _, b := range batches {
		rows, t.want.Cap = max(rows, b.Rows()), max(t.want.Cap, len(b.Want.V))
	}
	return t, t.build(e, m, first, rows)
}

// newLayer is a site with copies of its weights, or with fresh factors: the
// first uniform in ±1/√in, the second zero, so that training begins at the
// model as it is.
func (e *Editor) newLayer(s lm.Site, rng *rand.Rand) (layer, error) {
	l := layer{site: s}
	if e.cfg.Variant == "lora" {
		if widest := min(s.Linear.In, s.Linear.Out); e.cfg.Rank > widest {
			return l, fmt.Errorf("rank: %d is more than the width %d of %s; a change of that rank would be one of any", e.cfg.Rank, widest, s.Name)
		}
		u, d := make([]float32, e.cfg.Rank*s.Linear.In), make([]float32, e.cfg.Rank*s.Linear.Out)
		bound := 1 / math.Sqrt(float64(s.Linear.In))
		for i := range u {
			u[i] = float32((2*rng.Float64() - 1) * bound)
		}
		l.u = &tensor{param: nn.NewParam(s.Name+".u", e.cfg.Rank, s.Linear.In, u)}
		l.d = &tensor{param: nn.NewParam(s.Name+".d", e.cfg.Rank, s.Linear.Out, d)}
		return l, nil
	}
	var err error
	if l.weight, err = copied(s.Linear.W); err == nil && e.cfg.Bias && s.Linear.B != nil {
		l.bias, err = copied(s.Linear.B)
	}
	return l, err
}

func copied(p *nn.Param) (*tensor, error) {
	start, err := p.Values()
	if err != nil {
		return nil, err
	}
	return &tensor{param: nn.NewParam(p.Name, p.Rows, p.Cols, slices.Clone(start)), start: start}, nil
}

// build makes the graph: hidden states of at most rows rows → blocks from
// first on → loss at the wanted rows → gradients.
func (t *trainer) build(e *Editor, m *lm.Model, first, rows int) error {
	b := graph.New(e.k)
	index := map[*nn.Linear]*layer{}
	for i := range t.layers {
		index[t.layers[i].site.Linear] = &t.layers[i]
	}
	b.OnLinear = func(l *nn.Linear, x, y graph.Node) graph.Node {
		trained, ok := index[l]
		if !ok {
			return y
		}
		if trained.u != nil {
			return b.Add(y, b.Scale(b.MatMul(b.MatMul(x, b.Trainable(trained.u.param), true), b.Trainable(trained.d.param), false), e.scale()))
		}
		// y is left without a reader, so it is never computed.
		z := b.MatMul(x, b.Trainable(trained.weight.param), !l.InOut)
		switch {
		case trained.bias != nil:
			z = b.AddBias(z, b.Trainable(trained.bias.param))
		case l.B != nil:
			z = b.AddBias(z, b.Trainable(l.B)) // as it is: no gradient is asked for
		}
		return z
	}
	t.in = b.Input("states", rows, m.Config.Width)
	x := lm.Blocks[graph.Node](b, m, t.in, first, m.Config.Layers, &t.seq, &t.want)
	x = lm.FinalNorm[graph.Node](b, m, x)
	t.sum = b.CrossEntropy(x, m.Head(), &t.labels).Sum
	var params []graph.Node
	for _, x := range t.tensors {
		params = append(params, b.Trainable(x.param))
	}
	for i, g := range b.Grad([]graph.Node{t.sum}, params...) {
		t.tensors[i].grad = g
	}
	outputs := []graph.Node{t.sum}
	for _, x := range t.tensors {
		outputs = append(outputs, x.grad)
	}
	var err error
	if t.machine, err = b.Compile(outputs...); err != nil {
		return fmt.Errorf("build the graph: %w", err)
	}
	t.machine.Watch = true
	return nil
}

// loss computes the loss of a batch and, with it, the gradients.
func (t *trainer) loss(b *batch) (float64, error) {
	t.seq, t.want.V = b.Seq, b.Want.V
	t.want.Tasks = []nn.Range{{Lo: 0, Hi: len(b.Want.V)}}
	t.labels.IDs, t.labels.Weight = b.Labels, b.weights
	t.machine.Set(t.in, b.states)
	if err := t.machine.Run(false); err != nil {
		return 0, err
	}
	loss := t.machine.Value(t.sum)
	total := 0.0
	for _, v := range loss.Data[:loss.Rows] {
		total += float64(v)
	}
	return total, nil
}

// step moves the tensors by the gradients of the last loss, then clamps every
// entry to within norm of where it began, if norm is positive.
func (t *trainer) step(a kernel.Adam, number int, norm float32) error {
	for _, x := range t.tensors {
		w, err := x.param.Values()
		if err != nil {
			return err
		}
		t.k.AdamStep(w, t.machine.Value(x.grad).Data[:len(w)], x.m, x.v, a, number, 1)
		if norm > 0 {
			for i, start := range x.start {
				w[i] = min(max(w[i], start-norm), start+norm)
			}
		}
	}
	return nil
}
