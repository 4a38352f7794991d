package rome

import (
	"fmt"
	"math"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/keyvalue"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// accept measures s, refuses it if it is unsafe, and else adds it to the edit.
func (r *run) accept(s *solution, named func(string) string, req edit.Request) error {
	cfg := r.ed.cfg
	weight, err := r.site.Linear.W.Values()
	if err != nil {
		return err
	}
	ratio := s.norm() / math.Sqrt(r.ed.k.SumSquares(weight))
	before, err := keyvalue.Perplexity(r.m, r.ed.k)
	if err != nil {
		return err
	}
	alone := &edit.Edited{Editor: r.out.Editor, Changes: []edit.Change{{Weight: r.site.Name, Delta: &nn.Delta{
		U: kernel.Mat(narrow(nil, s.left), 1, len(s.left)), D: kernel.Mat(narrow(nil, s.right), 1, len(s.right)), Scale: 1,
	}}}}
	undo, err := alone.Install(r.m, r.ed.k)
	if err != nil {
		return err
	}
	after, err := keyvalue.Perplexity(r.m, r.ed.k)
	var residual float64
	if err == nil {
		residual, err = r.residual(s)
	}
	undo()
	if err != nil {
		return err
	}

	first := len(r.out.Report)
	add := func(name string, value any) { r.out.Add(named(name), value) }
	add("subject", req.Subject)
	add("looked_up_token", s.token)
	add("steps", len(s.value.Losses))
	add("loss_first", s.value.First.Total())
	add("loss", s.value.Last.Total())
	add("loss_target", s.value.Last.NLL)
	add("loss_kl", s.value.Last.KL)
	add("loss_decay", s.value.Last.Decay)
	add("clamped_steps", s.value.Clamped)
	add("delta_ratio", kernel.Norm64(s.value.Delta)/kernel.Norm64(s.value.Init))
	add("key_cosine", cosine(s.mean, s.bare))
	add("division_factor", s.divisor)
	add("update_norm", s.norm())
	add("update_ratio", ratio)
	add("constraint_residual", residual)
	add("perplexity_before", before)
	add("perplexity_after", after)

	reason := cfg.Ruins(before, after)
	switch {
	case s.divisor < 0:
		reason = "the division factor is negative, so the edit points away from the key"
	case !(ratio <= cfg.MaxRatio):
		reason = fmt.Sprintf("the update's norm is %.3g of the weight's, more than %v", ratio, cfg.MaxRatio)
	}
	if err := cfg.Refuse(reason, r.out.Report[first:]); err != nil {
		return err
	}
	r.lefts, r.right = narrow(r.lefts, s.left), narrow(r.right, s.right)
	r.out.Changes = r.combined()
	return nil
}

// residual is ‖Ŵ·k + b − v*‖/‖v*‖ of the installed weight.
func (r *run) residual(s *solution) (float64, error) {
	l := r.site.Linear
	weight, err := l.W.Values()
	if err != nil {
		return 0, err
	}
	y := make([]float64, l.Out)
	if l.B != nil {
		bias, err := l.B.Values()
		if err != nil {
			return 0, err
		}
		copy(y, wide(bias))
	}
	for o := range y {
		for i, k := range s.k {
			at := o*l.In + i
			if l.InOut {
				at = i*l.Out + o
			}
			y[o] += float64(weight[at]) * k
		}
	}
	var gone, all float64
	for o := range y {
		gone += (y[o] - s.target[o]) * (y[o] - s.target[o])
		all += s.target[o] * s.target[o]
	}
	return math.Sqrt(gone / all), nil
}
