package eval

import "keyhole.example/keyhole/data"

// basic is reliability and generalization.
func basic() family {
	return family{
		name: "basic", about: "reliability and generalization to paraphrases, and their overall score", source: "Mitchell et al. 2022 (MEND)",
		metrics: []Metric{
			{Name: "reliability", About: "the target is right in every token on the edit prompt", Better: 1, Match: "token_all"},
			{Name: "generalization", About: "the target is right in every token on paraphrases", Better: 1, Match: "token_all"},
			{Name: "reliability_before", About: "reliability of the base model", Match: "token_all"},
			{Name: "generalization_before", About: "generalization of the base model", Match: "token_all"},
			{Name: "rewrite_acc", About: "share of the target's tokens that are right on the edit prompt", Better: 1, Match: "token_mean", Source: "Wang et al. 2024 (EasyEdit)"},
			{Name: "rephrase_acc", About: "share of the target's tokens that are right on paraphrases", Better: 1, Match: "token_mean", Source: "Wang et al. 2024 (EasyEdit)"},
			{Name: "target_nll", About: "mean −log P of the target's tokens on the edit prompt, in nats", Better: -1, Match: "divergence", Range: "from 0", Source: ours},
			{Name: "S_hm", About: "harmonic mean of reliability, generalization and locality", Better: 1, Match: "token_all", Source: ours + ", after S of Meng et al. 2022"},
		},
		fits: func(*data.Set) bool { return true },
		plan: func(p *planner, c *Case) scoring {
			edit := p.ask(c, c.Record.Prompt, c.Record.TargetNew)
			var paraphrases []*Probe
			for _, s := range c.Record.Paraphrases {
				if q := p.ask(c, s, c.Record.TargetNew); q != nil {
					paraphrases = append(paraphrases, q)
				}
			}
			return func(v *scores) {
				v.add("reliability", indicator(edit.Edited.Right()), edit)
				v.add("reliability_before", indicator(edit.Base.Right()), edit)
				v.add("rewrite_acc", edit.Edited.Accuracy(), edit)
				if edit.Edited.Finite() {
					v.add("target_nll", edit.Edited.MeanNLL(), edit)
				}
				for _, q := range paraphrases {
					v.add("generalization", indicator(q.Edited.Right()), q)
					v.add("generalization_before", indicator(q.Base.Right()), q)
					v.add("rephrase_acc", q.Edited.Accuracy(), q)
				}
			}
		},
		derive: func(r *Report) { r.harmonic("S_hm", "reliability", "generalization", "locality") },
	}
}
