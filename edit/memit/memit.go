package memit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/keyvalue"
	"keyhole.example/keyhole/edit/stats"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
)

// Editor makes edits by MEMIT. It may be used by several goroutines, one model
// at a time each.
type Editor struct {
	e        *kernel.Engine
	cfg      Config
	moments  stats.Source
	contexts keyvalue.ContextCache
}

var _ edit.Editor = (*Editor)(nil)

// New returns an editor that computes with e.
func New(e *kernel.Engine, c Config, moments stats.Source) (*Editor, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("memit: %w", err)
	}
	if moments == nil {
		return nil, errors.New("memit: statistics of the layers' inputs are needed; collect them first")
	}
	return &Editor{e: e, cfg: c, moments: moments}, nil
}

// Name implements edit.Editor.
func (ed *Editor) Name() string { return "memit" }

// Apply implements edit.Editor: one change of each edited weight from all
// requests together.
func (ed *Editor) Apply(ctx context.Context, m *lm.Model, requests []edit.Request) (*edit.Edited, error) {
	out, err := ed.apply(ctx, m, requests)
	if err != nil {
		return nil, fmt.Errorf("memit: %w", err)
	}
	return out, nil
}

func (ed *Editor) apply(ctx context.Context, m *lm.Model, requests []edit.Request) (*edit.Edited, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := keyvalue.CheckRequests(requests); err != nil {
		return nil, err
	}
	sites, err := ed.cfg.EditedSites(m)
	if err != nil {
		return nil, err
	}
	b := &batch{ed: ed, m: m, sites: sites, last: sites[len(sites)-1].Block}
	b.out = &edit.Edited{Editor: ed.Name(), Requests: slices.Clone(requests)}
	factors, err := b.statistics()
	if err != nil {
		return nil, err
	}
	texts, err := ed.contexts.Of(m, ed.e, ed.cfg.Contexts)
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
	if err := b.spread(ctx, factors); err != nil {
		return nil, err
	}
	return b.out, nil
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

// batch is one call of Apply.
type batch struct {
	ed    *Editor
	m     *lm.Model
	sites []lm.Site
	last  int // the last edited block
	facts []*keyvalue.Fact
	z     []float64 // wanted outputs of the last edited block, [requests, width]
	out   *edit.Edited
}

// statistics factorises the second moments of all sites.
func (b *batch) statistics() ([]*stats.Factor, error) {
	var out []*stats.Factor
	for _, s := range b.sites {
		moment, err := b.ed.moments(b.m, s)
		if err != nil {
			return nil, err
		}
		if err := moment.Check(b.m, s); err != nil {
			return nil, err
		}
		f, err := moment.Factor(b.ed.cfg.Ridge)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
		b.out.Add(fmt.Sprintf("statistics[%d]", s.Block), fmt.Sprintf("%d tokens of text %.8s, ridge %g", moment.Tokens, moment.Corpus, f.Ridge))
	}
	return out, nil
}

// targets finds z for each request.
func (b *batch) targets(ctx context.Context, requests []edit.Request, contexts []string) error {
	for i, r := range requests {
		f, err := keyvalue.NewFact(b.m, r, contexts, b.ed.cfg.FactToken)
		if err != nil {
			return err
		}
		v, err := keyvalue.Optimise(ctx, b.m, b.ed.e, b.last, f, b.ed.cfg.settings())
		if err != nil {
			return fmt.Errorf("edit %s: %w", r.ID, err)
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
	return nil
}

// spread changes site after site in a model that has the earlier changes.
func (b *batch) spread(ctx context.Context, factors []*stats.Factor) (err error) {
	before, err := keyvalue.Perplexity(b.m, b.ed.e)
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
		change, missing, err := b.site(s, factors[i], len(b.sites)-i)
		if err != nil {
			return err
		}
		weight, err := s.Linear.W.Values()
		if err != nil {
			return err
		}
		norm := changeNorm(change.Delta)
		ratio := norm / math.Sqrt(b.ed.e.SumSquares(weight))
		b.out.Add(fmt.Sprintf("missing[%d]", s.Block), missing)
		b.out.Add(fmt.Sprintf("update_norm[%d]", s.Block), norm)
		b.out.Add(fmt.Sprintf("update_ratio[%d]", s.Block), ratio)
		if !(ratio <= b.ed.cfg.MaxRatio) {
			reason = fmt.Sprintf("the change of %s is larger than %v of the weight's norm", s.Name, b.ed.cfg.MaxRatio)
		}
		b.out.Changes = append(b.out.Changes, change)
		undo()
		undo = func() {}
		again, err := b.out.Install(b.m, b.ed.e)
		if err != nil {
			return err
		}
		undo = again
	}
	after, err := keyvalue.Perplexity(b.m, b.ed.e)
	if err != nil {
		return err
	}
	b.out.Add("perplexity_before", before)
	b.out.Add("perplexity_after", after)
	if !(after <= before*b.ed.cfg.MaxPerplexity) {
		reason = fmt.Sprintf("the perplexity of plain text grows more than %v times", b.ed.cfg.MaxPerplexity)
	}
	if reason != "" && !b.ed.cfg.Force {
		return &keyvalue.UnsafeError{Reason: reason, Figures: b.out.Report}
	}
	return nil
}

// site makes the change of one site, which brings the outputs of the last edited
// block one part of left nearer to z. missing is how far they are from it now,
// relative to z.
func (b *batch) site(s lm.Site, f *stats.Factor, left int) (c edit.Change, missing float64, err error) {
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
	x, err := spread(f, keys, b.ed.cfg.Weight)
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

// states are the requests' keys at a block, [in, requests], each the mean of the
// bare prompt's and the mean of the others', and the outputs of the last edited
// block in the bare prompts, [requests, width].
func (b *batch) states(block int) (keys *mat.Dense, now []float64, err error) {
	o := eager.New(b.ed.e)
	var bare []keyvalue.Text
	for i, f := range b.facts {
		bare = append(bare, f.Prompts[0])
		s, err := keyvalue.States(b.m, o, f.Prompts, nn.Place{Layer: block, At: nn.MLPAct})
		if err != nil {
			return nil, nil, err
		}
		x := s[0]
		if keys == nil {
			keys = mat.NewDense(x.Cols, len(b.facts), nil)
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
			keys.Set(j, i, k)
		}
	}
	s, err := keyvalue.States(b.m, o, bare, nn.Place{Layer: b.last, At: nn.BlockOut})
	if err != nil {
		return nil, nil, err
	}
	for _, v := range s[0].Data {
		now = append(now, float64(v))
	}
	return keys, now, nil
}

// changeNorm is the Frobenius norm of Dᵀ·U, from the two Gram matrices.
func changeNorm(d *nn.Delta) float64 {
	u, v := gram(d.U), gram(d.D)
	sum := 0.0
	for i := range u {
		sum += u[i] * v[i]
	}
	return math.Sqrt(math.Max(sum, 0))
}

func gram(x kernel.Matrix) []float64 {
	out := make([]float64, 0, x.Rows*x.Rows)
	for i := range x.Rows {
		for j := range x.Rows {
			sum := 0.0
			for c := range x.Cols {
				sum += float64(x.Data[i*x.Stride+c]) * float64(x.Data[j*x.Stride+c])
			}
			out = append(out, sum)
		}
	}
	return out
}
