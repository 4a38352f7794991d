package eval

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/text"
)

// Record says how a figure was measured. Figures with different records are
// different quantities, whatever they are called.
type Record struct {
	// Target: true_answer, alt (a wrong alternative), or new.
	Target string `json:"target"`
	// Decode: teacher_forced, generate_len (greedy, as many tokens as the
	// target), generate_stop (greedy to a stop token), or sampled.
	Decode string `json:"decode"`
	// Match: prob_compare, token_mean, token_all, exact_norm, contains_alias, or
	// divergence and entropy for figures that match nothing.
	Match string `json:"match"`
	// PromptStyle: plain, qa_instruction or chat_template.
	PromptStyle string `json:"prompt_style"`
	// LocalityReference: ground_truth, pre_edit_prediction or
	// pre_edit_generation.
	LocalityReference string `json:"locality_reference"`
	// Average: macro (mean of the cases' means) or micro (over all prompts).
	Average string `json:"average"`
	// Protocol: one of Protocols.
	Protocol string `json:"protocol"`
	// Batch is the number of edits of a round in sequential protocols; 0: one.
	Batch int `json:"batch,omitempty"`
	// Rounds is the number of rounds of a sequence; 0: as many as the edits make.
	Rounds int `json:"rounds,omitempty"`
	// MaxLen is the number of tokens at which prompts and answers were cut; 0:
	// never.
	MaxLen int `json:"max_len"`
	// Join is auto where that puts anything else than one space between some
	// prompt of the data and its answer; else empty.
	Join string `json:"join,omitempty"`
	// Borrowed is apart where a record of the data has no unrelated prompt and the
	// figures of one that it borrows stand apart; else empty.
	Borrowed string `json:"borrowed,omitempty"`
	// Ends is text where an answer of the data ends in a sign that a model's token
	// may have more behind, so that it counts as right by its text; else empty.
	Ends string `json:"ends,omitempty"`
}

// Different lists where two records differ, as "match: token_all and
// token_mean"; nothing if their figures can be compared.
func (r Record) Different(o Record) []string {
	var out []string
	for _, f := range []struct {
		name string
		a, b any
	}{
		{"target", r.Target, o.Target},
		{"decode", r.Decode, o.Decode},
		{"match", r.Match, o.Match},
		{"prompt_style", r.PromptStyle, o.PromptStyle},
		{"locality_reference", r.LocalityReference, o.LocalityReference},
		{"average", r.Average, o.Average},
		{"protocol", r.Protocol, o.Protocol},
		{"edits of a round", r.Batch, o.Batch},
		{"rounds", r.Rounds, o.Rounds},
		{"max_len", r.MaxLen, o.MaxLen},
		{"join", r.Join, o.Join},
		{"borrowed prompts", r.Borrowed, o.Borrowed},
		{"ends of answers", r.Ends, o.Ends},
	} {
		if f.a != f.b {
			out = append(out, fmt.Sprintf("%s: %v and %v", f.name, f.a, f.b))
		}
	}
	return out
}

// Footnote is the record in one line, to stand under a table.
func (r Record) Footnote() string {
	cut := "not cut"
	if r.MaxLen > 0 {
		cut = fmt.Sprintf("cut at %d tokens", r.MaxLen)
	}
	protocol := r.Protocol
	if r.Batch > 0 {
		protocol += fmt.Sprintf(" by %d", r.Batch)
	}
	if r.Rounds > 0 {
		protocol += fmt.Sprintf(" in sequences of %d rounds", r.Rounds)
	}
	return fmt.Sprintf("target %s, decode %s, match %s, prompts %s, locality against %s, %s average, protocol %s, %s",
		r.Target, r.Decode, r.Match, r.PromptStyle, r.LocalityReference, r.Average, protocol, cut)
}

// Pool averages figures of one metric from several evaluations, weighted by
// their cases. Figures with different records, or of different metrics, are an
// error that says where they differ. The band is that of the pooled cases if
// their means were equal.
func Pool(figures ...Figure) (Figure, error) {
	if len(figures) == 0 {
		return Figure{}, fmt.Errorf("average: no figure is given")
	}
	out := Figure{Name: figures[0].Name, Record: figures[0].Record}
	variance := 0.0
	for _, f := range figures {
		if f.Name != out.Name {
			return Figure{}, fmt.Errorf("average: %s and %s are different metrics", out.Name, f.Name)
		}
		if d := f.Record.Different(out.Record); len(d) > 0 {
			return Figure{}, fmt.Errorf("average: the figures of %s were measured differently (%s); evaluate both the same way", f.Name, strings.Join(d, "; "))
		}
		out.Mean += f.Mean * float64(f.Cases)
		out.Micro += f.Micro * float64(f.Prompts)
		out.Cases += f.Cases
		out.Prompts += f.Prompts
		variance += f.Band * f.Band * float64(f.Cases) * float64(f.Cases)
	}
	if out.Cases > 0 {
		out.Mean /= float64(out.Cases)
		out.Band = sqrt(variance) / float64(out.Cases)
	}
	if out.Prompts > 0 {
		out.Micro /= float64(out.Prompts)
	}
	return out, nil
}

// Mixed lists the metrics that several reports measured differently, with the
// difference: what a table of them has to warn of.
func Mixed(reports ...*Report) []string {
	var out []string
	for i, r := range reports {
		for name, f := range r.Metrics {
			for _, o := range reports[:i] {
				g, ok := o.Metrics[name]
				if !ok {
					continue
				}
				if d := f.Record.Different(g.Record); len(d) > 0 {
					out = append(out, fmt.Sprintf("%s of %s and %s: %s", name, o.Editor, r.Editor, strings.Join(d, "; ")))
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// joinOf is Record.Join for a set.
func joinOf(s *data.Set) string {
	for i := range s.Edits {
		r := &s.Edits[i]
		if r.Join != data.JoinAuto {
			continue // the record says so itself
		}
		for _, p := range pairs(r) {
			if text.Behind(p[0], p[1], r.Join) != " "+p[1] {
				return "auto"
			}
		}
	}
	return ""
}

// pairs are the prompts of a record with the answers looked for behind them.
func pairs(r *data.Edit) [][2]string {
	out := [][2]string{{r.Prompt, r.TargetNew}}
	for _, s := range r.Paraphrases {
		out = append(out, [2]string{s, r.TargetNew})
	}
	for _, t := range r.TargetTrue {
		out = append(out, [2]string{r.Prompt, t})
	}
	for _, m := range []map[string][]data.Prompt{r.Locality, r.Portability, {"": r.Reverse}} {
		for _, kind := range data.Kinds(m) {
			for _, q := range m[kind] {
				for _, a := range q.Answers {
					out = append(out, [2]string{q.Prompt, a[0]})
				}
			}
		}
	}
	if r.Chain == nil {
		return out
	}
	for i := range r.Chain.Edits {
		out = append(out, pairs(&r.Chain.Edits[i])...)
	}
	for _, q := range r.Chain.Questions {
		for _, a := range r.Chain.NewAnswer {
			out = append(out, [2]string{q, a})
		}
	}
	for _, h := range r.Chain.NewHops {
		out = append(out, [2]string{h.Question, h.Answer[0]}, [2]string{h.Cloze, h.Answer[0]})
	}
	return out
}

// borrows is Record.Borrowed for a set.
func borrows(s *data.Set) string {
	for i := range s.Edits {
		own := false
		for kind := range s.Edits[i].Locality {
			own = own || kind != data.Attribute && kind != data.Distracting
		}
		if !own {
			return "apart"
		}
	}
	return ""
}

// endsOf is Record.Ends for a set.
func endsOf(s *data.Set) string {
	for i := range s.Edits {
		for _, p := range pairs(&s.Edits[i]) {
			last, _ := utf8.DecodeLastRuneInString(strings.TrimSpace(p[1]))
			if !unicode.In(last, unicode.L, unicode.M, unicode.N) {
				return "text"
			}
		}
	}
	return ""
}
