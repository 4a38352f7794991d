package eval

import (
	"fmt"
	"slices"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/text"
)

// responded scores a job whose edit has some prompts answered by another model;
// the others are the base model's, which stays as it is.
func (s *Scorer) responded(j Job) error {
	r := j.Edited.ResponderOf()
	var list []asked
	for _, p := range j.Probes {
		a, err := r.Respond(p.Prompt, p.Answer)
		if err != nil {
			return err
		}
		if a.Model == nil {
			list = append(list, asked{probe: p, final: p.base.final})
			continue
		}
		logits, err := s.answeredBy(a, p)
		if err != nil {
			return err
		}
		list = append(list, asked{probe: p, logits: logits})
	}
	return s.compare(list)
}

// answeredBy is the logits of a probe's answer, [answer tokens, vocab].
func (s *Scorer) answeredBy(a edit.Response, p *Probe) ([]float32, error) {
	t, err := p.behind(s.model.Tokenizer, a.Model, a.Context)
	if err != nil {
		return nil, err
	}
	asked := text.Pack(t)
	o := s.reset(nil)
	x := a.Model.Logits(o, lm.Forward[kernel.Matrix](o, a.Model, &asked.IDs, &asked.Seq, &asked.Want))
	if err := o.Err(); err != nil {
		return nil, fmt.Errorf("%q: %w", p.Prompt, err)
	}
	out := slices.Clone(x.Data[:x.Rows*x.Cols])
	if a.Share == 1 {
		return out, nil
	}
	d := s.model.Config.Width
	o = s.reset(nil)
	base := s.model.Logits(o, kernel.Mat(p.base.final, len(p.base.final)/d, d))
	for lo := 0; lo < len(out); lo += base.Cols {
		edit.Mix(out[lo:lo+base.Cols], base.Data[lo:lo+base.Cols], out[lo:lo+base.Cols], a.Share)
	}
	return out, o.Err()
}
