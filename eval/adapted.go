package eval

import (
	"fmt"
	"slices"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
)

// adapted scores a job whose edit stands behind a layer. Texts do not share rows:
// each one's prompt decides for all of its rows.
func (s *Scorer) adapted(j Job, first int) error {
	a, layers, d := j.Edited.AdapterOf(), s.model.Config.Layers, s.model.Config.Width
	var list []asked
	for rest := j.Probes; len(rest) > 0; {
		n, rows := 0, 0
		for n < len(rest) && (n == 0 || rows+len(rest[n].Text.IDs) <= s.MaxRows) {
			rows += len(rest[n].Text.IDs)
			n++
		}
		var lengths []int
		var spans []edit.Span
		var want []int32
		states := make([]float32, 0, rows*d)
		at := 0
		for _, p := range rest[:n] {
			t := len(p.Text.IDs)
			lengths = append(lengths, t)
			prompt := slices.IndexFunc(p.Text.Labels, func(l int32) bool { return l >= 0 }) + 1
			spans = append(spans, edit.Span{Range: nn.Range{Lo: at, Hi: at + t}, Prompt: prompt})
			want = p.Text.AppendRows(want, at)
			if len(p.base.states) != t*d {
				return fmt.Errorf("the states of %q before block %d were not kept", p.Prompt, first)
			}
			states = append(states, p.base.states...)
			at += t
		}
		o := s.reset(nil)
		undo := edit.Intercept(o, a, spans)
		x := lm.Blocks[kernel.Matrix](o, s.model, kernel.Mat(states, rows, d), first, layers, nn.Pack(lengths...), nil)
		undo()
		x = lm.FinalNorm[kernel.Matrix](o, s.model, o.Rows(x, &nn.RowSet{V: want}))
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
