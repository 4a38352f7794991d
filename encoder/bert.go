package encoder

import (
	"fmt"
	"math"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
)

// network is the encoder of a BERT or DistilBERT, without its pooler.
type network struct {
	words, positions *nn.Param // [Vocab, Width], [Positions, Width]
	types            *nn.Param // [Types, Width], texts here are all of type 0; nil: DistilBERT has none
	norm             *nn.Norm
	blocks           []block
	attention        kernel.Attention
	act              kernel.Activation
	params           []*nn.Param // all of the above, in the order in which they were bound
}

// block is a transformer block with its norms behind the residual sums.
type block struct {
	q, k, v, out, up, down *nn.Linear
	norm1, norm2           *nn.Norm
}

// names are how files call the weights of a block.
type names struct {
	model, block                         string // what may stand before all names; "%d" is the block
	q, k, v, out, up, down, norm1, norm2 string
}

func (s *shape) names() names {
	if s.ModelType == distil {
		return names{"distilbert.", "transformer.layer.%d.", "attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin",
			"ffn.lin1", "ffn.lin2", "sa_layer_norm", "output_layer_norm"}
	}
	return names{"bert.", "encoder.layer.%d.", "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
		"intermediate.dense", "output.dense", "attention.output.LayerNorm", "output.LayerNorm"}
}

// bind makes the network of s of weights.
func bind(w *lm.Weights, s *shape) (*network, error) {
	d, of := s.Width, s.names()
	n := &network{
		words:     w.Table("embeddings.word_embeddings", s.Vocab, d),
		positions: w.Table("embeddings.position_embeddings", s.Positions, d),
		attention: kernel.Attention{
			Heads: s.Heads, KVHeads: s.Heads, HeadDim: d / s.Heads,
			Scale: float32(1 / math.Sqrt(float64(d/s.Heads))), Full: true,
		},
		act: s.act,
	}
	if s.Types > 0 {
		n.types = w.Table("embeddings.token_type_embeddings", s.Types, d)
	}
	n.norm = w.LayerNorm("embeddings.LayerNorm", d, s.Eps)
	for i := range s.Layers {
		p := fmt.Sprintf(of.block, i)
		n.blocks = append(n.blocks, block{
			q:     w.Linear(p+of.q, d, d),
			k:     w.Linear(p+of.k, d, d),
			v:     w.Linear(p+of.v, d, d),
			out:   w.Linear(p+of.out, d, d),
			norm1: w.LayerNorm(p+of.norm1, d, s.Eps),
			up:    w.Linear(p+of.up, d, s.FFN),
			down:  w.Linear(p+of.down, s.FFN, d),
			norm2: w.LayerNorm(p+of.norm2, d, s.Eps),
		})
	}
	var err error
	n.params, err = w.Taken()
	return n, err
}

// Input is packed texts as an encoder reads them. A graph keeps the pointer.
type Input struct {
	Seq nn.Sequences

	ids, types, at nn.IDs
}

// Reserve makes room for so many tokens, which bounds a graph that is built
// with in.
func (in *Input) Reserve(rows int) {
	in.ids.V, in.types.V, in.at.V = make([]int32, rows), make([]int32, rows), make([]int32, rows)
}

// Set lays texts, as tokens, one behind the other.
func (in *Input) Set(texts [][]int32) {
	in.ids.V = in.ids.V[:0]
	in.Seq.Reset()
	for _, t := range texts {
		in.ids.V = append(in.ids.V, t...)
		in.Seq.Append(len(t))
	}
	in.types.V = append(in.types.V[:0], make([]int32, len(in.ids.V))...)
	in.at.V = append(in.at.V[:0], in.Seq.Pos...)
}

// States is what e's network makes of packed texts, computed by o: the last
// hidden states, [rows, Width].
func States[T any](o nn.Ops[T], e *Encoder, in *Input) T {
	n := e.net
	x := o.Scope(func() T {
		x := o.Embed(n.words, &in.ids)
		if n.types != nil {
			x = o.Add(x, o.Embed(n.types, &in.types))
		}
		x = o.Add(x, o.Embed(n.positions, &in.at))
		return o.LayerNorm(n.norm, x)
	})
	for i := range n.blocks {
		b, in0 := &n.blocks[i], x
		x = o.Scope(func() T {
			a := o.Attend(i, o.Linear(b.q, in0), o.Linear(b.k, in0), o.Linear(b.v, in0), n.attention, &in.Seq)
			h := o.LayerNorm(b.norm1, o.Add(o.Linear(b.out, a), in0))
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
