package serac

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/encoder"
	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/meta"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/nn/graph"
	"keyhole.example/keyhole/text"
)

// Parts are what SERAC is made of.
type Parts struct {
	Base           *lm.Model
	Counterfactual *lm.Model        // a model of its own, never Base itself
	Encoder        *encoder.Encoder // the scope classifier's
	Engine         *kernel.Engine
	CEdit, CLoc    float64 // weights of the counterfactual model's loss and of the classifier's
	Reference      bool    // see the package comment
}

// Learner is the scope classifier and the counterfactual model, with the losses
// that they learn from. It is for one goroutine at a time.
type Learner struct {
	Parts

	cfg     Config
	measure measure
	params  []*nn.Param // the trained ones, under names of their own
	flat    []float32   // their values
	inputs  []*nn.Param // the same, as the networks have them
	ops     *eager.Ops
	watch   bool
	hash    string // of the base model

	step  layout
	bound bounds
	g     *built
	fresh []float32 // a gradient that is still to be added
}

// New puts the parts together. The trained weights move into one slice.
func New(cfg Config, p Parts) (*Learner, error) {
	l := &Learner{Parts: p, cfg: cfg, measure: cfg.measure(), ops: eager.New(p.Engine)}
	if err := l.check(); err != nil {
		return nil, fmt.Errorf("serac: %w", err)
	}
	if cfg.Pool != "" {
		if err := p.Encoder.Pool(cfg.Pool); err != nil {
			return nil, fmt.Errorf("serac: %w", err)
		}
	}
	var err error
	if l.hash, err = p.Base.Hash(); err != nil {
		return nil, err
	}
	var names []string
	add := func(prefix string, list []*nn.Param) {
		for _, p := range list {
			l.inputs, names = append(l.inputs, p), append(names, prefix+p.Name)
		}
	}
	if !cfg.FreezeEncoder {
		add("classifier.", p.Encoder.Params())
	}
	if !cfg.FreezeModel {
		add("counterfactual.", p.Counterfactual.Params())
	}
	l.flat = make([]float32, nn.Total(l.inputs))
	for i, own := range nn.Split(l.flat, l.inputs) {
		x := l.inputs[i]
		values, err := x.Values()
		if err != nil {
			return nil, fmt.Errorf("serac: %w", err)
		}
		copy(own, values)
		if err := x.Assign(own); err != nil {
			return nil, err
		}
		l.params = append(l.params, nn.NewParam(names[i], x.Rows, x.Cols, own))
	}
	return l, nil
}

func (l *Learner) check() error {
	if err := l.cfg.Validate(); err != nil {
		return err
	}
	if l.Encoder.Width()%l.cfg.Heads != 0 {
		return fmt.Errorf("dist_heads: %d does not divide the encoder's width %d", l.cfg.Heads, l.Encoder.Width())
	}
	a, b := l.Base, l.Counterfactual
	if a == b {
		return errors.New("the counterfactual model is the base model itself, which has to stay as it is; give a copy of it")
	}
	if a.Tokenizer == nil {
		return errors.New("the base model has no tokenizer; put its tokenizer.json beside the weights")
	}
	tok := b.Tokenizer
	if tok == nil { // a model without one is asked by the base model's
		tok = a.Tokenizer
	}
	same := a.Config.Vocab == b.Config.Vocab && a.Tokenizer.Size() == tok.Size()
	for id := range int32(a.Tokenizer.Size()) {
		x, _ := a.Tokenizer.Token(id)
		y, _ := tok.Token(id)
		same = same && x == y
	}
	if !same {
		return fmt.Errorf("counterfactual: %s has other tokens than the base model (%d and %d), and has to have the same ones; name a smaller model of the same family, or leave it out for a copy of the base model",
			b.Path, tok.Size(), a.Tokenizer.Size())
	}
	return nil
}

// Config is what the learner was made by.
func (l *Learner) Config() Config { return l.cfg }

// Params are the trained values, of the classifier and then of the counterfactual
// model, which lie in Values one behind the other.
func (l *Learner) Params() []*nn.Param { return l.params }

// Values are the trained values.
func (l *Learner) Values() []float32 { return l.flat }

// StepSizes is 0: no value has a rate of its own.
func (l *Learner) StepSizes() int { return 0 }

// Remembered visits nothing: there is nothing to be kept beside the values.
func (l *Learner) Remembered(func(hypernet.Kept) error) error { return nil }

// Mark notes nothing, since Step changes nothing.
func (l *Learner) Mark() (back func()) { return func() {} }

// Prepare needs none of the texts that must stay.
func (l *Learner) Prepare(func(int) ([]text.Text, error)) error { return nil }

// Rows are none: no edit changes a weight.
func (l *Learner) Rows([]meta.Task) ([][]meta.Rows, error) { return nil, nil }

// Explain makes errors name the first value that is not finite.
func (l *Learner) Explain(on bool) {
	l.watch = on
	if l.g != nil {
		l.g.machine.Watch = on
	}
}

// Close gives back what the two networks hold open.
func (l *Learner) Close() error { return errors.Join(l.Encoder.Close(), l.Counterfactual.Close()) }

// Hash identifies the two networks and the settings.
func (l *Learner) Hash() string {
	about := struct {
		Config         Config
		Encoder, Model string
		Reference      bool
	}{l.cfg, l.Encoder.Hash(), l.hash, l.Reference}
	about.Config.Encoder, about.Config.Counterfactual = "", "" // where files lie changes no result
	head, err := configs.Identity(about)
	if err != nil {
		panic("serac: " + err.Error()) // plain structs of numbers and texts
	}
	h := sha256.New()
	h.Write(head)
	values := func(list []float32) {
		var raw []byte
		for part := range slices.Chunk(list, 1<<14) {
			raw = raw[:0]
			for _, v := range part {
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
			}
			h.Write(raw)
		}
	}
	values(l.flat)
	if l.cfg.FreezeModel {
		if model, err := l.Counterfactual.Hash(); err == nil {
			h.Write([]byte(model))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// vectors are the classifier's vectors of texts, [len(texts), width].
func (l *Learner) vectors(texts []string) ([][]float32, error) {
	m, err := l.Encoder.Encode(context.Background(), texts)
	if err != nil {
		return nil, err
	}
	out := make([][]float32, m.Rows)
	for i := range out {
		out[i] = m.Data[i*m.Cols : (i+1)*m.Cols]
		for _, v := range out[i] {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return nil, fmt.Errorf("the scope classifier makes no numbers of %q; take an earlier checkpoint, or train with a lower train.lr", texts[i])
			}
		}
	}
	return out, nil
}

// Step computes the losses of tasks and the gradient of the sum of their total
// losses, which it adds to grads or writes there.
func (l *Learner) Step(tasks []meta.Task, grads []float32, accumulate bool) ([]meta.Outcome, error) {
	if err := l.lay(tasks); err != nil {
		return nil, err
	}
	if err := l.ensure(); err != nil {
		return nil, err
	}
	to := grads
	if accumulate {
		if len(l.fresh) != len(grads) {
			l.fresh = make([]float32, len(grads))
		}
		to = l.fresh
	}
	if err := l.g.run(l, to); err != nil {
		return nil, err
	}
	if l.Reference && !l.cfg.FreezeEncoder {
		words, row := l.params[0], min(max(l.Encoder.PadRow(), 0), l.params[0].Rows-1)
		clear(to[row*words.Cols : (row+1)*words.Cols])
	}
	if accumulate {
		l.Engine.AddTo(grads, to)
	}
	return l.outcomes(l.g.scores(l))
}

// Score is the losses alone.
func (l *Learner) Score(tasks []meta.Task) ([]meta.Outcome, error) {
	if err := l.lay(tasks); err != nil {
		return nil, err
	}
	s, err := l.score()
	if err != nil {
		return nil, err
	}
	return l.outcomes(s)
}

// Profile is what the parts of the last graph cost, by operation.
func (l *Learner) Profile() map[string]graph.Cost { return l.g.machine.Profile }
