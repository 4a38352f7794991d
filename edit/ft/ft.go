package ft

import (
	"context"
	"errors"
	"fmt"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn/eager"
)

// Editor fine-tunes copies of weights. It is for one goroutine at a time.
type Editor struct {
	cfg Config
	k   *kernel.Engine
}

var _ edit.Editor = (*Editor)(nil)

// New returns the editor that cfg describes; it computes with k.
func New(cfg Config, k *kernel.Engine) (*Editor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("fine-tuning: %w", err)
	}
	return &Editor{cfg: cfg, k: k}, nil
}

// Name implements edit.Editor: the variant.
func (e *Editor) Name() string { return e.cfg.Variant }

// scale is α/r.
func (e *Editor) scale() float32 { return float32(e.cfg.Alpha / float64(e.cfg.Rank)) }

// Apply implements edit.Editor: one training on all requests together.
func (e *Editor) Apply(ctx context.Context, m *lm.Model, requests []edit.Request) (*edit.Edited, error) {
	d, err := e.apply(ctx, m, requests)
	if err != nil {
		return nil, fmt.Errorf("editor %s: %w", e.cfg.Variant, err)
	}
	if e.cfg.Replay {
		d.Memory = &replayed{requests}
	}
	return d, nil
}

func (e *Editor) apply(ctx context.Context, m *lm.Model, requests []edit.Request) (*edit.Edited, error) {
	switch {
	case len(requests) == 0:
		return nil, errors.New("there is nothing to edit")
	case m.Tokenizer == nil:
		return nil, errors.New("the model has no tokenizer; put its tokenizer.json beside the weights")
	}
	sites, err := e.cfg.sites(m)
	if err != nil {
		return nil, err
	}
	first := m.Config.Layers
	for _, s := range sites {
		first = min(first, s.Block)
	}
	batches, err := e.batches(m, requests)
	if err != nil {
		return nil, err
	}
	o := eager.New(e.k)
	for _, b := range batches {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := b.prefix(o, m, first); err != nil {
			return nil, err
		}
	}
	t, err := e.newTrainer(m, sites, first, batches)
	if err != nil {
		return nil, err
	}
	steps, loss, err := e.train(ctx, t, batches, float32(e.cfg.norm(m)))
	if err != nil {
		return nil, err
	}
	return e.outcome(m, requests, t, steps, loss)
}

// train takes steps until the mean loss is low enough, as the references do: a
// batch whose loss is already low takes no step, and a pass over the requests
// whose mean loss is low is the last. It returns the number of Adam's steps and
// the loss after the last.
func (e *Editor) train(ctx context.Context, t *trainer, batches []*batch, norm float32) (steps int, loss float64, err error) {
	adam := kernel.NewAdam(e.cfg.LR)
	for pass := 0; ; pass++ {
		total, count := 0.0, 0
		last := pass == e.cfg.Steps // only looks
		for _, b := range batches {
			if err := ctx.Err(); err != nil {
				return 0, 0, err
			}
			loss, err := t.loss(b)
			if err != nil {
				return 0, 0, fmt.Errorf("step %d: %w; a smaller learning rate than %g may help", steps+1, err, e.cfg.LR)
			}
			total, count = total+loss*float64(b.count), count+b.count
			if last || loss < e.cfg.StopLoss {
				continue
			}
			steps++
			if err := t.step(adam, steps, norm); err != nil {
				return 0, 0, err
			}
		}
		if loss = total / float64(count); last || loss < e.cfg.StopLoss {
			return steps, loss, nil
		}
	}
}
