package eval

import (
	"math"
	"strings"

	"keyhole.example/keyhole/data"
)

// plus is the source of CounterFact+.
const plus = "Hoelscher-Obermaier et al. 2023 (CounterFact+)"

// counterFact is ROME's comparison of the new answer's probability with the
// true one's. P is the geometric mean of the tokens' probabilities; a tie is a
// failure. Prompts are not cut.
func counterFact() family {
	metric := func(name, about string, better int) Metric {
		m := Metric{Name: name, About: about, Better: better, Match: "prob_compare", Locality: "ground_truth"}
		switch name {
		case "EM", "PM", "NM", "NM_plus":
			m.Range = "−1 to 1"
		case "forgetting":
			m.Source = "Zheng et al. 2023 (IKE)"
		}
		if strings.HasSuffix(name, "_plus") {
			m.Source = plus
		}
		return m
	}
	return family{
		name: "counterfact", about: "ES, EM, PS, PM, NS, NM, S of CounterFact, NS+ of CounterFact+, forgetting", source: "Meng et al. 2022 (ROME)",
		metrics: []Metric{
			metric("ES", "new answer more probable than the true one on the edit prompt", 1),
			metric("EM", "P(new) − P(true) on the edit prompt", 1),
			metric("PS", "new answer more probable than the true one on paraphrases", 1),
			metric("PM", "P(new) − P(true) on paraphrases", 1),
			metric("NS", "true answer more probable than the new one on neighbours", 1),
			metric("NM", "P(true) − P(new) on neighbours", 1),
			metric("S", "harmonic mean of ES, PS and NS", 1),
			metric("NS_plus", "NS on neighbours behind the stated edit", 1),
			metric("NM_plus", "P(true) − P(new) on neighbours behind the stated edit", 1),
			{Name: "NKL", About: "KL(base ‖ edited) of the next token on neighbours, in nats", Better: -1, Match: "divergence", Locality: "pre_edit_prediction", Range: "from 0", Source: plus},
			metric("ES_before", "ES of the base model", 0),
			metric("PS_before", "PS of the base model", 0),
			metric("NS_before", "NS of the base model", 0),
			metric("forgetting", "P(true) on the edit prompt falls by more than half", 0),
		},
		fits: func(s *data.Set) bool { return has(s, data.Neighborhood) },
		plan: planCounterFact,
		derive: func(r *Report) {
			r.harmonic("S", "ES", "PS", "NS")
		},
	}
}

// has tells whether the set has locality prompts of a kind and true answers.
func has(s *data.Set, kind string) bool {
	for i := range s.Edits {
		if len(s.Edits[i].Locality[kind]) > 0 && len(s.Edits[i].TargetTrue) > 0 {
			return true
		}
	}
	return false
}

// rivals is a prompt with both answers.
type rivals struct{ wanted, other *Probe }

// rivals asks a prompt for both answers.
func (p *planner) rivals(c *Case, prompt, wanted, other string) (rivals, bool) {
	r := rivals{p.ask(c, prompt, wanted), p.ask(c, prompt, other)}
	return r, r.wanted != nil && r.other != nil
}

// won is 1 if the wanted answer is the more probable one.
func won(wanted, other *Outcome) float64 {
	return indicator(other.MeanNLL() > wanted.MeanNLL())
}

func planCounterFact(p *planner, c *Case) scoring {
	r := c.Record
	if len(r.TargetTrue) == 0 || r.TargetTrue[0] == r.TargetNew {
		return func(*scores) {}
	}
	oNew, oTrue := r.TargetNew, r.TargetTrue[0]
	lists := map[string][]rivals{}
	add := func(name, prompt, wanted, other string) {
		if q, ok := p.rivals(c, prompt, wanted, other); ok {
			lists[name] = append(lists[name], q)
		}
	}
	add("E", r.Prompt, oNew, oTrue)
	for _, s := range r.Paraphrases {
		add("P", s, oNew, oTrue)
	}
	for _, q := range r.Locality[data.Neighborhood] {
		add("N", q.Prompt, oTrue, oNew)
	}
	for _, q := range r.Locality[data.Distracting] {
		add("N+", q.Prompt, oTrue, oNew)
	}
	for _, q := range lists["N"] {
		q.wanted.KL = true
	}
	return func(v *scores) {
		score := func(list []rivals, success, magnitude, before string) {
			for _, q := range list {
				v.add(success, won(q.wanted.Edited, q.other.Edited), q.wanted, q.other)
				if q.wanted.Edited.Finite() && q.other.Edited.Finite() {
					v.add(magnitude, q.wanted.Edited.Prob()-q.other.Edited.Prob(), q.wanted, q.other)
				}
				if before != "" {
					v.add(before, won(q.wanted.Base, q.other.Base), q.wanted, q.other)
				}
			}
		}
		score(lists["E"], "ES", "EM", "ES_before")
		score(lists["P"], "PS", "PM", "PS_before")
		score(lists["N"], "NS", "NM", "NS_before")
		score(lists["N+"], "NS_plus", "NM_plus", "")
		for _, q := range lists["N"] {
			if kl := float64(q.wanted.Edited.KL[0]); !math.IsNaN(kl) {
				v.add("NKL", max(0, kl), q.wanted)
			}
		}
		for _, q := range lists["E"] {
			v.add("forgetting", indicator(q.other.Edited.Prob() < q.other.Base.Prob()/2), q.other)
		}
	}
}

// attributes scores other subjects that have the new value already; no table
// of the paper has it.
func attributes() family {
	return family{
		name: "attribute", about: "CounterFact's attribute prompts: other subjects that have the new value already", source: ours,
		metrics: []Metric{
			{Name: "AS", About: "new answer more probable than the true one on attribute prompts", Match: "prob_compare", Locality: "ground_truth"},
			{Name: "AM", About: "P(new) − P(true) on attribute prompts", Match: "prob_compare", Locality: "ground_truth", Range: "−1 to 1"},
		},
		plan: func(p *planner, c *Case) scoring {
			r := c.Record
			var list []rivals
			if len(r.TargetTrue) > 0 {
				for _, q := range r.Locality[data.Attribute] {
					if a, ok := p.rivals(c, q.Prompt, r.TargetNew, r.TargetTrue[0]); ok {
						list = append(list, a)
					}
				}
			}
			return func(v *scores) {
				for _, q := range list {
					v.add("AS", won(q.wanted.Edited, q.other.Edited), q.wanted, q.other)
					if q.wanted.Edited.Finite() && q.other.Edited.Finite() {
						v.add("AM", q.wanted.Edited.Prob()-q.other.Edited.Prob(), q.wanted, q.other)
					}
				}
			}
		},
	}
}
