package lm

import (
	"fmt"

	"keyhole.example/keyhole/nn"
)

// weight says what an architecture wants under a name.
type weight struct {
	name  string // Hugging Face name
	shape []int  // [n] or [rows, columns]
	start start
	inOut bool // a linear stored [in, out]

	shifted bool // the weight of a norm that lacks the one of its gain
}

func (w weight) matrix() (rows, cols int) {
	if len(w.shape) == 1 {
		return 1, w.shape[0]
	}
	return w.shape[0], w.shape[1]
}

// start is how a fresh model fills a weight.
type start int

const (
	startNormal   start = iota // normal, standard deviation 0.02
	startResidual              // the same, divided by √(2·layers): it writes to the residual stream
	startOnes
	startZeros
)

// source gives weights: from a file, or fresh ones.
type source interface {
	param(w weight) (*nn.Param, error)
}

// binder hands an architecture its weights one by one and keeps the first
// error.
type binder struct {
	source source
	params []*nn.Param
	shapes map[string][]int
	sites  []Site
	err    error
}

func (b *binder) bind(w weight) *nn.Param {
	rows, cols := w.matrix()
	if b.err == nil {
		p, err := b.source.param(w)
		if err == nil {
			if _, twice := b.shapes[w.name]; twice {
				panic(fmt.Sprintf("lm: weight %s is bound twice", w.name))
			}
			b.params = append(b.params, p)
			b.shapes[w.name] = w.shape
			return p
		}
		b.err = err
	}
	return nn.NewLazyParam(w.name, rows, cols, func([]float32, int, int) error { return b.err })
}

// table binds an embedding: [rows, cols].
func (b *binder) table(name string, rows, cols int) *nn.Param {
	return b.bind(weight{name: name, shape: []int{rows, cols}})
}

// layerNorm binds name.weight and name.bias, of the model's width; rmsNorm binds
// name.weight alone, of the width of what it is a norm of.
func (b *binder) layerNorm(name string, c *Config) *nn.Norm {
	n := b.rmsNorm(name, c.Width, c)
	n.Bias = b.bind(weight{name: name + ".bias", shape: []int{c.Width}, start: startZeros})
	return n
}

func (b *binder) rmsNorm(name string, width int, c *Config) *nn.Norm {
	gain := b.bind(weight{name: name + ".weight", shape: []int{width}, start: startOnes})
	return &nn.Norm{Gain: gain, Eps: float32(c.Eps)}
}

// shiftedNorm binds an RMS norm whose gain is one more than the weight, as
// Gemma's are. The sum is not a weight: only what is bound is listed and saved.
func (b *binder) shiftedNorm(name string, width int, c *Config) *nn.Norm {
	w := b.bind(weight{name: name + ".weight", shape: []int{width}, start: startZeros, shifted: true})
	gain := nn.NewLazyParam(name+".gain", 1, width, func(dst []float32, first, n int) error {
		values, err := w.Values()
		if err != nil {
			return err
		}
		for i, v := range values[:len(dst)] {
			dst[i] = 1 + v
		}
		return nil
	})
	return &nn.Norm{Gain: gain, Eps: float32(c.Eps)}
}

// linear binds a linear layer of a block, which makes it a site.
type linear struct {
	name    string // without ".weight"
	role    string
	in, out int
	bias    bool
	inOut   bool // stored [in, out]
}

func (b *binder) linear(block int, l linear) *nn.Linear {
	y := b.freeLinear(l)
	b.sites = append(b.sites, Site{Name: y.W.Name, Block: block, Role: l.role, Linear: y})
	return y
}

// freeLinear binds a linear layer outside the blocks.
func (b *binder) freeLinear(l linear) *nn.Linear {
	w := weight{name: l.name + ".weight", shape: []int{l.out, l.in}, inOut: l.inOut}
	if l.inOut {
		w.shape = []int{l.in, l.out}
	}
	if l.role == RoleOut || l.role == RoleDown {
		w.start = startResidual
	}
	y := &nn.Linear{W: b.bind(w), In: l.in, Out: l.out, InOut: l.inOut}
	y.B = b.biasOf(l)
	return y
}

// biasOf binds a linear layer's bias, if it has one.
func (b *binder) biasOf(l linear) *nn.Param {
	if !l.bias {
		return nil
	}
	return b.bind(weight{name: l.name + ".bias", shape: []int{l.out}, start: startZeros})
}

// head binds the head, or lets it share the embedding's weight; a bias is its own.
func (b *binder) head(c *Config, tokens *nn.Param, l linear) *nn.Linear {
	l.in, l.out = c.Width, c.Vocab
	if !c.Tied {
		return b.freeLinear(l)
	}
	return &nn.Linear{W: tokens, B: b.biasOf(l), In: c.Width, Out: c.Vocab}
}

// newModel binds the weights of src to the architecture.
func newModel(a *architecture, c Config, src source) (*Model, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	b := &binder{source: src, shapes: map[string][]int{}}
	net := a.build(&c, b)
	if b.err != nil {
		return nil, b.err
	}
	m := &Model{Config: c, arch: a, net: net, params: b.params, shapes: b.shapes, sites: b.sites, byName: make(map[string]*nn.Param, len(b.params))}
	for _, p := range b.params {
		m.byName[p.Name] = p
	}
	return m, nil
}
