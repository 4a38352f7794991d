package keyvalue

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
)

// ErrKnown says that the model gives the target already.
var ErrKnown = errors.New("the target is the model's present answer; there is nothing to edit")

// ErrUnheard says that no value can be found: in the last block a token reaches no
// later one.
var ErrUnheard = errors.New("the answer does not depend on this block at the looked-up token, as in the last block at a token before the prompt's last; edit an earlier block, or set fact_token to last")

// Settings steer Optimise.
type Settings struct {
	Search
	// Residual: the value is the block's output (MEMIT), not the MLP's (ROME).
	Residual bool
	// LossBlock is the block behind which the head reads; -1: the last.
	LossBlock int
	// EditKnown goes on although the model gives the target already.
	EditKnown bool
}

// Value is the outcome of an optimisation: v* = Init + Delta.
type Value struct {
	Init, Delta []float32 // [width]
	First, Last Loss
	Losses      []float64 // total, by forward run
	Clamped     int       // steps after which δ was projected back

	// Keys and Values are what enters the MLP's second linear layer at the looked-up
	// token of each prompt, [prompts, d_ff], and what leaves it, [prompts, d_model],
	// in the model as it is.
	Keys, Values kernel.Matrix
}

// Target is v*, [width].
func (v *Value) Target() []float64 {
	out := make([]float64, len(v.Init))
	for i := range out {
		out[i] = float64(v.Init[i]) + float64(v.Delta[i])
	}
	return out
}

// Loss is the parts of a loss, in nats.
type Loss struct {
	NLL   float64   // mean over prompts of the mean −log p of the target's tokens
	Each  []float64 // by prompt
	KL    float64   // weighted divergence on the essence prompt
	Decay float64   // weighted decay
}

// Total is the sum of the parts.
func (l Loss) Total() float64 { return l.NLL + l.KL + l.Decay }

// Optimise finds δ such that the model says the target when block's MLP (or the
// block itself) gives v₀ + δ instead of v₀ at the looked-up tokens, v₀ being
// what it gives in the bare prompt:
//
//	loss = NLL + KL·KL(p_δ ‖ p_0) + WeightDecay·‖δ‖/‖v₀‖²
//
// by Adam from 0, projecting δ into the ball of radius Clamp·‖v₀‖ after each
// step. The divergence is that of the essence prompt's looked-up token.
func Optimise(ctx context.Context, m *lm.Model, k *kernel.Engine, block int, f *Fact, s Settings) (*Value, error) {
	p, err := newProblem(m, k, newLayout(f), block, s)
	if err != nil {
		return nil, err
	}
	return p.solve(ctx)
}

// problem is a compiled optimisation.
type problem struct {
	s       Settings
	k       *kernel.Engine
	l       *layout
	machine *graph.Machine
	scores  graph.Node // of the labels, then, unless it has its own, of the essence
	essence graph.Node // of its row, where the loss is read from an earlier block; or nil
	grad    graph.Node
	init    []float32
	delta   []float32
	keys    kernel.Matrix // of the prompts
	values  kernel.Matrix
	// watch, if set, sees δ and the loss of each run, the gradient and δ after
	// Adam's step; both are nil for the last run.
	watch func(l Loss, delta, grad, moved []float32)
}

func newProblem(m *lm.Model, k *kernel.Engine, l *layout, block int, s Settings) (*problem, error) {
	if m.Config.NormAfter {
		return nil, fmt.Errorf("a value cannot be sought in a model of type %s: a norm stands between its MLPs and the residual stream; use mend, ft, lora or ike", m.Config.ModelType)
	}
	layers := m.Config.Layers
	blocks := layers
	if s.LossBlock >= 0 {
		blocks = s.LossBlock + 1
	}
	if block < 0 || block >= blocks || blocks > layers {
		return nil, fmt.Errorf("block %d, loss behind block %d: want a block from 0 to the loss's, of %d", block, blocks-1, layers)
	}
	was, err := keep(m, k, l, block, layers)
	if err != nil {
		return nil, err
	}
	d := m.Config.Width
	p := &problem{s: s, k: k, l: l, delta: make([]float32, d)}
	p.keys, p.values = was.input.Slice(0, l.prompts), picked(was.value, l.at[:l.prompts])
	value := was.value
	if s.Residual {
		value = was.state
	}
	at := int(l.at[0])
	p.init = slices.Clone(value.Data[at*d : (at+1)*d])

	sub := newSuffix(l, was.keys)
	labels, essence := &nn.RowSet{}, &nn.RowSet{V: []int32{int32(sub.here[l.essence])}, Cap: 1}
	obj := &objective{share: l.share, klShare: float32(s.KL)}
	for _, lab := range l.labels {
		labels.V, obj.ids = append(labels.V, int32(sub.here[lab.row])), append(obj.ids, lab.id)
	}
	labels.Cap = len(labels.V)
	places := make([]int32, len(l.at))
	for i, r := range l.at {
		places[i] = int32(sub.here[r])
	}

	b := graph.New(k)
	state, delta := b.Input("state", len(sub.rows), d), b.Input("delta", 1, d)
	// rows runs blocks [from, to) and picks rows, with all rows for what follows.
	rows := func(x graph.Node, from, to int, want *nn.RowSet) (all, picked graph.Node) {
		x = lm.Blocks[graph.Node](b, m, x, from, to, &sub.seqs, want)
		if to == layers && from < to { // the last block picked them
			return nil, x
		}
		return x, b.Rows(x, want)
	}
	head := func(j *objective, x graph.Node) (sum, scores graph.Node) {
		s := b.HeadLoss(lm.FinalNorm[graph.Node](b, m, x), nil, m.Head(), j)
		return s.Sum, s.Rows
	}
	x := b.AddToRows(state, delta, places)
	var sums []graph.Node
	if blocks == layers {
		both := &nn.RowSet{V: append(slices.Clone(labels.V), essence.V...), Cap: labels.Cap + 1}
		obj.ids = append(obj.ids, -1)
		_, picked := rows(x, block+1, layers, both)
		var sum graph.Node
		sum, p.scores = head(obj, picked)
		sums = []graph.Node{sum}
	} else { // the divergence is always that of what the model says
		all, picked := rows(x, block+1, blocks, labels)
		_, last := rows(all, blocks, layers, essence)
		sum, scores := head(obj, picked)
		kl, essence := head(&objective{ids: []int32{-1}, klShare: obj.klShare}, last)
		p.scores, p.essence, sums = scores, essence, []graph.Node{sum, kl}
	}
	p.grad = b.Grad(sums, delta)[0]
	outputs := []graph.Node{p.scores, p.grad}
	if p.essence != nil {
		outputs = append(outputs, p.essence)
	}
	if p.machine, err = b.Compile(outputs...); err != nil {
		return nil, err
	}
	p.machine.Watch = true
	start := kernel.Mat(make([]float32, len(sub.rows)*d), len(sub.rows), d)
	sub.gather(start.Data, was.state.Data, d)
	p.machine.Set(state, start)
	p.machine.Set(delta, kernel.Mat(p.delta, 1, d))
	return p, nil
}

func (p *problem) solve(ctx context.Context) (*Value, error) {
	d := len(p.delta)
	mean, square, step := make([]float32, d), make([]float32, d), make([]float32, d)
	adam := kernel.NewAdam(p.s.LR)
	initNorm := kernel.Norm64(p.init)
	if initNorm == 0 {
		return nil, errors.New("the value at the looked-up token is 0; nothing can be scaled by it")
	}
	v := &Value{Init: p.init, Keys: p.keys, Values: p.values}
	for it := range p.s.Steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := p.machine.Run(false); err != nil {
			return nil, err
		}
		loss, known := p.loss(initNorm)
		if it == 0 {
			if known && !p.s.EditKnown {
				return nil, ErrKnown
			}
			v.First = loss
		}
		v.Last, v.Losses = loss, append(v.Losses, loss.Total())
		if loss.Total() < p.s.StopLoss || it == p.s.Steps-1 {
			if p.watch != nil {
				p.watch(loss, p.delta, nil, nil)
			}
			break
		}
		copy(step, p.machine.Value(p.grad).Data)
		if it == 0 && kernel.Norm64(step) == 0 {
			return nil, ErrUnheard
		}
		if n := kernel.Norm64(p.delta); n > 0 {
			p.k.AXPY(step, float32(p.s.WeightDecay/(n*initNorm*initNorm)), p.delta)
		}
		before, grad := slices.Clone(p.delta), slices.Clone(step)
		p.k.AdamStep(p.delta, step, mean, square, adam, it+1, 1)
		if p.watch != nil {
			p.watch(loss, before, grad, p.delta)
		}
		if limit := p.s.Clamp * initNorm; kernel.Norm64(p.delta) > limit {
			p.k.Scale(p.delta, float32(limit/kernel.Norm64(p.delta)))
			v.Clamped++
		}
	}
	v.Delta = slices.Clone(p.delta)
	return v, nil
}

// loss reads the parts of the loss from the last run, and whether the bare
// prompt is answered by the target.
func (p *problem) loss(initNorm float64) (l Loss, known bool) {
	s := p.machine.Value(p.scores)
	l.Each = make([]float64, p.l.prompts)
	counts := make([]float64, p.l.prompts)
	known = true
	for i, lab := range p.l.labels {
		l.Each[lab.text] += float64(s.Data[i*s.Cols])
		counts[lab.text]++
		known = known && (lab.text > 0 || s.Data[i*s.Cols+1] == 1)
	}
	for i := range l.Each {
		l.Each[i] /= counts[i]
		l.NLL += l.Each[i] / float64(len(l.Each))
	}
	kl := s.Data[len(p.l.labels)*s.Cols:]
	if p.essence != nil {
		kl = p.machine.Value(p.essence).Data
	}
	l.KL = p.s.KL * float64(kl[0])
	l.Decay = p.s.WeightDecay * kernel.Norm64(p.delta) / (initNorm * initNorm)
	return l, known
}
