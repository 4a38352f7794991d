package spread

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/keyvalue"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
)

// System makes of a site's keys what brings them nearer to their values.
type System interface {
	// Transform is what is needed of keys, [d_ff, n]: [any, n], column by column.
	Transform(site int, keys *mat.Dense) (*mat.Dense, error)
	// Solve is X, [d_ff, n], for the last n of all keys, transformed [any, all]:
	// the update is Rᵀ·Xᵀ for residuals R [n, d_model].
	Solve(site int, transformed *mat.Dense, n int) (*mat.Dense, error)
}

// Teller is a System that says more about the keys of the requests, [requests,
// d_ff], at a site, once the edit is made.
type Teller interface {
	Tell(site int, keys kernel.Matrix, report *edit.Edited)
}

// run makes the edit behind last, the latest of a sequence; nil: it is the first.
// Requests that cannot be granted are named by edit.RequestErrors.
func (ed *Editor) run(ctx context.Context, m *lm.Model, last *edit.Edited, requests []edit.Request) (*edit.Edited, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	sites, err := Sites(m, ed.method.Layers)
	if err != nil {
		return nil, err
	}
	if err := check(requests); err != nil {
		return nil, err
	}
	b := &batch{Method: &ed.method, k: ed.k, m: m, sites: sites, last: sites[len(sites)-1].Block}
	b.out = &edit.Edited{Editor: b.Name, Requests: slices.Clone(requests)}
	if err := b.begin(last); err != nil {
		return nil, err
	}
	earlier := 0
	if b.history != nil {
		earlier = len(b.history.Facts)
	}
	if b.system, err = b.System(m, sites, b.out, len(requests), earlier); err != nil {
		return nil, err
	}
	texts, err := ed.contexts.Of(m, ed.k, b.Config.Contexts)
	if err != nil {
		return nil, err
	}
	b.out.Add("contexts", 1+len(texts))
	if n := conflicts(requests); n > 0 {
		b.out.Add("conflicting_requests", n) // of one subject and different targets: they hurt each other
	}
	if err := b.targets(ctx, requests, texts); err != nil {
		return nil, err
	}
	if err := b.spread(ctx); err != nil {
		return nil, err
	}
	b.end()
	return b.out, nil
}

// check names every request that cannot become a fact.
func check(requests []edit.Request) error {
	if len(requests) == 0 {
		return keyvalue.CheckRequests(requests)
	}
	var errs []error
	for i := range requests {
		if err := keyvalue.CheckRequests(requests[i : i+1]); err != nil {
			errs = append(errs, &edit.RequestError{ID: requests[i].ID, Err: err})
		}
	}
	return errors.Join(errs...)
}

// conflicts counts requests whose subject an earlier one has with another
// target.
func conflicts(requests []edit.Request) int {
	n := 0
	first := map[string]string{}
	for _, r := range requests {
		target, seen := first[r.Subject]
		if seen && target != r.Target {
			n++
		}
		if !seen {
			first[r.Subject] = r.Target
		}
	}
	return n
}

// batch is one edit of several requests.
type batch struct {
	*Method
	k       *kernel.Engine
	m       *lm.Model
	sites   []lm.Site
	last    int // the last edited block
	facts   []*keyvalue.Fact
	z       []float64 // wanted outputs of the last edited block, [requests, width]
	system  System
	keys    []kernel.Matrix // of the requests, by site
	history *History
	out     *edit.Edited
}

// begin takes over the keys of earlier edits.
func (b *batch) begin(last *edit.Edited) error {
	if !b.History {
		return nil
	}
	b.history = &History{Keys: make([]kernel.Matrix, len(b.sites)), transformed: make([]*mat.Dense, len(b.sites))}
	for i, s := range b.sites {
		b.history.Sites = append(b.history.Sites, s.Name)
		b.history.Keys[i] = kernel.Mat(nil, 0, s.Linear.In)
	}
	var err error
	if b.history.Model, err = b.m.Hash(); err != nil || last == nil {
		return err
	}
	h, ok := last.Memory.(*History)
	if !ok {
		return fmt.Errorf("the edit before, by %s, has no keys of earlier edits; set history there too, or begin a new sequence", last.Editor)
	}
	if err := h.check(b.m, b.sites); err != nil {
		return err
	}
	if b.Replace {
		var n int
		if h, n = h.without(b.out.Requests); n > 0 {
			b.out.Add("replaced_facts", n)
		}
	}
	if n := h.sameSubject(b.out.Requests); n > 0 {
		b.out.Add("subjects_edited_before", n) // their keys are nearly those of earlier edits
	}
	b.out.Add("earlier_edits", len(h.Facts))
	b.history.Facts = slices.Clone(h.Facts)
	copy(b.history.Keys, h.Keys)
	copy(b.history.transformed, h.transformed)
	return nil
}

// end adds what the system has to say to the report, and the requests to the history.
func (b *batch) end() {
	if t, ok := b.system.(Teller); ok {
		for i, keys := range b.keys {
			t.Tell(i, keys, b.out)
		}
	}
	if b.history == nil {
		return
	}
	for _, r := range b.out.Requests {
		b.history.Facts = append(b.history.Facts, Known{r.ID, r.Prompt, r.Subject, r.Target})
	}
	b.history.own = len(b.out.Requests)
	b.out.Memory = b.history
}

// targets finds z for each request.
func (b *batch) targets(ctx context.Context, requests []edit.Request, contexts []string) error {
	settings := keyvalue.Settings{
		Search: b.Config.Search, Residual: true, LossBlock: b.LossLayer, EditKnown: b.Config.EditKnown || b.Config.Force,
	}
	var errs []error
	for i, r := range requests {
		if err := ctx.Err(); err != nil {
			return err
		}
		f, err := keyvalue.NewFact(b.m, r, contexts, b.Config.FactToken)
		if err != nil {
			errs = append(errs, &edit.RequestError{ID: r.ID, Err: err})
			continue
		}
		v, err := keyvalue.Optimise(ctx, b.m, b.k, b.last, f, settings)
		if err != nil {
			errs = append(errs, &edit.RequestError{ID: r.ID, Err: fmt.Errorf("edit %s: %w", r.ID, err)})
			continue
		}
		b.facts = append(b.facts, f)
		b.z = append(b.z, v.Target()...)
		add := func(name string, value any) { b.out.Add(fmt.Sprintf("%s[%d]", name, i), value) }
		add("subject", r.Subject)
		add("steps", len(v.Losses))
		add("loss_first", v.First.Total())
		add("loss", v.Last.Total())
		add("clamped_steps", v.Clamped)
	}
	return errors.Join(errs...)
}

// spread changes site after site in a model that has the earlier changes.
func (b *batch) spread(ctx context.Context) (err error) {
	before, err := keyvalue.Perplexity(b.m, b.k)
	if err != nil {
		return err
	}
	undo := func() {}
	defer func() { undo() }()
	reason := ""
	for i, s := range b.sites {
		if err := ctx.Err(); err != nil {
			return err
		}
		change, missing, err := b.site(i, len(b.sites)-i)
		if err != nil {
			return err
		}
		weight, err := s.Linear.W.Values()
		if err != nil {
			return err
		}
		norm := math.Sqrt(math.Max(change.Delta.SquaredNorm(), 0))
		ratio := norm / math.Sqrt(b.k.SumSquares(weight))
		b.out.Add(fmt.Sprintf("missing[%d]", s.Block), missing)
		b.out.Add(fmt.Sprintf("update_norm[%d]", s.Block), norm)
		b.out.Add(fmt.Sprintf("update_ratio[%d]", s.Block), ratio)
		if !(ratio <= b.Config.MaxRatio) {
			reason = fmt.Sprintf("the change of %s is larger than %v of the weight's norm", s.Name, b.Config.MaxRatio)
		}
		b.out.Changes = append(b.out.Changes, change)
		undo()
		undo = func() {}
		again, err := b.out.Install(b.m, b.k)
		if err != nil {
			return err
		}
		undo = again
	}
	after, err := keyvalue.Perplexity(b.m, b.k)
	if err != nil {
		return err
	}
	b.out.Add("perplexity_before", before)
	b.out.Add("perplexity_after", after)
	if worse := b.Config.Ruins(before, after); worse != "" {
		reason = worse
	}
	return b.Config.Refuse(reason, b.out.Report)
}

// site makes the change of site i, which brings the outputs of the last edited
// block one part of left nearer to z. missing is how far they are from it now,
// relative to z.
func (b *batch) site(i, left int) (c edit.Change, missing float64, err error) {
	s := b.sites[i]
	n, in, out := len(b.facts), s.Linear.In, b.m.Config.Width
	keys, now, err := b.states(s.Block)
	if err != nil {
		return c, 0, err
	}
	residual := make([]float64, n*out)
	var gone, all float64
	for i := range residual {
		d := b.z[i] - now[i]
		residual[i] = d / float64(left)
		gone, all = gone+d*d, all+b.z[i]*b.z[i]
	}
	x, err := b.solve(i, keys)
	if err != nil {
		return c, 0, err
	}
	d := &nn.Delta{U: kernel.Mat(make([]float32, n*in), n, in), D: kernel.Mat(make([]float32, n*out), n, out), Scale: 1}
	for i := range n {
		for j := range in {
			d.U.Data[i*in+j] = float32(x.At(j, i))
		}
	}
	for i, v := range residual {
		d.D.Data[i] = float32(v)
	}
	return edit.Change{Weight: s.Name, Delta: d}, math.Sqrt(gone / all), nil
}

// solve gives X of the requests' keys at a site, and adds them to the history.
func (b *batch) solve(i int, keys kernel.Matrix) (*mat.Dense, error) {
	b.keys = append(b.keys, keys)
	own, err := b.transform(i, keys)
	if err != nil {
		return nil, err
	}
	all := own
	if h := b.history; h != nil {
		if h.transformed[i] == nil && h.Keys[i].Rows > 0 {
			if h.transformed[i], err = b.transform(i, h.Keys[i]); err != nil {
				return nil, err
			}
		}
		all = beside(h.transformed[i], own)
		h.transformed[i] = all
		rows := h.Keys[i].Rows
		h.Keys[i] = kernel.Mat(append(slices.Clone(h.Keys[i].Data[:rows*keys.Cols]), keys.Data...), rows+keys.Rows, keys.Cols)
	}
	return b.system.Solve(i, all, keys.Rows)
}

// transform goes key by key, so that a key's bytes do not depend on those beside
// it: a history from a file is the one that was collected.
func (b *batch) transform(i int, keys kernel.Matrix) (*mat.Dense, error) {
	var out *mat.Dense
	for j := range keys.Rows {
		column, err := b.system.Transform(i, column(keys, j))
		if err != nil {
			return nil, err
		}
		rows, _ := column.Dims()
		if out == nil {
			out = mat.NewDense(rows, keys.Rows, nil)
		}
		for r := range rows {
			out.Set(r, j, column.At(r, 0))
		}
	}
	return out, nil
}

// states are the requests' keys at a block, [requests, in], each the mean of the
// bare prompt's and the mean of the others', and the outputs of the last edited
// block in the bare prompts, [requests, width].
func (b *batch) states(block int) (keys kernel.Matrix, now []float64, err error) {
	o := eager.New(b.k)
	var bare []keyvalue.Text
	for i, f := range b.facts {
		bare = append(bare, f.Prompts[0])
		s, err := keyvalue.States(b.m, o, f.Prompts, nn.Place{Layer: block, At: nn.MLPAct})
		if err != nil {
			return keys, nil, err
		}
		x := s[0]
		if keys.Data == nil {
			keys = kernel.Mat(make([]float32, len(b.facts)*x.Cols), len(b.facts), x.Cols)
		}
		prefixed := make([]float64, x.Cols)
		if x.Rows > 1 {
			prefixed = keyvalue.Mean(x, 1)
		}
		for j := range x.Cols {
			k := float64(x.Data[j])
			if x.Rows > 1 {
				k = (k + prefixed[j]) / 2
			}
			keys.Data[i*x.Cols+j] = float32(k)
		}
	}
	s, err := keyvalue.States(b.m, o, bare, nn.Place{Layer: b.last, At: nn.BlockOut})
	if err != nil {
		return keys, nil, err
	}
	for _, v := range s[0].Data {
		now = append(now, float64(v))
	}
	return keys, now, nil
}
