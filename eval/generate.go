package eval

import (
	"fmt"
	"slices"
	"strings"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/text"
)

// stopTokens is the largest number of new tokens of a greedy answer.
const stopTokens = 50

// stops end a greedy answer besides the model's own end token.
func stops() []string { return []string{".", "\n"} }

// Generation is one text to be continued.
type Generation struct {
	Prompt  string
	Least   int    // greedy: go on to that many tokens even behind a stop
	Sampled bool   // free text by top-5 sampling instead of a greedy answer
	Seed    uint64 // of the draws
	Both    bool   // the base model continues it too

	Base, Edited []int32 // new tokens
}

// sampledLength is the number of tokens of a free text, prompt included.
const sampledLength = 100

// run continues the texts' prompts, side by side, with contexts in front, if there
// are some, by the weights of m as they are and the given additions.
func (s *Scorer) run(m *lm.Model, list []*Generation, contexts []string, deltas map[string][]nn.Delta) ([][]int32, error) {
	tok := s.model.Tokenizer
	var prompts [][]int32
	var opts []lm.GenerateOptions
	for i, g := range list {
		context := ""
		if contexts != nil {
			context = contexts[i]
		}
		prompt := text.Prompt(tok, context+g.Prompt)
		if err := m.CheckLength(len(prompt)); err != nil {
			return nil, fmt.Errorf("continue %q: %w", g.Prompt, err)
		}
		o := lm.GenerateOptions{Tokens: max(stopTokens, g.Least), StopAtEOS: true}
		if g.Sampled {
			o.Tokens = max(0, sampledLength-len(text.Prompt(tok, g.Prompt)))
			o.Sampler = lm.Sampler{Temperature: 1, TopK: 5, Seed: g.Seed}
		} else {
			var seen []int32
			o.OnToken = func(id int32) bool {
				seen = append(seen, id)
				_, stopped := untilStop(tok.Decode(seen))
				return !stopped || len(seen) < g.Least
			}
		}
		prompts, opts = append(prompts, prompt), append(opts, o)
	}
	return m.GenerateAll(s.reset(deltas), prompts, opts)
}

// generateBase continues the texts that want it by the base model. Greedy
// continuations are kept by prompt.
func (s *Scorer) generateBase(list []*Generation) error {
	var keys []string
	var first []*Generation // by key
	alike := map[string][]*Generation{}
	for _, g := range list {
		if !g.Both {
			continue
		}
		key := fmt.Sprintf("%d %v %d %s", g.Least, g.Sampled, g.Seed, g.Prompt)
		if old, ok := s.texts[key]; ok {
			g.Base = old
			continue
		}
		if alike[key] == nil {
			keys, first = append(keys, key), append(first, g)
		}
		alike[key] = append(alike[key], g)
	}
	out, err := s.run(s.model, first, nil, nil)
	if err != nil {
		return err
	}
	for i, key := range keys {
		for _, g := range alike[key] {
			g.Base = out[i]
		}
		if len(s.texts) < maxTexts {
			s.texts[key] = out[i]
		}
	}
	return nil
}

// maxTexts bounds the continuations that are kept.
const maxTexts = 1 << 16

// generateEdited continues the texts by an edited model; e nil: by the model
// as its weights are.
func (s *Scorer) generateEdited(e *edit.Edited, list []*Generation) error {
	if len(list) == 0 {
		return nil
	}
	var deltas map[string][]nn.Delta
	if e != nil {
		var ok bool
		if deltas, ok = e.Deltas(); !ok {
			undo, err := e.Install(s.model, s.ops.Engine())
			if err != nil {
				return err
			}
			defer undo()
		}
	}
	if a := e.AdapterOf(); a != nil {
		return s.generateAdapted(a, list)
	}
	if r := e.ResponderOf(); r != nil {
		return s.generateResponded(r, list)
	}
	var contexts []string
	if e != nil && e.Context != nil {
		for _, g := range list {
			context, err := e.Context(g.Prompt)
			if err != nil {
				return err
			}
			contexts = append(contexts, context)
		}
	}
	out, err := s.run(s.model, list, contexts, deltas)
	if err != nil {
		return err
	}
	for i, g := range list {
		g.Edited = out[i]
	}
	return nil
}

// generateResponded continues texts by whom a responder has them continued.
func (s *Scorer) generateResponded(r edit.Responder, list []*Generation) error {
	for _, g := range list {
		a, err := r.Respond(g.Prompt, "")
		if err != nil {
			return err
		}
		m := s.model
		if a.Model != nil {
			m = a.Model
		}
		out, err := s.run(m, []*Generation{g}, []string{a.Context}, nil)
		if err != nil {
			return err
		}
		g.Edited = out[0]
	}
	return nil
}

// generateAdapted continues texts one by one with an adapter behind its layer.
func (s *Scorer) generateAdapted(a edit.Adapter, list []*Generation) error {
	for _, g := range list {
		undo := edit.InterceptText(s.ops, a)
		out, err := s.run(s.model, []*Generation{g}, nil, nil)
		undo()
		if err != nil {
			return err
		}
		g.Edited = out[0]
	}
	return nil
}

// untilStop is the text before the first stop string, and whether there is one.
func untilStop(text string) (string, bool) {
	at := -1
	for _, stop := range stops() {
		if i := strings.Index(text, stop); i >= 0 && (at < 0 || i < at) {
			at = i
		}
	}
	if at < 0 {
		return text, false
	}
	return text[:at], true
}

// generated is the family of greedy answers (Yang et al. 2025).
func generated() family {
	return family{
		name: "generate", about: "greedy answers: exact match and containment up to a stop, tokens up to the target's length", source: "Yang et al. 2025 (Mirage)",
		metrics: []Metric{
			{Name: "gen_exact", About: "greedy answer to the edit prompt equals the target after normalisation", Better: 1, Decode: "generate_stop", Match: "exact_norm"},
			{Name: "gen_contains", About: "greedy answer to the edit prompt contains the target", Better: 1, Decode: "generate_stop", Match: "contains_alias"},
			{Name: "gen_tokens", About: "the first greedy tokens after the edit prompt are the target's", Better: 1, Decode: "generate_len", Match: "token_all"},
			{Name: "gen_para_exact", About: "as gen_exact, on paraphrases", Better: 1, Decode: "generate_stop", Match: "exact_norm"},
			{Name: "gen_para_contains", About: "as gen_contains, on paraphrases", Better: 1, Decode: "generate_stop", Match: "contains_alias"},
			{Name: "gen_para_tokens", About: "as gen_tokens, on paraphrases", Better: 1, Decode: "generate_len", Match: "token_all"},
			{Name: "gen_locality", About: "greedy answers to unrelated prompts stay the same, token for token", Better: 1, Decode: "generate_stop", Match: "token_all", Locality: "pre_edit_generation"},
			{Name: "gen_multihop_before", About: "one of the multi-hop questions is answered by the base model with an answer that was right before the edits", Decode: "generate_stop", Match: "contains_alias"},
			{Name: "gen_multihop", About: "one of the multi-hop questions is answered with the new answer or an alias of it", Better: 1, Decode: "generate_stop", Match: "contains_alias"},
		},
		plan: func(p *planner, c *Case) scoring {
			r := c.Record
			type answer struct {
				g            *Generation
				want         []int32
				target, kind string
			}
			var list []answer
			for i, prompt := range append([]string{r.Prompt}, r.Paraphrases...) {
				q := p.ask(c, prompt, r.TargetNew)
				if q == nil {
					continue
				}
				kind := "gen_"
				if i > 0 {
					kind = "gen_para_"
				}
				g := c.generate(Generation{Prompt: q.Prompt, Least: q.tokens()})
				list = append(list, answer{g, q.answer(), q.Answer, kind})
			}
			var kept []*Generation
			for _, l := range p.locality(c) {
				if l.headline {
					kept = append(kept, c.generate(Generation{Prompt: l.probe.Prompt, Both: true}))
				}
			}
			var questions []*Generation
			if isMultiHop(r) {
				for _, q := range r.Chain.Questions {
					questions = append(questions, c.generate(Generation{Prompt: styled(p.style, q), Both: true}))
				}
			}
			tok := p.model.Tokenizer
			return func(v *scores) {
				for _, a := range list {
					said, _ := untilStop(tok.DecodeSkip(a.g.Edited))
					v.add(a.kind+"exact", indicator(Normalise(said) == Normalise(a.target)), a.g)
					v.add(a.kind+"contains", indicator(ContainsAlias(said, a.target)), a.g)
					n := len(a.want)
					v.add(a.kind+"tokens", indicator(len(a.g.Edited) >= n && slices.Equal(a.g.Edited[:n], a.want)), a.g)
				}
				for _, g := range kept {
					v.add("gen_locality", indicator(slices.Equal(g.Base, g.Edited)), g)
				}
				old := []string{}
				if len(questions) > 0 {
					old = slices.Concat(r.Chain.Answer, r.Chain.AnswerExtended)
				}
				if len(old) > 0 {
					v.add("gen_multihop_before", indicator(slices.ContainsFunc(questions, func(g *Generation) bool {
						said, _ := untilStop(tok.DecodeSkip(g.Base))
						return ContainsAlias(said, old...)
					})), answers(questions)...)
				}
				if len(questions) > 0 {
					v.add("gen_multihop", indicator(slices.ContainsFunc(questions, func(g *Generation) bool {
						said, _ := untilStop(tok.DecodeSkip(g.Edited))
						return ContainsAlias(said, r.Chain.NewAnswer...)
					})), answers(questions)...)
				}
			}
		},
	}
}
