package eval

import (
	"context"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
)

// padded is an editor whose edits change a weight of block 0 by zero too, so
// that nothing of the base model's computation can be kept for them.
type padded struct{ edit.Editor }

func (p padded) Apply(ctx context.Context, m *lm.Model, requests []edit.Request) (*edit.Edited, error) {
	e, err := p.Editor.Apply(ctx, m, requests)
	if err != nil {
		return nil, err
	}
	zero := func(cols int) kernel.Matrix { return kernel.Mat(make([]float32, cols), 1, cols) }
	for _, s := range m.Sites() {
		if s.Block == 0 {
			e.Changes = append(e.Changes, edit.Change{Weight: s.Name, Delta: &nn.Delta{U: zero(s.Linear.In), D: zero(s.Linear.Out), Scale: 1}})
			break
		}
	}
	return e, nil
}

// TestWhatIsKeptOfTheBaseModelEndsAtTheFirstEditedBlock: an evaluation that
// computes every block anew gives the same figures.
func TestWhatIsKeptOfTheBaseModelEndsAtTheFirstEditedBlock(t *testing.T) {
	m := tinyModel(t, "gpt2")
	for _, protocol := range Protocols() {
		t.Run(protocol, func(t *testing.T) {
			o := Options{Model: m, Editor: random{}, Set: tinySet(6), Protocol: protocol, Batch: 3, Pack: 2}
			kept := evaluate(t, o)
			o.Editor = padded{random{}}
			same(t, kept, evaluate(t, o))
			if kept.LocalityKL == 0 {
				t.Error("the edits change nothing")
			}
		})
	}
}
