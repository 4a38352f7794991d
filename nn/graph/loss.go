package graph

import (
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// Labels are the wanted tokens of some rows and the weight of each row in the
// loss.
type Labels struct {
	IDs    []int32
	Weight []float32
}

// CrossEntropy is the loss −log p(label) of each row of x [rows, width] behind
// the head. A hit is a row whose label is the most probable token.
func (b *Builder) CrossEntropy(x Node, head *nn.Linear, l *Labels) Scores {
	return b.HeadLoss(x, nil, head, crossEntropy{l})
}

type crossEntropy struct{ *Labels }

func (l crossEntropy) Weight(row int) float32 { return l.Labels.Weight[row] }

func (l crossEntropy) Score(k *kernel.Engine, c *Chunk) {
	n, vocab := c.Logits.Rows, c.Logits.Cols
	lse, best := make([]float32, n), make([]int32, n)
	ids := l.IDs[c.Lo : c.Lo+n]
	k.CrossEntropy(c.Loss, lse, c.Logits.Data, ids, n, vocab)
	k.ArgMax(best, c.Logits.Data, n, vocab)
	k.CrossEntropyGrad(c.Logits.Data, c.Logits.Data, lse, ids, l.Labels.Weight[c.Lo:c.Lo+n], n, vocab)
	for i := range n {
		c.Hit[i] = best[i] == ids[i]
	}
}

// CrossEntropyOf is CrossEntropy of logits [rows, vocab], whose head may be
// trained: its gradient is that of the logits. Behind loss and hit, Rows has what
// the gradient is formed from.
func (b *Builder) CrossEntropyOf(logits Node, l *Labels) Scores {
	rows := b.Apply(&Op{Kind: logitScores, Attr: l, Cols: 3}, logits)
	return Scores{Sum: b.Apply(&Op{Kind: logitLoss, Attr: l, Cols: 1, WRT: []bool{true, false}}, logits, rows), Rows: rows}
}

var logitScores = &Kind{
	Name: "crossentropy",
	Host: With(func(c *Ctx, l *Labels, out *kernel.Matrix, in []kernel.Matrix) error {
		n, vocab := in[0].Rows, in[0].Cols
		s, best := c.Scratch(2*n), make([]int32, n)
		c.Engine.CrossEntropy(s[:n], s[n:], in[0].Data, l.IDs, n, vocab)
		c.Engine.ArgMax(best, in[0].Data, n, vocab)
		for i := range n {
			row := out.Data[3*i : 3*i+3]
			row[0], row[1], row[2] = s[i], 0, s[n+i]
			if best[i] == l.IDs[i] {
				row[1] = 1
			}
		}
		return nil
	}),
}

var logitLoss = &Kind{
	Name: "crossentropy.loss",
	Host: With(func(_ *Ctx, l *Labels, out *kernel.Matrix, in []kernel.Matrix) error {
		for i := range in[1].Rows {
			out.Data[i] = in[1].Data[3*i] * l.Weight[i]
		}
		return nil
	}),
	Grad: func(b *Builder, p *Op, in []Node, _, grad Node) []Node {
		return []Node{b.Apply(&Op{Kind: logitGrad, Attr: p.Attr, Cols: width(in[0])}, grad, in[0], in[1]), nil}
	},
}

var logitGrad = &Kind{
	Name: "crossentropy.grad",
	Host: With(func(c *Ctx, l *Labels, out *kernel.Matrix, in []kernel.Matrix) error {
		n := in[0].Rows
		s := c.Scratch(2 * n)
		for i := range n {
			s[i], s[n+i] = in[2].Data[3*i+2], in[0].Data[i]*l.Weight[i]
		}
		c.Engine.CrossEntropyGrad(out.Data, in[1].Data, s[:n], l.IDs, s[n:2*n], n, out.Cols)
		return nil
	}),
}

// KL is the divergence KL(base ‖ x) of the head's distributions at each row,
// weighted by l.Weight (l.IDs is not used). base is constant. A hit is a row
// where both have the same most probable token.
func (b *Builder) KL(base, x Node, head *nn.Linear, l *Labels) Scores {
	return b.HeadLoss(x, base, head, divergence{l})
}

type divergence struct{ *Labels }

func (l divergence) Weight(row int) float32 { return l.Labels.Weight[row] }

func (l divergence) Score(k *kernel.Engine, c *Chunk) {
	n, vocab := c.Logits.Rows, c.Logits.Cols
	p, q := c.Base.Data, c.Logits.Data
	s := make([]float32, 2*n)
	before, after := make([]int32, n), make([]int32, n)
	k.KL(c.Loss, s[:n], s[n:], p, q, n, vocab)
	k.ArgMax(before, p, n, vocab)
	k.ArgMax(after, q, n, vocab)
	k.KLGrad(q, p, q, s[:n], s[n:], l.Labels.Weight[c.Lo:c.Lo+n], n, vocab)
	for i := range n {
		c.Hit[i] = before[i] == after[i]
	}
}
