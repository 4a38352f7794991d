package eval

import (
	"fmt"
	"slices"
	"strings"
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
