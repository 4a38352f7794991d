package eval

import (
	"fmt"
	"slices"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/text"
)

// adapted scores a job whose edit stands behind a layer. Texts do not share rows:
// each one's prompt decides for all of its rows.
func (s *Scorer) adapted(j Job, first int) error {
	a, layers, d := j.Edited.AdapterOf(), s.model.Config.Layers, s.model.Config.Width
	var list []asked
	for rest := j.Probes; len(rest) > 0; {
		n := text.Fitting(rest, func(p *Probe) int { return len(p.Text.IDs) }, s.MaxRows)
		var texts text.Packed
		var spans []edit.Span
		var states []float32
		for _, p := range rest[:n] {
			rows, _ := texts.Add(p.Text)
			spans = append(spans, edit.Span{Range: rows, Prompt: p.Text.Prompt()})
			if len(p.base.states) != len(p.Text.IDs)*d {
				return fmt.Errorf("the states of %q before block %d were not kept", p.Prompt, first)
			}
			states = append(states, p.base.states...)
		}
		o := s.reset(nil)
		undo := edit.Intercept(o, a, spans)
		x := lm.Blocks[kernel.Matrix](o, s.model, kernel.Mat(states, texts.Rows(), d), first, layers, &texts.Seq, nil)
		undo()
		x = lm.FinalNorm[kernel.Matrix](o, s.model, o.Rows(x, &texts.Want))
		if err := o.Err(); err != nil {
			return err
		}
		row := 0
		for _, p := range rest[:n] {
			list = append(list, asked{probe: p, final: slices.Clone(x.Data[row*d : (row+p.tokens())*d])})
			row += p.tokens()
		}
		rest = rest[n:]
	}
	return s.compare(list)
}
