package eval

import (
	"slices"
	"strings"

	"keyhole.example/keyhole/data"
)

// knowEdit is the summary of KnowEdit: means over the types that a case has,
// of means over the type's items, by share of tokens.
func knowEdit() family {
	return family{
		name: "knowedit", about: "KnowEdit's summary: edit success, portability and locality as means over types, fluency", source: "Zhang et al. 2024 (KnowEdit)",
		metrics: []Metric{
			{Name: "ke_success", About: "share of the target's tokens right on the edit prompt", Better: 1, Match: "token_mean"},
			{Name: "ke_portability", About: "mean over a case's portability types of the share of right tokens", Better: 1, Match: "token_mean"},
			{Name: "ke_locality", About: "mean over a case's locality types of the share of kept tokens", Better: 1, Match: "token_mean"},
		},
		fits: func(s *data.Set) bool { return strings.HasPrefix(s.Format, "knowedit") },
		plan: func(p *planner, c *Case) scoring {
			r := c.Record
			edit := p.ask(c, r.Prompt, r.TargetNew)
			types := func(m map[string][]data.Prompt) [][]*Probe {
				var out [][]*Probe
				for _, kind := range data.Kinds(m) {
					if list := p.prompts(c, m[kind]); len(list) > 0 {
						out = append(out, list)
					}
				}
				return out
			}
			port, loc := types(r.Portability), types(r.Locality)
			overTypes := func(v *scores, name string, lists [][]*Probe, score func(*Probe) float64) {
				if len(lists) == 0 {
					return
				}
				total := 0.0
				for _, list := range lists {
					sum := 0.0
					for _, q := range list {
						sum += score(q)
					}
					total += sum / float64(len(list))
				}
				v.add(name, total/float64(len(lists)), answers(slices.Concat(lists...))...)
			}
			return func(v *scores) {
				v.add("ke_success", edit.Edited.Accuracy(), edit)
				overTypes(v, "ke_portability", port, func(q *Probe) float64 { return q.Edited.Accuracy() })
				overTypes(v, "ke_locality", loc, func(q *Probe) float64 { return q.Edited.Kept(q.Base) })
			}
		},
	}
}
