package eval

import (
	"slices"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
)

// multiHop is MQuAKE's figures. Teacher-forced: a question is answered if the
// new answer's name is right in every token.
func multiHop() family {
	return family{
		name: "multihop", about: "MQuAKE: single edits, all hops of an instance, and the multi-hop question", source: "Zhong et al. 2023 (MQuAKE)",
		metrics: []Metric{
			{Name: "mq_edit", About: "edited facts of an instance recalled on their own prompt", Better: 1, Match: "token_all"},
			{Name: "mq_instance", About: "instances with every hop of the new chain right", Better: 1, Match: "token_all"},
			{Name: "mq_multihop", About: "instances with one of the multi-hop questions right", Better: 1, Match: "token_all"},
			{Name: "mq_multihop_known", About: "mq_multihop where the base model knows every hop that no edit made", Better: 1, Match: "token_all"},
			{Name: "mq_multihop_before", About: "instances with one of the multi-hop questions answered by the base model with an answer that was right before the edits", Match: "token_all"},
			{Name: "mq_instance_before", About: "instances with every hop of the old chain known to the base model", Match: "token_all"},
			{Name: "mq_coverage", About: "instances whose unedited hops the base model knows", Match: "token_all"},
		},
		fits: func(s *data.Set) bool {
			return slices.ContainsFunc(s.Edits, func(e data.Edit) bool { return isMultiHop(&e) })
		},
		plan: func(p *planner, c *Case) scoring {
			r := c.Record
			if !isMultiHop(r) {
				return func(*scores) {}
			}
			var facts, hops, unedited, questions, oldHops, oldAnswers []*Probe
			add := func(to *[]*Probe, prompt, answer string) {
				if q := p.ask(c, prompt, answer); q != nil {
					*to = append(*to, q)
				}
			}
			for _, q := range c.Requests {
				add(&facts, q.Prompt, q.Target)
			}
			for _, h := range r.Chain.NewHops {
				prompt := asks(h)
				add(&hops, prompt, h.Answer[0])
				made := slices.ContainsFunc(c.Requests, func(q edit.Request) bool { return q.Prompt == h.Cloze && q.Target == h.Answer[0] })
				if !made {
					add(&unedited, prompt, h.Answer[0])
				}
			}
			for _, q := range r.Chain.Questions {
				add(&questions, q, r.Chain.NewAnswer[0])
			}
			for _, h := range r.Chain.Hops {
				add(&oldHops, asks(h), h.Answer[0])
			}
			for _, q := range r.Chain.Questions {
				for _, a := range slices.Concat(r.Chain.Answer, r.Chain.AnswerExtended) {
					add(&oldAnswers, q, a)
				}
			}
			right := func(q *Probe) bool { return q.Edited.Right() }
			before := func(q *Probe) bool { return q.Base.Right() }
			return func(v *scores) {
				for _, q := range facts {
					v.add("mq_edit", indicator(right(q)), q)
				}
				if len(oldHops) > 0 {
					v.add("mq_instance_before", indicator(all(oldHops, before)), answers(oldHops)...)
				}
				if len(oldAnswers) > 0 {
					v.add("mq_multihop_before", indicator(slices.ContainsFunc(oldAnswers, before)), answers(oldAnswers)...)
				}
				if len(hops) > 0 {
					v.add("mq_instance", indicator(all(hops, right)), answers(hops)...)
				}
				if len(questions) == 0 {
					return
				}
				hit := indicator(slices.ContainsFunc(questions, right))
				v.add("mq_multihop", hit, answers(questions)...)
				known := all(unedited, before)
				v.add("mq_coverage", indicator(known), answers(unedited)...)
				if known {
					v.add("mq_multihop_known", hit, answers(questions)...)
				}
			}
		},
	}
}

// asks is the prompt of a hop.
func asks(h data.Hop) string {
	if h.Cloze != "" {
		return h.Cloze
	}
	return h.Question
}

func isMultiHop(e *data.Edit) bool {
	return e.Chain != nil && len(e.Chain.Questions) > 0 && len(e.Chain.NewAnswer) > 0
}

func all(list []*Probe, ok func(*Probe) bool) bool {
	return !slices.ContainsFunc(list, func(q *Probe) bool { return !ok(q) })
}
