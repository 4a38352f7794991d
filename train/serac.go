package train

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"keyhole.example/keyhole/edit/serac"
	"keyhole.example/keyhole/encoder"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
)

// The learners that a config may name.
const (
	LearnNetwork = "network"
	LearnSERAC   = "serac"
)

// newSERAC makes the two networks of SERAC for the base model m.
func newSERAC(cfg Config, m *lm.Model, k *kernel.Engine, src Sources) (*Editor, error) {
	if m.Tokenizer == nil {
		return nil, fmt.Errorf("%s: the model has no tokenizer; put tokenizer.json beside its weights", m.Path)
	}
	if err := cfg.SERAC.Validate(); err != nil {
		return nil, fmt.Errorf("serac: %w", err)
	}
	other, err := openCounterfactual(cfg, src)
	if err != nil {
		return nil, fmt.Errorf("serac.counterfactual: %w", err)
	}
	enc, err := openScope(cfg, m, k)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("serac.encoder: %w", err), other.Close())
	}
	l, err := serac.New(cfg.SERAC, serac.Parts{
		Base: m, Counterfactual: other, Encoder: enc, Engine: k,
		CEdit: cfg.Objective.CEdit, CLoc: cfg.Objective.CLoc, Reference: cfg.Compat == "reference",
	})
	if err != nil {
		return nil, errors.Join(err, enc.Close(), other.Close())
	}
	return &Editor{Config: cfg, Model: m, Engine: k, SERAC: l}, nil
}

// openCounterfactual loads the model that answers in scope.
func openCounterfactual(cfg Config, src Sources) (*lm.Model, error) {
	switch {
	case cfg.SERAC.Counterfactual != "":
		return loadModel(ModelConfig{Path: cfg.SERAC.Counterfactual}, src)
	case src.Copy != nil:
		return src.Copy()
	}
	return loadModel(cfg.Model, src)
}

// openScope is the scope classifier's encoder: a folder's, or a new one.
func openScope(cfg Config, m *lm.Model, k *kernel.Engine) (*encoder.Encoder, error) {
	if cfg.SERAC.Encoder != "" {
		return encoder.Load(cfg.SERAC.Encoder, k)
	}
	return encoder.New(cfg.SERAC.New, m.Tokenizer, k, rand.New(rand.NewPCG(cfg.Seed, 2)))
}

// seracEstimate is the memory of a run that trains SERAC: what its two networks
// keep of each token, and the probabilities of the rows that count.
func (l *Loop) seracEstimate(cfg Config) Estimate {
	s, m := l.SERAC, l.SERAC.Counterfactual.Config
	var e Estimate
	parameters := int64(0)
	if !cfg.SERAC.FreezeEncoder {
		for _, p := range s.Encoder.Params() {
			parameters += int64(p.Len())
		}
	}
	if !cfg.SERAC.FreezeModel {
		parameters += int64(s.Counterfactual.Parameters())
	}
	e.Network = networkBytes * parameters
	e.Model = l.modelBytes(cfg, 0)
	if cfg.SERAC.FreezeModel {
		e.Model += 4 * int64(s.Counterfactual.Parameters())
	}
	edits, _, rest := l.tokens(cfg)
	const each = 24 // values that a block keeps of a token, forwards and backwards, in widths
	perToken := float64(each*s.Encoder.Layers()*s.Encoder.Width()) * 4
	e.Graph = bounded((edits + rest) * perToken)
	if !cfg.SERAC.FreezeModel {
		asked := edits + rest // an edit in front of each text
		e.Graph += bounded(asked * float64(each*m.Layers*m.Width) * 4)
		const answer = 4 // tokens of a text that count, at most about
		rows := answer * float64(max(cfg.Train.Batch, cfg.Train.Accumulate)) * float64(cfg.Train.Edits)
		e.Graph += bounded(rows * float64(m.Vocab) * 3 * 4)
	}
	e.Other = 64<<20 + bounded(taskBytes*float64(cfg.Train.Accumulate)*float64(cfg.Train.Edits))
	return e
}

// seracKnobs are the keys that the memory of such a run depends on.
func seracKnobs() []knob {
	return []knob{
		{"train.batch", func(c Config, _ int64) []any {
			batch := c.Train.Batch
			if batch == 0 {
				batch = c.Train.Accumulate
			}
			return halves(batch, 1)
		}, func(c *Config, v any) { c.Train.Batch = v.(int) }},
		{"serac.freeze_counterfactual", func(c Config, _ int64) []any {
			if c.SERAC.FreezeModel || c.SERAC.FreezeEncoder {
				return nil
			}
			return []any{true}
		}, func(c *Config, v any) { c.SERAC.FreezeModel = v.(bool) }},
	}
}
