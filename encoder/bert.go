package encoder

import (
	"fmt"
	"math"
	"slices"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
)

// network is BERT's encoder without its pooler.
type network struct {
	words, positions *nn.Param // [Vocab, Width], [Positions, Width]
	types            *nn.Param // [Types, Width]; texts here are all of type 0
	norm             *nn.Norm
	blocks           []block
	attention        kernel.Attention
	act              kernel.Activation
}

// block is a transformer block with its norms behind the residual sums.
type block struct {
	q, k, v, out, up, down *nn.Linear
	norm1, norm2           *nn.Norm
}

// binder takes weights from a file by name and keeps the first error.
type binder struct {
	file   tensorfile.File
	prefix string // "" or "bert."
	err    error
}

// bindNetwork finds every weight of s in file.
func bindNetwork(file tensorfile.File, s *shape) (*network, error) {
	b := &binder{file: file}
	if _, ok := file.Tensor("bert.embeddings.word_embeddings.weight"); ok {
		b.prefix = "bert."
	}
	d := s.Width
	n := &network{
		words:     b.matrix("embeddings.word_embeddings.weight", s.Vocab, d),
		positions: b.matrix("embeddings.position_embeddings.weight", s.Positions, d),
		types:     b.matrix("embeddings.token_type_embeddings.weight", s.Types, d),
		norm:      b.layerNorm("embeddings.LayerNorm", s),
		attention: kernel.Attention{
			Heads: s.Heads, KVHeads: s.Heads, HeadDim: d / s.Heads,
			Scale: float32(1 / math.Sqrt(float64(d/s.Heads))), Full: true,
		},
		act: s.act,
	}
	for i := range s.Layers {
		p := fmt.Sprintf("encoder.layer.%d.", i)
		n.blocks = append(n.blocks, block{
			q:     b.linear(p+"attention.self.query", d, d),
			k:     b.linear(p+"attention.self.key", d, d),
			v:     b.linear(p+"attention.self.value", d, d),
			out:   b.linear(p+"attention.output.dense", d, d),
			norm1: b.layerNorm(p+"attention.output.LayerNorm", s),
			up:    b.linear(p+"intermediate.dense", d, s.FFN),
			down:  b.linear(p+"output.dense", s.FFN, d),
			norm2: b.layerNorm(p+"output.LayerNorm", s),
		})
	}
	return n, b.err
}

func (b *binder) tensor(name string, shape ...int) *nn.Param {
	rows, cols := 1, shape[len(shape)-1]
	if len(shape) == 2 {
		rows = shape[0]
	}
	fail := func(err error) *nn.Param {
		if b.err == nil {
			b.err = err
		}
		return nn.NewLazyParam(name, rows, cols, func([]float32, int, int) error { return err })
	}
	t, ok := b.file.Tensor(b.prefix + name)
	switch {
	case !ok:
		return fail(fmt.Errorf("%s: tensor %s is missing: the weights are not those of a BERT encoder", b.file.Path(), name))
	case !slices.Equal(t.Shape, shape):
		return fail(fmt.Errorf("%s: tensor %s has shape %v, config.json wants %v", b.file.Path(), name, t.Shape, shape))
	case !t.DType.IsFloat():
		return fail(fmt.Errorf("%s: tensor %s holds %s, want floating-point numbers", b.file.Path(), name, t.DType))
	case len(shape) == 1:
		values, err := t.Float32()
		if err != nil {
			return fail(err)
		}
		return nn.NewParam(name, rows, cols, values)
	}
	return nn.NewLazyParam(name, rows, cols, t.DecodeRows)
}

func (b *binder) matrix(name string, rows, cols int) *nn.Param { return b.tensor(name, rows, cols) }

func (b *binder) linear(name string, in, out int) *nn.Linear {
	return &nn.Linear{W: b.matrix(name+".weight", out, in), B: b.tensor(name+".bias", out), In: in, Out: out}
}

func (b *binder) layerNorm(name string, s *shape) *nn.Norm {
	return &nn.Norm{Gain: b.tensor(name+".weight", s.Width), Bias: b.tensor(name+".bias", s.Width), Eps: float32(s.Eps)}
}

// forward is the last hidden states of packed texts: [rows, Width].
func (n *network) forward(o *eager.Ops, ids []int32, s *nn.Sequences) kernel.Matrix {
	x := o.Scope(func() kernel.Matrix {
		x := o.Embed(n.words, &nn.IDs{V: ids})
		x = o.Add(x, o.Embed(n.types, &nn.IDs{V: make([]int32, len(ids))}))
		x = o.Add(x, o.Embed(n.positions, &nn.IDs{V: s.Pos}))
		return o.LayerNorm(n.norm, x)
	})
	for i := range n.blocks {
		b, in := &n.blocks[i], x
		x = o.Scope(func() kernel.Matrix {
			a := o.Attend(i, o.Linear(b.q, in), o.Linear(b.k, in), o.Linear(b.v, in), n.attention, s)
			h := o.LayerNorm(b.norm1, o.Add(o.Linear(b.out, a), in))
			y := o.Linear(b.down, o.Activate(n.act, o.Linear(b.up, h)))
			return o.LayerNorm(b.norm2, o.Add(y, h))
		})
	}
	return x
}

// meanPool averages rows [lo, hi) of x and divides by the norm: [Width].
func meanPool(dst []float32, x kernel.Matrix, lo, hi int) {
	sums := make([]float64, x.Cols)
	for i := lo; i < hi; i++ {
		for j, v := range x.Data[i*x.Stride : i*x.Stride+x.Cols] {
			sums[j] += float64(v)
		}
	}
	square := 0.0
	for j := range sums {
		sums[j] /= float64(hi - lo)
		square += sums[j] * sums[j]
	}
	norm := max(math.Sqrt(square), 1e-12) // the reference's guard against a zero vector
	for j := range dst {
		dst[j] = float32(sums[j] / norm)
	}
}
