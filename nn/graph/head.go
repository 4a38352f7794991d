package graph

import (
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// headChunk bounds the rows whose logits are in memory at once. It is eight
// tiles of the widest product, so that little of the head's weight is packed
// in vain.
const headChunk = 112

// HeadScratch bounds the memory, in bytes, that the losses at a head compute in.
func HeadScratch(head *nn.Linear) int64 {
	return 4 * headChunk * (2*int64(head.In+head.Out) + int64(roomForCap(head)))
}

// roomForCap is how many numbers are kept for each row besides its logits.
func roomForCap(head *nn.Linear) int {
	if head.Cap > 0 {
		return head.Out
	}
	return 0
}

// RowLoss is a loss of the head's logits, row by row.
type RowLoss interface {
	// Score sets the losses and hits of a chunk of rows, and turns its logits
	// into the gradient of the weighted loss.
	Score(k *kernel.Engine, c *Chunk)
	// Weight is what the loss of a row is multiplied by.
	Weight(row int) float32
}

// Chunk is some rows at the head.
type Chunk struct {
	Lo     int           // the first of them
	Logits kernel.Matrix // [rows, vocab]
	Base   kernel.Matrix // the same for the states to compare with, if there are any
	Loss   []float32     // [rows], not weighted
	Hit    []bool
}

// Scores is the outcome of a loss at the head. Rows has, for each row, the
// columns Loss (unweighted) and Hit (1 or 0), then the gradient.
type Scores struct {
	Sum  Node // [rows, 1]: weighted losses, to be differentiated
	Rows Node // [rows, 2 + width]: loss, hit, and weighted gradient
}

// HeadLoss is the loss l of each row of x [rows, width] behind the head, which
// is applied in chunks so that logits never exist all at once. The gradient is
// formed in the same pass. base, if not nil, are constant states, of x's shape,
// whose logits the loss is given too.
func (b *Builder) HeadLoss(x, base Node, head *nn.Linear, l RowLoss) Scores {
	in := []Node{x}
	if base != nil {
		in = append(in, base)
	}
	a := headLoss{head, l}
	rows := b.Apply(&Op{Kind: headRows, Attr: a, Cols: width(x) + 2}, in...)
	return Scores{Sum: b.Apply(&Op{Kind: headSum, Attr: a, Cols: 1, WRT: []bool{true, false}}, x, rows), Rows: rows}
}

type headLoss struct {
	*nn.Linear
	loss RowLoss
}

// score applies the cap, if there is one, to all logits of a chunk, of which the
// loss's own are the last, and leads the gradient back behind it. capped has room
// for the chunk's.
func (h headLoss) score(k *kernel.Engine, ch *Chunk, all, capped []float32) {
	if h.Cap == 0 {
		h.loss.Score(k, ch)
		return
	}
	k.SoftCap(all, all, h.Cap)
	own := ch.Logits.Data[:len(capped)]
	copy(capped, own)
	h.loss.Score(k, ch)
	k.SoftCapGrad(own, capped, own, h.Cap)
}

var headRows = &Kind{
	Name: "head",
	Host: With(func(c *Ctx, h headLoss, out *kernel.Matrix, in []kernel.Matrix) error {
		values, err := c.weight(h.W)
		if err != nil {
			return err
		}
		w, trans := h.Mat(values)
		var bias []float32
		if h.B != nil {
			if bias, err = h.B.Values(); err != nil {
				return err
			}
		}
		rows, d := in[0].Rows, in[0].Cols
		perRow := h.Out
		if len(in) > 1 {
			perRow = 2 * (h.Out + d)
		}
		perRow += roomForCap(h.Linear)
		chunks := (rows + headChunk - 1) / headChunk
		scratch := c.Scratch(min(rows, headChunk) * perRow) // of one size for all longer inputs, so that it is made once
		losses, hits := make([]float32, min(rows, headChunk)), make([]bool, min(rows, headChunk))
		for i := range chunks {
			lo, hi := rows*i/chunks, rows*(i+1)/chunks
			n := hi - lo
			ch := &Chunk{Lo: lo, Loss: losses[:n], Hit: hits[:n]}
			states, logits := in[0].Slice(lo, hi), kernel.Mat(scratch[:n*h.Out], n, h.Out)
			if len(in) > 1 { // one product for both, so that the weight is read once
				logits = kernel.Mat(scratch[:2*n*h.Out], 2*n, h.Out)
				states = kernel.Mat(scratch[2*n*h.Out:2*n*(h.Out+d)], 2*n, d)
				copy(states.Data, in[1].Data[lo*d:hi*d])
				copy(states.Data[n*d:], in[0].Data[lo*d:hi*d])
				ch.Base = logits.Slice(0, n)
			}
			c.Engine.Gemm(logits, kernel.Product{A: states, B: w, TransB: trans})
			if bias != nil {
				c.Engine.AddBias(logits, bias)
			}
			ch.Logits = logits.Slice(logits.Rows-n, logits.Rows)
			h.score(c.Engine, ch, logits.Data[:logits.Rows*h.Out], scratch[len(scratch)-n*h.Out:])
			g := kernel.Matrix{Rows: n, Cols: d, Stride: out.Cols, Data: out.Data[lo*out.Cols+2:]}
			c.Engine.Gemm(g, kernel.Product{A: ch.Logits, B: w, TransB: !trans})
			for r := range n {
				row := out.Data[(lo+r)*out.Cols:]
				row[0], row[1] = ch.Loss[r], 0
				if ch.Hit[r] {
					row[1] = 1
				}
			}
		}
		return nil
	}),
	Flops: func(p *Op, _ kernel.Matrix, in []kernel.Matrix) float64 {
		h := p.Attr.(headLoss)
		return float64(1+len(in)) * 2 * float64(in[0].Rows) * float64(h.In) * float64(h.Out)
	},
}

// headSum turns score rows into weighted losses whose gradient with respect to
// the states is the one that the score rows hold.
var headSum = &Kind{
	Name: "head.loss",
	Host: With(func(_ *Ctx, h headLoss, out *kernel.Matrix, in []kernel.Matrix) error {
		for i := range in[1].Rows {
			out.Data[i] = in[1].Data[i*in[1].Cols] * h.loss.Weight(i)
		}
		return nil
	}),
	Grad: func(b *Builder, _ *Op, in []Node, _, grad Node) []Node {
		return []Node{b.Apply(&Op{Kind: headGrad, Cols: width(in[0])}, grad, in[1]), nil}
	},
}

var headGrad = &Kind{
	Name: "head.grad",
	Host: func(c *Ctx, _ *Op, out *kernel.Matrix, in []kernel.Matrix) error {
		d := out.Cols
		for i := range in[0].Rows {
			row := out.Data[i*d : (i+1)*d]
			copy(row, in[1].Data[i*(d+2)+2:(i+1)*(d+2)])
			c.Engine.Scale(row, in[0].Data[i])
		}
		return nil
	},
}
