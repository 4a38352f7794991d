package eval

import (
	"slices"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/text"
)

// compare multiplies the final states of both models by the head, so many
// rows at a time as MaxLogits allows, and fills in the probes' outcomes.
func (s *Scorer) compare(list []asked) error {
	limit := max(1, s.MaxLogits/s.model.Config.Vocab)
	for len(list) > 0 {
		n, rows := 0, 0
		for n < len(list) && (n == 0 || rows+list[n].probe.tokens() <= limit) {
			rows += list[n].probe.tokens()
			n++
		}
		if err := s.compareRows(list[:n]); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

func (s *Scorer) compareRows(list []asked) error {
	d := s.model.Config.Width
	var baseFinal, editFinal []float32
	var baseOf []asked // whose base rows are computed, in order
	for _, a := range list {
		if a.logits == nil {
			editFinal = append(editFinal, a.final...)
		}
		if a.probe.KL || a.probe.base.outcome == nil {
			baseOf = append(baseOf, a)
			baseFinal = append(baseFinal, a.probe.base.final...)
		}
	}
	o := s.reset(nil)
	base := s.model.Logits(o, kernel.Mat(baseFinal, len(baseFinal)/d, d))
	edited := s.model.Logits(o, kernel.Mat(editFinal, len(editFinal)/d, d))
	if err := o.Err(); err != nil {
		return err
	}
	edited = withOthers(list, edited)
	want := func(list []asked) (labels []int32) {
		for _, a := range list {
			labels = append(labels, a.probe.answer()...)
		}
		return labels
	}
	k := s.ops.Engine()
	baseNLL, baseGot := score(k, base, want(baseOf))
	editNLL, editGot := score(k, edited, want(list))

	var kl []float32
	v := s.model.Config.Vocab
	at, baseAt := 0, 0
	for _, a := range list {
		n := a.probe.tokens()
		if a.probe.base.outcome == nil {
			a.probe.base.outcome = outcome(s.model, a.probe, baseNLL[baseAt:baseAt+n], baseGot[baseAt:baseAt+n])
		}
		a.probe.Base = a.probe.base.outcome
		a.probe.Edited = outcome(s.model, a.probe, editNLL[at:at+n], editGot[at:at+n])
		if a.probe.KL {
			kl = make([]float32, n)
			lse := make([]float32, 2*n)
			k.KL(kl, lse[:n], lse[n:], base.Data[baseAt*v:(baseAt+n)*v], edited.Data[at*v:(at+n)*v], n, v)
			a.probe.Edited.KL = kl
		}
		if len(baseOf) > 0 && baseOf[0].probe == a.probe {
			baseOf = baseOf[1:]
			baseAt += n
		}
		at += n
	}
	return nil
}

// withOthers puts the answers of other models among those of the edited one, which
// are own.
func withOthers(list []asked, own kernel.Matrix) kernel.Matrix {
	if !slices.ContainsFunc(list, func(a asked) bool { return a.logits != nil }) {
		return own
	}
	var all []float32
	at := 0
	for _, a := range list {
		n := a.probe.tokens() * own.Cols
		if a.logits != nil {
			all = append(all, a.logits...)
			continue
		}
		all = append(all, own.Data[at:at+n]...)
		at += n
	}
	return kernel.Mat(all, len(all)/own.Cols, own.Cols)
}

// score gives −log P of the labels and the most probable tokens of rows of
// logits: [rows, vocab].
func score(k *kernel.Engine, logits kernel.Matrix, labels []int32) (nll []float32, got []int32) {
	n := logits.Rows
	nll, got = make([]float32, n), make([]int32, n)
	lse := make([]float32, n)
	k.CrossEntropy(nll, lse, logits.Data[:n*logits.Cols], labels, n, logits.Cols)
	k.ArgMax(got, logits.Data[:n*logits.Cols], n, logits.Cols)
	for i := range got {
		if lse[i] != lse[i] { // NaN: nothing was predicted
			got[i] = -1
		}
	}
	return nll, got
}

func outcome(m *lm.Model, p *Probe, nll []float32, got []int32) *Outcome {
	want := p.answer()
	return &Outcome{NLL: slices.Clone(nll), Got: slices.Clone(got), Want: want, said: text.Said(m.Tokenizer, want, got)}
}
