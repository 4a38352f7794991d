package meta

import (
	"fmt"

	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
)

// factors adds a look at the edit: the inner loss, and its gradient at every
// site. before may change the output y of a site's layer, given its input x.
func (o *Objective) factors(b *graph.Builder, hIn graph.Node, before func(site int, x, y graph.Node) graph.Node) ([]hypernet.Raw, graph.Scores) {
	raw := make([]hypernet.Raw, len(o.sites))
	handles := make([]graph.Node, len(o.sites))
	every := o.Net.EveryRow()
	want := &o.inner.Want
	if every {
		want = nil
	}
	b.SetTasks(&o.inner.Tasks)
	b.OnLinear = func(l *nn.Linear, x, y graph.Node) graph.Node {
		i, ok := o.index[l]
		if !ok {
			return y
		}
		y, handles[i] = b.Probe(before(i, x, y))
		raw[i] = hypernet.Raw{U: x, Tasks: b.Tasks(), Keep: &o.keep, Parts: &o.parts, Rows: o.bound.factors}
		if b.Tasks() != &o.inner.Tasks { // behind the last attention only wanted rows are left
			raw[i].Keep, raw[i].Parts, raw[i].Rows = &o.keepWanted, &o.partsWanted, o.bound.factorsWant
		}
		return y
	}
	x := lm.Blocks[graph.Node](b, o.model, hIn, o.Prefix.First, o.model.Config.Layers, &o.inner.Seq, want)
	if every {
		x = b.Pick(x, &o.inner.Want)
	}
	x = lm.FinalNorm[graph.Node](b, o.model, x)
	loss := b.CrossEntropy(x, o.model.Head(), &o.innerLabels)
	for i, delta := range b.Grad([]graph.Node{loss.Sum}, handles...) {
		raw[i].Delta = delta
	}
	return raw, loss
}

// look adds a step's look at the edit, in the model with what the steps before
// made of it, and what the step's networks make of that, which site gets.
func (o *Objective) look(g *built, site []change, step int) {
	b := g.b
	pass := new(int) // gradients of this pass stand apart from those of the edited texts
	raw, loss := o.factors(b, g.hIn, func(i int, x, y graph.Node) graph.Node {
		if step == 0 {
			return y
		}
		f := site[i].f
		f.Key = pass
		return b.LowRank(y, x, site[i].z, site[i].rate, f, b.Tasks())
	})
	if b.Err() != nil {
		return
	}
	if step == 0 {
		g.innerS = loss
	}
	for at, grp := range o.Net.At(step) {
		if step == 0 {
			layout := &hypernet.Layout{}
			z0 := hypernet.Gather(b, grp, of(grp, raw), layout, &o.Share, &o.Mode)
			g.layouts, g.gathered = append(g.layouts, layout), append(g.gathered, z0)
			g.values, g.factors = append(g.values, o.Net.Transform(b, grp, z0, layout, &o.Mode)), append(g.factors, nil)
			g.keys = append(g.keys, o.Net.Keys(b, grp, z0, layout))
		} else {
			g.values[at] = b.Add(g.values[at], o.more(b, grp, raw, g.layouts[at]))
		}
		first := g.layouts[at]
		g.factors[at] = o.Net.Update(b, grp, g.keys[at], g.gathered[at], g.values[at])
		fixed, lo := o.Net.FixedKeys(), 0
		if fixed {
			lo = grp.In
		}
		z := b.Shared(g.factors[at], &o.Share, &first.Tasks, lo)
		for m, i := range grp.Sites {
			site[i] = change{z: z, rate: b.Trainable(o.Net.Rates[i]),
				f: graph.Factors{In: grp.In, Out: grp.Out, Sign: o.Sign(), Tasks: &first.Tasks[m], Block: &first.Blocks[m], Key: first,
					FixedU: fixed, Share: &o.Share}}
		}
	}
	if step == 0 {
		g.first = append(g.first, g.factors...)
	}
}

// more adds what a later step's network makes of its look's factors, row by row
// where first has those of the first step.
func (o *Objective) more(b *graph.Builder, grp *hypernet.Group, raw []hypernet.Raw, first *hypernet.Layout) graph.Node {
	layout := &hypernet.Layout{}
	z := hypernet.Regather(b, grp, of(grp, raw), first, layout, &o.Share, &o.Mode)
	return o.Net.Transform(b, grp, z, layout, &o.Mode)
}

// of picks a group's sites.
func of(grp *hypernet.Group, raw []hypernet.Raw) []hypernet.Raw {
	var mine []hypernet.Raw
	for _, i := range grp.Sites {
		mine = append(mine, raw[i])
	}
	return mine
}

// again is the graph of one more look, in the model as it is.
type again struct {
	hIn     graph.Node
	values  []graph.Node // of the groups of the step
	machine *graph.Machine
}

// buildAgain makes the graph of a step's look.
func (o *Objective) buildAgain(step int) (*again, error) {
	b := graph.New(o.k)
	a := &again{hIn: b.Input("edit", o.bound.inner, o.model.Config.Width)}
	raw, _ := o.factors(b, a.hIn, func(_ int, _, y graph.Node) graph.Node { return y })
	for at, grp := range o.Net.At(step) {
		if b.Err() != nil {
			break
		}
		a.values = append(a.values, o.more(b, grp, raw, o.g.layouts[at]))
	}
	if err := b.Err(); err != nil {
		return nil, err
	}
	var err error
	a.machine, err = b.CompileIn(&o.memory, a.values...)
	return a, err
}

// Again takes a later step's look at the edits of the last call of First, in the
// model as it is now, which is to have what the steps before made of them. It
// returns what the look adds to their values, [site][task], [rows, out] each.
func (o *Objective) Again(step int) ([][]kernel.Matrix, error) {
	if step < 1 || step >= o.Net.Config.Update.Steps {
		return nil, fmt.Errorf("there is no step %d of %d", step+1, o.Net.Config.Update.Steps)
	}
	for len(o.g.again) < step {
		o.g.again = append(o.g.again, nil)
	}
	a := o.g.again[step-1]
	if a == nil {
		var err error
		if a, err = o.buildAgain(step); err != nil {
			return nil, err
		}
		o.g.again[step-1] = a
	}
	d := o.model.Config.Width
	a.machine.Set(a.hIn, kernel.Mat(o.hIn, len(o.hIn)/d, d))
	a.machine.Watch = o.Watch
	if err := a.machine.Run(false); err != nil {
		return nil, err
	}
	out := make([][]kernel.Matrix, len(o.sites))
	for gi, grp := range o.Net.At(step) {
		for m, i := range grp.Sites {
			rate, err := o.Net.Rates[i].Values()
			if err != nil {
				return nil, err
			}
			for _, q := range o.g.layouts[gi].Tasks[m] {
				v := copyColumns(a.machine.Value(a.values[gi]), q, grp.In, grp.In+grp.Out)
				o.k.Scale(v.Data, o.Sign()*rate[0])
				out[i] = append(out[i], v)
			}
		}
	}
	return out, nil
}
