package eval

import (
	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/text"
)

// reverse asks for the subject by the new object.
func reverse() family {
	return family{
		name: "reverse", about: "the question about the object whose answer is the subject", source: "Ma et al. 2023 (BAKE)",
		metrics: []Metric{
			{Name: "reverse", About: "the subject is right in every token on reversed questions", Better: 1, Match: "token_all"},
			{Name: "reverse_acc", About: "share of the subject's tokens that are right on reversed questions", Better: 1, Match: "token_mean"},
		},
		fits: func(s *data.Set) bool {
			for i := range s.Edits {
				if len(s.Edits[i].Reverse) > 0 {
					return true
				}
			}
			return false
		},
		plan: func(p *planner, c *Case) scoring {
			list := p.prompts(c, c.Record.Reverse)
			return func(v *scores) {
				for _, q := range list {
					v.add("reverse", indicator(q.Edited.Right()), q)
					v.add("reverse_acc", q.Edited.Accuracy(), q)
				}
			}
		},
	}
}

// prompts asks each prompt for its first answer's name.
func (p *planner) prompts(c *Case, list []data.Prompt) []*Probe {
	var out []*Probe
	for _, q := range list {
		if probe := p.ask(c, q.Prompt, alias(q)); probe != nil {
			out = append(out, probe)
		}
	}
	return out
}

// told is a question behind the stated edit.
func told(r *data.Edit, question string) string {
	stop := ". "
	if text.Behind(r.TargetNew, question, data.JoinAuto) == question {
		stop = "。" // no space, so a script without spaces
	}
	return r.Prompt + text.Behind(r.Prompt, r.TargetNew, r.Join) + stop + question
}

// portability is what follows from the edit, by kind.
//
// A one-hop question is fair only if the base model knows the second hop. The
// data sets do not state that hop alone, so it is tested with the first one
// given: the base model must answer the question behind the stated edit,
// "<prompt> <target>. <question>". portability_known counts those questions,
// portability_coverage says how many they are.
func portability() family {
	return family{
		name: "portability", about: "what follows from the edit, by kind; one-hop questions also where the base model knows the second hop", source: "Yao et al. 2023",
		metrics: []Metric{
			{Name: "portability", About: "answers that follow are right in every token, by kind", Better: 1, Match: "token_all"},
			{Name: "portability_acc", About: "share of the tokens of answers that follow that are right, by kind", Better: 1, Match: "token_mean"},
			{Name: "portability_known", About: "portability of one-hop questions that the base model answers when told the edit", Better: 1, Match: "token_all", Source: ours},
			{Name: "portability_coverage", About: "share of one-hop questions that the base model answers when told the edit", Match: "token_all", Source: ours},
		},
		fits: func(s *data.Set) bool {
			for i := range s.Edits {
				if len(s.Edits[i].Portability) > 0 {
					return true
				}
			}
			return false
		},
		plan: func(p *planner, c *Case) scoring {
			r := c.Record
			type item struct {
				probe, told *Probe
				kind        string
			}
			var list []item
			for _, kind := range data.Kinds(r.Portability) {
				for _, q := range r.Portability[kind] {
					it := item{probe: p.ask(c, q.Prompt, alias(q)), kind: kind}
					if it.probe == nil {
						continue
					}
					if kind == data.OneHop {
						it.told = c.add(newProbe(p.model, styled(p.style, told(r, q.Prompt)), alias(q), r.Join))
					}
					list = append(list, it)
				}
			}
			return func(v *scores) {
				for _, it := range list {
					right := indicator(it.probe.Edited.Right())
					v.add("portability."+it.kind, right, it.probe)
					v.add("portability_acc."+it.kind, it.probe.Edited.Accuracy(), it.probe)
					if it.told == nil {
						continue
					}
					known := it.told.Base.Right()
					v.add("portability_coverage."+it.kind, indicator(known), it.told)
					if known {
						v.add("portability_known."+it.kind, right, it.probe)
					}
				}
			}
		},
	}
}
