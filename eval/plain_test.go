package eval

import (
	"testing"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
)

// plainOutcome is the plain way: one forward pass of the whole model for one
// prompt, every row multiplied by the head.
func plainOutcome(t testing.TB, m *lm.Model, k *kernel.Engine, p *Probe, deltas map[string][]nn.Delta) *Outcome {
	t.Helper()
	o := eager.New(k)
	return plainWith(t, o, m, p, deltas)
}

func plainWith(t testing.TB, o *eager.Ops, m *lm.Model, p *Probe, deltas map[string][]nn.Delta) *Outcome {
	t.Helper()
	o.Reset()
	o.Deltas = deltas
	n := len(p.Text.IDs)
	o.SetTasks([]nn.Range{{Lo: 0, Hi: n}})
	x := lm.Forward[kernel.Matrix](o, m, &nn.IDs{V: p.Text.IDs}, nn.Pack(n), nil)
	logits := m.Logits(o, x)
	if err := o.Err(); err != nil {
		t.Fatal(err)
	}
	k := p.tokens()
	nll, got := score(o.Engine(), kernel.Mat(logits.Data[(n-k)*logits.Cols:n*logits.Cols], k, logits.Cols), p.answer())
	return outcome(m, p, nll, got)
}
