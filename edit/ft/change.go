package ft

import (
	"math"
	"strings"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
)

// outcome is what training came to.
func (e *Editor) outcome(m *lm.Model, requests []edit.Request, t *trainer, steps int, loss float64) (*edit.Edited, error) {
	d := &edit.Edited{Editor: e.Name(), Requests: requests}
	square := 0.0
	var names []string
	for i := range t.layers {
		l := &t.layers[i]
		names = append(names, l.site.Name)
		if l.u != nil {
			change, size, err := e.lowRank(l)
			if err != nil {
				return nil, err
			}
			d.Changes = append(d.Changes, change)
			square += size
			continue
		}
		for _, x := range []*tensor{l.weight, l.bias} {
			if x == nil {
				continue
			}
			values, err := x.param.Values()
			if err != nil {
				return nil, err
			}
			d.Changes = append(d.Changes, edit.Change{Weight: x.param.Name, Values: values})
			for j, v := range values {
				diff := float64(v) - float64(x.start[j])
				square += diff * diff
			}
		}
	}
	d.Add("objective", e.cfg.Objective)
	d.Add("layers", strings.Join(names, " "))
	if norm := e.cfg.norm(m); norm > 0 {
		d.Add("norm_constraint", norm)
	}
	if e.cfg.Variant == "lora" {
		d.Add("rank", e.cfg.Rank)
	}
	d.Add("steps", steps)
	d.Add("loss", loss)
	d.Add("update_norm", math.Sqrt(square))
	return d, nil
}

// lowRank is a layer's pair of factors as a change, and its squared norm.
func (e *Editor) lowRank(l *layer) (edit.Change, float64, error) {
	u, err := l.u.param.Values()
	if err != nil {
		return edit.Change{}, 0, err
	}
	d, err := l.d.param.Values()
	if err != nil {
		return edit.Change{}, 0, err
	}
	in, out := l.site.Linear.In, l.site.Linear.Out
	delta := &nn.Delta{U: kernel.Mat(u, e.cfg.Rank, in), D: kernel.Mat(d, e.cfg.Rank, out), Scale: e.scale()}
	return edit.Change{Weight: l.site.Name, Delta: delta}, delta.SquaredNorm(), nil
}
