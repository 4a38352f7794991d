package meta

import (
	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
)

// look adds a step's look at the edit: the inner loss of the model with what the
// steps before made of it, its gradient at every site, and what the step's
// networks make of that, which site gets.
func (o *Objective) look(g *built, site []change, step int) {
	b := g.b
	raw := make([]hypernet.Raw, len(o.sites))
	handles := make([]graph.Node, len(o.sites))
	b.SetTasks(&o.inner.Seq.Tasks)
	b.OnLinear = func(l *nn.Linear, x, y graph.Node) graph.Node {
		i, ok := o.index[l]
		if !ok {
			return y
		}
		if step > 0 {
			f := site[i].f
			f.Key = &handles[0] // gradients of this pass stand apart from those of the edited texts
			y = b.LowRank(y, x, site[i].z, site[i].rate, f, b.Tasks())
		}
		y, handles[i] = b.Probe(y)
		raw[i] = hypernet.Raw{U: x, Tasks: b.Tasks(), Keep: &o.keep}
		if b.Tasks() != &o.inner.Seq.Tasks { // behind the last attention only wanted rows are left
			raw[i].Keep = &o.keepWanted
		}
		return y
	}
	x := lm.Blocks[graph.Node](b, o.model, g.hIn, o.Prefix.First, o.model.Config.Layers, &o.inner.Seq, &o.inner.Want)
	x = lm.FinalNorm[graph.Node](b, o.model, x)
	loss := b.CrossEntropy(x, o.model.Head(), &o.innerLabels)
	if step == 0 {
		g.innerS = loss
	}
	for i, delta := range b.Grad([]graph.Node{loss.Sum}, handles...) {
		raw[i].Delta = delta
	}
	if b.Err() != nil {
		return
	}
	at := 0 // the group's place among those of its step
	for _, grp := range o.Net.Groups {
		if grp.Step != step {
			continue
		}
		var mine []hypernet.Raw
		for _, i := range grp.Sites {
			mine = append(mine, raw[i])
		}
		layout := &hypernet.Layout{}
		if step == 0 {
			z0 := hypernet.Gather(b, grp, mine, layout)
			g.layouts, g.gathered = append(g.layouts, layout), append(g.gathered, z0)
			g.values, g.factors = append(g.values, o.Net.Transform(b, grp, z0, layout, &o.Mode)), append(g.factors, nil)
		} else {
			z := hypernet.Regather(b, grp, mine, g.layouts[at], layout)
			g.values[at] = b.Add(g.values[at], o.Net.Transform(b, grp, z, layout, &o.Mode))
		}
		first := g.layouts[at]
		g.factors[at] = o.Net.Update(b, grp, g.gathered[at], g.values[at], first)
		for m, i := range grp.Sites {
			site[i] = change{z: g.factors[at], rate: b.Trainable(o.Net.Rates[i]),
				f: graph.Factors{In: grp.In, Out: grp.Out, Sign: o.Sign(), Tasks: &first.Tasks[m], Block: &first.Blocks[m], Key: first,
					FixedU: o.Net.Config.Update.Rule != hypernet.Sum}}
		}
		at++
	}
}
