package serac

import (
	"fmt"

	"keyhole.example/keyhole/encoder"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/meta"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
	"keyhole.example/keyhole/text"
)

// bounds are the largest sizes that a built graph serves: tokens, texts and pairs
// of the classifier; tokens and wanted rows of the counterfactual model.
type bounds struct{ tokens, texts, pairs, asked, want int }

func (n bounds) holds(o bounds) bool {
	return o.tokens <= n.tokens && o.texts <= n.texts && o.pairs <= n.pairs && o.asked <= n.asked && o.want <= n.want
}

// built is the graph of a step.
type built struct {
	machine *graph.Machine
	grads   []graph.Node

	in    encoder.Input // of the classifier
	first nn.RowSet     // each text's first row
	pairs []pair
	s     graph.Node // of the pairs; nil: the classifier is frozen
	given []float32  // its value, there
	scope graph.Node // loss of the pairs; nil: there is none

	asked  text.Packed // of the counterfactual model
	at     nn.IDs      // their positions
	logits graph.Node  // an input where that model is frozen; nil: not needed
	mix    mixture
	rows   graph.Node // what came of the rows
}

// sizes are those of the present step.
func (l *Learner) sizes() bounds {
	n := bounds{texts: len(l.step.texts), pairs: len(l.step.pairs), want: len(l.step.labels.IDs)}
	for _, t := range l.step.texts {
		n.tokens += len(l.Encoder.Tokens(t))
	}
	for _, q := range l.step.asked {
		n.asked += len(q.IDs)
	}
	return n
}

// ensure makes a graph that is large enough for the present step.
func (l *Learner) ensure() error {
	n := l.sizes()
	if l.g != nil && l.bound.holds(n) {
		return nil
	}
	up := func(a, b int) int { return max(a, meta.Bucket(max(b+b/4, 1))) } // some room, so that graphs are seldom rebuilt
	l.bound = bounds{up(l.bound.tokens, n.tokens), up(l.bound.texts, n.texts), up(l.bound.pairs, n.pairs), up(l.bound.asked, n.asked), up(l.bound.want, n.want)}
	l.g = nil
	var err error
	l.g, err = l.build(l.bound)
	return err
}

func (l *Learner) build(n bounds) (*built, error) {
	g := &built{}
	b := graph.New(l.Engine)
	var wrt []graph.Node
	for _, p := range l.inputs {
		wrt = append(wrt, b.Trainable(p))
	}
	var costs, outputs []graph.Node
	if !l.cfg.FreezeEncoder {
		g.in.Reserve(n.tokens)
		g.first.Cap = n.texts
		e := pool(b, l.Encoder.Pooled(), encoder.States[graph.Node](b, l.Encoder, &g.in), &g.in.Seq, &g.first)
		g.s = alike(b, l.measure, e, &g.pairs, n.pairs)
		outputs = append(outputs, g.s)
		if l.cfg.Supervised {
			g.scope = l.scopeLoss(b, g.s, &g.pairs)
			costs = append(costs, g.scope)
		}
	}
	switch {
	case !l.cfg.FreezeModel:
		m := l.Counterfactual
		g.asked.IDs.V, g.asked.Want.Cap = make([]int32, n.asked), n.want
		g.at.V = make([]int32, n.asked)
		x := lm.EmbedAt[graph.Node](b, m, &g.asked.IDs, &g.at)
		x = lm.Blocks[graph.Node](b, m, x, 0, m.Config.Layers, &g.asked.Seq, &g.asked.Want)
		g.logits = b.Linear(m.Head(), lm.FinalNorm[graph.Node](b, m, x))
	case !l.cfg.Supervised:
		g.logits = b.Input("logits", n.want, l.Base.Config.Vocab)
	}
	switch {
	case g.logits == nil:
	case l.cfg.Supervised:
		scores := b.CrossEntropyOf(g.logits, &g.mix.labels)
		g.rows = scores.Rows
		costs, outputs = append(costs, scores.Sum), append(outputs, scores.Rows)
	default:
		g.rows = mixed(b, g.logits, g.s, &g.mix)
		costs, outputs = append(costs, g.rows), append(outputs, g.rows)
	}
	g.grads = b.Grad(costs, wrt...)
	var err error
	if g.machine, err = b.CompileBound(&graph.Memory{}, g.grads, outputs...); err != nil {
		return nil, fmt.Errorf("build the graph: %w", err)
	}
	g.machine.Watch = l.watch
	return g, nil
}

// run computes the present step, and its gradient into grads.
func (g *built) run(l *Learner, grads []float32) error {
	s := &l.step
	g.pairs = s.pairs
	g.mix.labels, g.mix.kept = s.labels, s.kept
	if l.cfg.FreezeEncoder {
		var err error
		if g.given, err = l.similarities(); err != nil {
			return err
		}
	} else {
		var texts [][]int32
		g.first.V = g.first.V[:0]
		at := 0
		for _, t := range s.texts {
			ids := l.Encoder.Tokens(t)
			texts, g.first.V = append(texts, ids), append(g.first.V, int32(at))
			at += len(ids)
		}
		g.in.Set(texts)
	}
	if !l.cfg.Supervised {
		g.mix.pair = rowPairs(s)
		var err error
		if g.mix.base, err = l.logits(l.Base, s.plain); err != nil {
			return fmt.Errorf("base model: %w", err)
		}
	}
	switch {
	case !l.cfg.FreezeModel:
		g.ask(l)
	case !l.cfg.Supervised:
		h, err := l.logits(l.Counterfactual, s.asked)
		if err != nil {
			return fmt.Errorf("counterfactual model: %w", err)
		}
		g.machine.Set(g.logits, kernel.Mat(h, len(s.labels.IDs), l.Base.Config.Vocab))
	}
	for i, part := range nn.Split(grads, l.params) {
		g.machine.Bind(g.grads[i], part)
	}
	return g.machine.Run(false)
}

// ask lays the queries out for the counterfactual model.
func (g *built) ask(l *Learner) {
	g.asked.Reset()
	_, rows := g.asked.Add(l.step.asked...)
	g.asked.Want.Tasks = []nn.Range{rows}
	g.at.V = l.Counterfactual.PositionRows(g.at.V[:0], &g.asked.Seq)
}

// rowPairs are the pairs that decide about the rows.
func rowPairs(s *layout) []int {
	var out []int
	for i, q := range s.asked {
		for range q.Wanted() {
			out = append(out, s.gate[i])
		}
	}
	return out
}
