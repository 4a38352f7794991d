package eval

import (
	"slices"
	"strings"

	"keyhole.example/keyhole/lm/tokenizer"
)

// Said is one prompt with the answers of the model before and after an edit.
//
// Answers that are looked for are read while the model sees the right one: each
// token is the most probable one behind those that were wanted. Texts that a model
// continues by itself are what it wrote.
type Said struct {
	Prompt   string             `json:"prompt"`
	Expected string             `json:"expected,omitempty"` // "" where the model continues as it likes
	Before   string             `json:"before,omitempty"`
	After    string             `json:"after"`
	Values   map[string]float64 `json:"values"` // by figure, what the prompt counts, alone or with others
}

// EditTexts are the texts of one edit.
type EditTexts struct {
	ID    string  `json:"id"`
	Asked string  `json:"asked,omitempty"` // as in Line
	Texts []*Said `json:"texts"`
}

// answered is a Probe or a Generation, whose outcome a figure is made of.
type answered interface {
	said(tok tokenizer.Tokenizer) *Said
}

func (p *Probe) said(tok tokenizer.Tokenizer) *Said {
	read := func(o *Outcome) string {
		if o == nil {
			return ""
		}
		return tok.DecodeSkip(slices.DeleteFunc(slices.Clone(o.Got), func(id int32) bool { return id < 0 }))
	}
	return &Said{Prompt: p.Prompt, Expected: p.Answer, Before: read(p.Base), After: read(p.Edited)}
}

func (g *Generation) said(tok tokenizer.Tokenizer) *Said {
	return &Said{Prompt: g.Prompt, Before: tok.DecodeSkip(g.Base), After: tok.DecodeSkip(g.Edited)}
}

// answers are what several outcomes make a figure of.
func answers[T answered](list []T) []answered {
	out := make([]answered, len(list))
	for i := range list {
		out[i] = list[i]
	}
	return out
}

// scores collects a case's values and, with a tokenizer, its texts.
type scores struct {
	values Values
	said   []*Said
	of     map[answered]*Said
	tok    tokenizer.Tokenizer // nil: texts are not kept
}

// add counts x in a figure; from is what was asked for it.
func (v *scores) add(name string, x float64, from ...answered) {
	t := v.values[name]
	v.values[name] = Tally{t.Sum + x, t.N + 1}
	if v.tok == nil {
		return
	}
	for _, a := range from {
		s := v.of[a]
		if s == nil {
			s = a.said(v.tok)
			s.Values = map[string]float64{}
			v.of[a] = s
			v.said = append(v.said, s)
		}
		s.Values[name] = x
	}
}

// tokenizer is nil where texts are not kept.
func (r *run) tokenizer() tokenizer.Tokenizer {
	if !r.Texts {
		return nil
	}
	return r.Model.Tokenizer
}

// ReportOf is the report of a results file, as far as its lines tell it: without
// times, and of a sequence without what only the sequence has.
func (r *Results) ReportOf() *Report {
	rep := newReport(r.Header.Record)
	rep.Editor, rep.Model, rep.Data = r.Header.Editor, r.Header.Model, r.Header.Data
	for i := range r.Lines {
		rep.add(&r.Lines[i])
	}
	var list []family
	for _, f := range families() {
		if slices.Contains(strings.Split(r.Header.Metrics, ","), f.name) {
			list = append(list, f)
		}
	}
	rep.finish(list)
	return rep
}
