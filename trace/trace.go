package trace

import (
	"context"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/report"
	"keyhole.example/keyhole/text"
)

// ErrUnknown says that the model does not give the expected answer, so that
// there is nothing to trace.
var ErrUnknown = errors.New("the model does not know the fact")

// Query is a fact to be traced.
type Query struct {
	Prompt  string // the subject filled in
	Subject string // as it stands in Prompt
	Answer  string // the expected answer; "" takes the model's own
	// Join says how Answer follows Prompt, Occurrence which place is meant where
	// Subject stands in Prompt more than once.
	Join       data.Join
	Occurrence text.Occurrence
}

// Tracer traces facts in one model. It is for one goroutine at a time.
type Tracer struct {
	// Progress, if set, is called after each block of a table.
	Progress func(done, total int)

	m     *lm.Model
	k     *kernel.Engine
	cfg   Config
	noise noise
	sigma float64 // of the subjects' embeddings; 0: of each query's own subject
	mask  []float32
}

// New returns a tracer of m that computes with k. A noise level in standard
// deviations refers to the embeddings of subjects, those of the data set at
// hand; with none, to those of each query's own subject.
func New(m *lm.Model, k *kernel.Engine, c Config, subjects []string) (*Tracer, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	if m.Tokenizer == nil {
		return nil, errors.New("trace: the model has no tokenizer")
	}
	t := &Tracer{m: m, k: k, cfg: c}
	var err error
	if t.noise, err = parseNoise(c.Noise); err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	if c.Corrupt == CorruptMask {
		t.mask, err = maskVector(m, c.Mask)
	} else if len(subjects) > 0 && t.noise.sigmas > 0 {
		t.sigma, err = EmbeddingStd(m, subjects)
	}
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	return t, nil
}

// Trace makes the table of one fact. If the model's answer is not the expected
// one, the error wraps ErrUnknown.
func (t *Tracer) Trace(ctx context.Context, q Query) (*Result, error) {
	r, err := t.start(q)
	if err != nil {
		return nil, fmt.Errorf("trace %q: %w", q.Prompt, err)
	}
	if err := r.clean(); err != nil {
		return nil, fmt.Errorf("trace %q: %w", q.Prompt, err)
	}
	res := r.result
	if q.Answer != "" {
		if err := t.know(q, r); err != nil {
			return nil, fmt.Errorf("trace %q: %w", q.Prompt, err)
		}
	}
	c, err := t.corruption(q, r.first, r.end, res)
	if err == nil {
		err = r.corrupted(c)
	}
	if err == nil {
		err = r.table(ctx, t.Progress)
	}
	if err != nil {
		return nil, fmt.Errorf("trace %q: %w", q.Prompt, err)
	}
	return res, nil
}

func (t *Tracer) corruption(q Query, first, end int, res *Result) (Corruption, error) {
	tokens, width := end-first, t.m.Config.Width
	if t.cfg.Corrupt == CorruptMask {
		return Masked(t.mask, tokens), nil
	}
	level := t.noise.level
	if t.noise.sigmas > 0 {
		sigma := t.sigma
		if sigma == 0 {
			var err error
			if sigma, err = EmbeddingStd(t.m, []string{q.Subject}); err != nil {
				return Corruption{}, err
			}
		}
		level = t.noise.sigmas * sigma
	}
	res.NoiseLevel = level
	draw := Gaussian
	if t.noise.uniform {
		draw = Uniform
	}
	c := draw(level, uint32(t.cfg.Seed), t.cfg.Samples, tokens, width)
	c.Replace = t.cfg.Corrupt == CorruptReplace
	return c, nil
}

// run is the tracing of one fact.
type run struct {
	m          *lm.Model
	o          *eager.Ops
	ids        []int32
	first, end int // the subject's tokens
	cfg        Config
	window     int

	good, bad *kept // bad has rows of all samples, one sample after another
	samples   int
	result    *Result
}

func (t *Tracer) start(q Query) (*run, error) {
	lo, hi, err := text.Find(q.Prompt, q.Subject, q.Occurrence)
	if err != nil {
		return nil, err
	}
	ids, spans := text.Spans(t.m.Tokenizer, q.Prompt)
	if err := t.m.CheckLength(len(ids)); err != nil {
		return nil, err
	}
	r := &run{m: t.m, o: eager.New(t.k), ids: ids, cfg: t.cfg, window: t.cfg.window(t.m.Config.Layers)}
	var ok bool
	if r.first, r.end, ok = text.Range(spans, lo, hi); !ok {
		return nil, fmt.Errorf("subject %q has no tokens of its own", q.Subject)
	}
	r.result = &Result{
		Prompt: q.Prompt, Subject: q.Subject, SubjectRange: [2]int{r.first, r.end}, Restore: t.cfg.Restore, Sever: t.cfg.Sever,
		Corrupt: t.cfg.Corrupt, Noise: t.cfg.Noise, Seed: t.cfg.Seed, MinEffect: t.cfg.MinEffect,
	}
	if t.cfg.Corrupt == CorruptMask {
		r.result.Noise = t.cfg.Mask
	}
	if t.cfg.Restore != Hidden {
		r.result.Window = r.window
	}
	for i := range ids {
		token := t.m.Tokenizer.Decode(ids[i : i+1])
		if piece := q.Prompt[spans[i][0]:spans[i][1]]; !utf8.ValidString(piece) {
			token = report.Spelled(piece)
		}
		r.result.Tokens = append(r.result.Tokens, token)
	}
	return r, nil
}

// clean runs the prompt as it is, keeps every state, and takes the answer.
func (r *run) clean() error {
	r.o.Reset()
	r.good = newKept(r.m.Config.Layers)
	r.o.OnTap = r.good.tap
	ids, seq := text.Lay(r.ids)
	final := lm.Forward[kernel.Matrix](r.o, r.m, ids, seq, nil)
	r.o.OnTap = nil
	last := r.o.Rows(final, &nn.RowSet{V: []int32{int32(len(r.ids) - 1)}})
	logits := r.m.Logits(r.o, last)
	if err := r.o.Err(); err != nil {
		return err
	}
	best := make([]int32, 1)
	r.o.Engine().ArgMax(best, logits.Data, 1, logits.Cols)
	r.result.AnswerID = best[0]
	r.result.Answer = r.m.Tokenizer.Decode(best)
	p := r.probabilities(logits)
	r.result.Clean = p[0]
	return nil
}

// corrupted runs all samples of the corruption and keeps every state.
func (r *run) corrupted(c Corruption) error {
	n := len(r.ids)
	r.samples = c.Samples
	r.result.Samples = c.Samples
	texts, last := make([][]int32, c.Samples), &nn.RowSet{}
	for s := range c.Samples {
		texts[s] = r.ids
		last.V = append(last.V, int32((s+1)*n-1))
	}
	r.o.Reset()
	r.bad = newKept(r.m.Config.Layers)
	r.o.OnTap = func(p nn.Place, x kernel.Matrix) {
		if p.At == nn.Embedding {
			c.apply(x, n, r.first, r.end-r.first)
		}
		r.bad.tap(p, x)
	}
	ids, seqs := text.Lay(texts...)
	seqs.Past = r.bad.keys
	final := lm.Forward[kernel.Matrix](r.o, r.m, ids, seqs, nil)
	r.bad.keys.Advance(seqs.Rows())
	r.o.OnTap = nil
	p, err := r.answer(r.o.Rows(final, last))
	if err != nil {
		return err
	}
	r.result.Corrupted = mean(p)
	return nil
}

// logitRows bounds the rows whose logits are in memory at once.
const logitRows = 64

// answer is the answer's probability behind each row of final.
func (r *run) answer(final kernel.Matrix) ([]float64, error) {
	var out []float64
	for lo := 0; lo < final.Rows; lo += logitRows {
		rows := nn.Range{Lo: lo, Hi: min(final.Rows, lo+logitRows)}
		r.o.Scope(func() kernel.Matrix {
			logits := r.m.Logits(r.o, rows.Of(final))
			out = append(out, r.probabilities(logits)...)
			return kernel.Matrix{}
		})
	}
	return out, r.o.Err()
}

// probabilities is the answer's softmax in each row of logits.
func (r *run) probabilities(logits kernel.Matrix) []float64 {
	lse := make([]float32, logits.Rows)
	r.o.Engine().LogSumExp(lse, logits.Data, logits.Rows, logits.Cols)
	p := make([]float64, logits.Rows)
	for i := range p {
		p[i] = math.Exp(float64(logits.Data[i*logits.Cols+int(r.result.AnswerID)]) - float64(lse[i]))
	}
	return p
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}
