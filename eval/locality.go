package eval

import (
	"slices"

	"keyhole.example/keyhole/data"
)

// locality is what has to stay: stability, truth, divergence and drawdown, over
// the record's unrelated prompts and by kind.
func locality() family {
	return family{
		name: "locality", about: "what has to stay: stability, truth, KL and drawdown, by kind", source: ours,
		metrics: []Metric{
			{Name: "locality", About: "share of the unrelated answers' tokens whose prediction stays", Better: 1, Match: "token_mean", Source: "Wang et al. 2024 (EasyEdit)"},
			{Name: "locality_kl", About: "KL(base ‖ edited) at the unrelated answers' tokens, in nats", Better: -1, Match: "divergence", Locality: "pre_edit_prediction", Range: "from 0", Source: "Mitchell et al. 2022 (MEND)"},
			{Name: "loc_truth", About: "share of the unrelated answers' tokens that are right", Better: 1, Match: "token_mean", Locality: "ground_truth", Source: "Meng et al. 2022, as specificity of zsRE"},
			{Name: "loc_truth_before", About: "loc_truth of the base model", Match: "token_mean", Locality: "ground_truth", Source: "Meng et al. 2022, as specificity of zsRE"},
			{Name: "loc_known", About: "unrelated answers that the base model had right and the edited one has right too", Better: 1, Match: "token_all", Locality: "ground_truth"},
			{Name: "drawdown", About: "unrelated answers right before the edit less those right after it", Better: -1, Match: "token_all", Locality: "ground_truth", Range: "−1 to 1", Source: "Mitchell et al. 2022 (MEND)"},
		},
		fits: func(*data.Set) bool { return true },
		plan: func(p *planner, c *Case) scoring {
			list := p.locality(c)
			return func(v *scores) {
				for _, l := range list {
					b, e := l.probe.Base, l.probe.Edited
					names := []string{"." + l.kind}
					if l.headline {
						names = append(names, "")
					}
					for _, kind := range names {
						v.add("locality"+kind, e.Kept(b), l.probe)
						v.add("loc_truth"+kind, e.Accuracy(), l.probe)
						v.add("loc_truth_before"+kind, b.Accuracy(), l.probe)
						v.add("drawdown"+kind, indicator(b.Right())-indicator(e.Right()), l.probe)
						if b.Right() {
							v.add("loc_known"+kind, indicator(e.Right()), l.probe)
						}
						if l.probe.finite() {
							v.add("locality_kl"+kind, max(0, e.MeanKL()), l.probe)
						}
					}
				}
			}
		},
	}
}

// borrowed is the kind of another record's prompt.
const borrowed = "borrowed"

// kept is a locality prompt.
type kept struct {
	probe    *Probe
	kind     string
	headline bool // counts in the figures without a kind
}

// locality asks the record's locality prompts. Those of another kind than
// attribute and distracting make the headline figures. A record without any
// borrows another record's prompt with its true answer, whose figures stand
// apart, as those of the kind borrowed.
func (p *planner) locality(c *Case) []kept {
	var out []kept
	for _, kind := range data.Kinds(c.Record.Locality) {
		if kind == data.Attribute {
			continue // its answer is the edit's target, which is no wish that anything stay
		}
		for _, q := range c.Record.Locality[kind] {
			answers := q.Answers[:1]
			if kind == data.Forgetfulness {
				answers = q.Answers // each of them must survive
			}
			for _, a := range answers {
				if probe := p.ask(c, q.Prompt, a[0]); probe != nil {
					probe.KL = true
					out = append(out, kept{probe, kind, kind != data.Distracting})
				}
			}
		}
	}
	if slices.ContainsFunc(out, func(k kept) bool { return k.headline }) {
		return out
	}
	if probe := p.borrow(c); probe != nil {
		probe.KL = true
		out = append(out, kept{probe, borrowed, false})
	}
	return out
}

// borrow asks the prompt of another record about another subject, chosen by
// seed and record alone.
func (p *planner) borrow(c *Case) *Probe {
	for try := range 20 {
		o := data.Borrow(p.set.Edits, c.Record, p.seed, 0, try)
		if o == nil {
			continue
		}
		if probe := c.add(p.probe(o.Prompt, o.Believed(), o.Join)); probe != nil {
			return probe
		}
	}
	c.skipped = append(c.skipped, "no unrelated prompt: the record has none, and the data no other subject to borrow one from")
	return nil
}
