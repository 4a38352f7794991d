package nn

import (
	"fmt"
	"sync"

	"keyhole.example/keyhole/internal/kernel"
)

// Source decodes rows [row, row+n) of a weight into dst, [n, Cols].
// It may be called from several goroutines at once.
type Source func(dst []float32, row, n int) error

// Param is a weight, [Rows, Cols] (a vector has one row). Its values are
// either resident in memory or decoded from its source when asked for.
type Param struct {
	Name       string // Hugging Face weight name
	Rows, Cols int

	source Source
	mu     sync.Mutex
	data   []float32
	stream bool

	replaced   int       // by Replace, and not yet put back
	base       []float32 // what stood before the first of them; nil: in the source
	baseStream bool
}

// NewParam returns a weight whose values lie in data, which it keeps.
func NewParam(name string, rows, cols int, data []float32) *Param {
	if len(data) != rows*cols {
		panic(fmt.Sprintf("nn: weight %s has %d values for shape [%d, %d]", name, len(data), rows, cols))
	}
	return &Param{Name: name, Rows: rows, Cols: cols, data: data}
}

// NewLazyParam returns a weight whose values src decodes on demand.
func NewLazyParam(name string, rows, cols int, src Source) *Param {
	return &Param{Name: name, Rows: rows, Cols: cols, source: src}
}

// Len is the number of elements.
func (p *Param) Len() int { return p.Rows * p.Cols }

// SetStreaming tells the weight to decode anew at each use and keep nothing,
// which trades a little time for four bytes an element. A weight without a
// source, or one that is already resident, ignores it.
func (p *Param) SetStreaming(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stream = on && p.source != nil && p.data == nil
}

// Resident reports whether the values lie in memory.
func (p *Param) Resident() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.data != nil
}

// Values returns the weight's values, decoding them into memory that is kept
// at the first call. The slice must not be written to except by Replace's
// caller.
func (p *Param) Values() ([]float32, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.data != nil {
		return p.data, nil
	}
	data := make([]float32, p.Len())
	if err := p.source(data, 0, p.Rows); err != nil {
		return nil, fmt.Errorf("weight %s: %w", p.Name, err)
	}
	p.data = data
	return data, nil
}

// Use returns the values for one computation: resident ones as they are,
// streamed ones decoded into *scratch, which grows as needed, on k's threads.
func (p *Param) Use(k *kernel.Engine, scratch *[]float32) ([]float32, error) {
	p.mu.Lock()
	stream := p.stream && p.data == nil
	p.mu.Unlock()
	if !stream {
		return p.Values()
	}
	if cap(*scratch) < p.Len() {
		*scratch = make([]float32, p.Len())
	}
	dst := (*scratch)[:p.Len()]
	var first error
	var once sync.Mutex
	k.For(p.Rows, 64, func(lo, hi int) {
		if err := p.source(dst[lo*p.Cols:hi*p.Cols], lo, hi-lo); err != nil {
			once.Lock()
			first = fmt.Errorf("weight %s: %w", p.Name, err)
			once.Unlock()
		}
	})
	return dst, first
}

// Row writes one row, [Cols], into dst without making the weight resident.
func (p *Param) Row(dst []float32, row int) error {
	p.mu.Lock()
	data := p.data
	p.mu.Unlock()
	if data != nil {
		copy(dst, data[row*p.Cols:(row+1)*p.Cols])
		return nil
	}
	if err := p.source(dst, row, 1); err != nil {
		return fmt.Errorf("weight %s: %w", p.Name, err)
	}
	return nil
}

// fits reports data of another size.
func (p *Param) fits(data []float32) error {
	if len(data) != p.Len() {
		return fmt.Errorf("weight %s: %d values for shape [%d, %d]", p.Name, len(data), p.Rows, p.Cols)
	}
	return nil
}

// Replace makes data the weight's values and returns a function that puts the
// old ones back, to the bit.
func (p *Param) Replace(data []float32) (restore func(), err error) {
	if err := p.fits(data); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	old, stream := p.data, p.stream
	if p.replaced == 0 {
		p.base, p.baseStream = old, stream
	}
	p.replaced++
	p.data, p.stream = data, false
	undone := false
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !undone { // it may be called again
			undone = true
			p.replaced--
		}
		p.data, p.stream = old, stream
	}, nil
}

// Assign makes data the weight's values for good: they are the base that edits
// stand on.
func (p *Param) Assign(data []float32) error {
	if err := p.fits(data); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.replaced > 0 {
		return fmt.Errorf("weight %s: an edit stands on it", p.Name)
	}
	p.data, p.stream = data, false
	return nil
}

// Split cuts flat, which holds the values of all params one behind the other (or what
// else has the places of values), into the parts of each.
func Split(flat []float32, params []*Param) [][]float32 {
	out := make([][]float32, len(params))
	for i, p := range params {
		out[i], flat = flat[:p.Len():p.Len()], flat[p.Len():]
	}
	return out
}

// Total is how many values params have together.
func Total(params []*Param) int {
	n := 0
	for _, p := range params {
		n += p.Len()
	}
	return n
}

// AsBase puts back, for a while, what stood before any Replace; again ends that.
func (p *Param) AsBase() (again func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.replaced == 0 {
		return func() {}
	}
	now, stream := p.data, p.stream
	p.data, p.stream = p.base, p.baseStream
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.data, p.stream = now, stream
	}
}

// Linear is y = x·Wᵀ + b, with W stored [out, in], or [in, out] if InOut (the
// Conv1D of GPT-2).
type Linear struct {
	W       *Param
	B       *Param // [1, out], or nil
	In, Out int
	InOut   bool
	Cap     float32 // what comes out, y, becomes Cap·tanh(y/Cap): Gemma 2's head; 0: it stays
}

// Mat is W as a matrix over values, and whether a product x·op(W) has to
// transpose it.
func (l *Linear) Mat(values []float32) (w kernel.Matrix, trans bool) {
	if l.InOut {
		return kernel.Mat(values, l.In, l.Out), false
	}
	return kernel.Mat(values, l.Out, l.In), true
}

// Norm is a layer norm or an RMS norm over rows of width Gain.Cols.
type Norm struct {
	Gain *Param // [1, width]; of an RMS norm of heads [1, headDim]
	Bias *Param // [1, width], or nil
	Eps  float32
}
