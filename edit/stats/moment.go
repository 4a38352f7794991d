package stats

import (
	"fmt"
	"io"
	"math"
	"sync"

	"gonum.org/v1/gonum/mat"

	"keyhole.example/keyhole/internal/gram"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/report"
)

// Info says what a moment was taken from.
type Info struct {
	Site    string `json:"site"`          // weight name of the layer
	Tokens  int    `json:"tokens"`        // vectors summed up
	Width   int    `json:"width"`         // of the layer's input
	Texts   int    `json:"texts"`         // texts they came from
	Model   string `json:"model"`         // hash of the base model
	Corpus  string `json:"corpus_sha256"` // SHA-256 of the text
	Seed    uint64 `json:"-"`             // of the sample of texts
	Budget  int    `json:"-"`             // tokens asked for
	Context int    `json:"-"`             // texts were cut at that many tokens
}

// Print writes a line for each moment.
func Print(w io.Writer, list []Info) error {
	p := report.To(w)
	for _, i := range list {
		p.Say("%s: %d tokens of %d texts, width %d", i.Site, i.Tokens, i.Texts, i.Width)
	}
	return p.Err()
}

// Origin says what a moment was taken from, for an edit's report.
func (i *Info) Origin() string { return fmt.Sprintf("%d tokens of text %.8s", i.Tokens, i.Corpus) }

// Moment is the second moment of a layer's input. It is safe for concurrent
// use once it is complete.
type Moment struct {
	Info
	// Sum is Σ k·kᵀ, [Width, Width], of which the upper triangle counts.
	Sum []float64

	// Note says what loading took for granted; "" where that is nothing.
	Note string

	mu       sync.Mutex
	factors  map[float64]*Factor
	spectrum *Spectrum
	path     string // of the file that it lies in; "": none
	gram     *gram.Sum
}

// Source finds the statistics of a site's inputs.
type Source func(m *lm.Model, s lm.Site) (*Moment, error)

// Of is the statistics of a site's inputs, checked to be those of the model.
func (s Source) Of(m *lm.Model, site lm.Site) (*Moment, error) {
	found, err := s(m, site)
	if err != nil {
		return nil, err
	}
	return found, found.Check(m, site)
}

// Add adds k·kᵀ for each row k of x, [rows, Width].
func (m *Moment) Add(k *kernel.Engine, x kernel.Matrix) {
	m.sums().Add(k, x)
	m.Tokens += x.Rows
}

// sums is Sum as what adds to it.
func (m *Moment) sums() *gram.Sum {
	if m.gram == nil {
		m.gram = &gram.Sum{Width: m.Width}
	}
	m.gram.Values = m.Sum
	return m.gram
}

// C is the mean of k·kᵀ, neither centred nor damped.
func (m *Moment) C() *mat.SymDense {
	data := make([]float64, len(m.Sum))
	for i, v := range m.Sum {
		data[i] = v / float64(m.Tokens)
	}
	return mat.NewSymDense(m.Width, data)
}

// Check fails unless the moment is that of the site in the model.
func (m *Moment) Check(base *lm.Model, site lm.Site) error {
	_, err := base.Owns(m.Model)
	switch {
	case m.Site != site.Name:
		return fmt.Errorf("statistics of %s do not go with %s; collect them for that layer", m.Site, site.Name)
	case m.Width != site.Linear.In:
		return fmt.Errorf("statistics of %s: width %d, but the layer's input has width %d", m.Site, m.Width, site.Linear.In)
	case err != nil:
		return fmt.Errorf("statistics of %s are those of %w; collect them for this model", m.Site, err)
	}
	return nil
}

// Enough is how many tokens to ask for, for a layer of the given input width.
func Enough(width int) int {
	const perWidth, least = 10, 100_000
	return max(perWidth*width, least)
}

// Factor solves systems with C + Ridge·I.
type Factor struct {
	Ridge     float64 // what had to be added to the diagonal; 0: nothing
	Condition float64 // of the factorised matrix, estimated
	chol      mat.Cholesky
}

// Factor factorises C, once for each ridge. A ridge of 0 adds something to the
// diagonal only if C cannot be factorised although there are enough vectors;
// with fewer vectors than C is wide it is an error.
func (m *Moment) Factor(ridge float64) (*Factor, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f, ok := m.factors[ridge]; ok {
		return f, nil
	}
	if m.Tokens < m.Width && ridge == 0 {
		return nil, fmt.Errorf("statistics of %s: %d tokens cannot give an invertible matrix of width %d: at least %d are needed, better %d; collect more, or set a ridge",
			m.Site, m.Tokens, m.Width, m.Width, Enough(m.Width))
	}
	f, err := factorise(m.C(), ridge)
	if err != nil {
		return nil, fmt.Errorf("statistics of %s: %w", m.Site, err)
	}
	if m.factors == nil {
		m.factors = map[float64]*Factor{}
	}
	m.factors[ridge] = f
	return f, nil
}

// factorise adds a growing ridge until the factorisation succeeds.
func factorise(c *mat.SymDense, ridge float64) (*Factor, error) {
	const (
		start   = 1e-6 // of the mean diagonal
		tries   = 7
		tooHigh = 1e14 // of the condition number: nothing of the solution would be right
	)
	n := c.SymmetricDim()
	scale := mat.Trace(c) / float64(n)
	if !(scale > 0) || math.IsInf(scale, 0) {
		return nil, fmt.Errorf("the mean square of the layer's inputs is %v; the statistics are damaged or empty", scale)
	}
	f := &Factor{Ridge: ridge}
	for range tries {
		a := mat.NewSymDense(n, nil)
		a.CopySym(c)
		for i := range n {
			a.SetSym(i, i, c.At(i, i)+f.Ridge)
		}
		if f.chol.Factorize(a) {
			if f.Condition = f.chol.Cond(); f.Condition < tooHigh {
				return f, nil
			}
		}
		f.Ridge = max(10*f.Ridge, start*scale)
	}
	return nil, fmt.Errorf("the matrix of width %d cannot be factorised even with a ridge of %g; collect statistics of more tokens", n, f.Ridge)
}

// Solve returns (C + Ridge·I)⁻¹·k, [Width].
func (f *Factor) Solve(k []float64) ([]float64, error) {
	var x mat.VecDense
	if err := f.chol.SolveVecTo(&x, mat.NewVecDense(len(k), k)); err != nil {
		return nil, fmt.Errorf("solving with the second moment: %w", err)
	}
	return x.RawVector().Data, nil
}

// SolveAll returns (C + Ridge·I)⁻¹·K for K [Width, n].
func (f *Factor) SolveAll(k mat.Matrix) (*mat.Dense, error) {
	var x mat.Dense
	if err := f.chol.SolveTo(&x, k); err != nil {
		return nil, fmt.Errorf("solving with the second moment: %w", err)
	}
	return &x, nil
}
