package graph

import (
	"gorgonia.org/gorgonia"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
)

// headChunk bounds the rows whose logits are in memory at once. It is eight
// tiles of the widest product, so that little of the head's weight is packed
// in vain.
const headChunk = 112

// HeadScratch bounds the memory, in bytes, that the losses at a head of the
// given widths compute in.
func HeadScratch(width, vocab int) int64 { return 4 * headChunk * 2 * int64(width+vocab) }

// Probe is the identity on y. The gradient of a loss with respect to the
// returned handle is the gradient at y: a layer's δ.
func (b *Builder) Probe(y Node) (same, handle Node) {
	handle = b.Input("probe", 1, 1)
	same = b.Apply(&Op{
		Name: "probe", Cols: width(y), Alias: true, WRT: []bool{true, true},
		Diff: func(_ gorgonia.Nodes, _, grad Node) gorgonia.Nodes { return gorgonia.Nodes{grad, grad} },
	}, y, handle)
	return same, handle
}

// Detach is the identity, through which no gradient flows.
func (b *Builder) Detach(x Node) Node {
	return b.Apply(&Op{Name: "detach", Cols: width(x), Alias: true}, x)
}

// Pick picks rows of x without changing which task the coming rows belong to.
func (b *Builder) Pick(x Node, rows *nn.RowSet) Node {
	space := b.space
	y := b.Rows(x, rows)
	b.space = space
	return y
}

// Labels are the wanted tokens of some rows and the weight of each row in the
// loss.
type Labels struct {
	IDs    []int32
	Weight []float32
}

// Scores is the outcome of a loss at the head. Rows has, for each row, the
// columns Loss (unweighted) and Hit (see the maker), then the gradient.
type Scores struct {
	Sum  Node // [rows, 1]: weighted losses, to be differentiated
	Rows Node // [rows, 2 + width]: loss, hit, and weighted gradient
}

// CrossEntropy is the loss −log p(label) of each row of x [rows, width]
// behind the head, which is applied in chunks so that logits never exist all
// at once. Its gradient is formed in the same pass. Hit is 1 where the label
// is the most probable token.
func (b *Builder) CrossEntropy(x Node, head *nn.Linear, l *Labels) Scores {
	d := width(x)
	rows := b.Apply(&Op{
		Name: "head.crossentropy", Cols: d + 2,
		Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			return inChunks(c, in[0].Rows, head, head.Out, func(w kernel.Matrix, trans bool, bias []float32, lo, hi int, buf []float32) {
				n, vocab := hi-lo, head.Out
				logits := kernel.Mat(buf, n, vocab)
				headProduct(c.Engine, logits, rowsOf(in[0], lo, hi), w, trans, bias)
				s := make([]float32, 2*n)
				best := make([]int32, n)
				ids := l.IDs[lo:hi]
				c.Engine.CrossEntropy(s[:n], s[n:], logits.Data, ids, n, vocab)
				c.Engine.ArgMax(best, logits.Data, n, vocab)
				c.Engine.CrossEntropyGrad(logits.Data, logits.Data, s[n:], ids, l.Weight[lo:hi], n, vocab)
				headGrad(c.Engine, out, lo, logits, w, trans)
				for i := range n {
					setScore(out, lo+i, s[i], best[i] == ids[i])
				}
			})
		},
		Flops: headFlops(head, 2),
	}, x)
	return Scores{Sum: b.weighted(rows, l, x), Rows: rows}
}

// CrossEntropyOf is CrossEntropy of logits [rows, vocab], whose head may be
// trained: its gradient is that of the logits. Behind loss and hit, Rows has what
// the gradient is formed from.
func (b *Builder) CrossEntropyOf(logits Node, l *Labels) Scores {
	vocab := width(logits)
	rows := b.Apply(&Op{
		Name: "crossentropy", Cols: 3,
		Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			n := in[0].Rows
			s, best := c.Scratch(2*n), make([]int32, n)
			c.Engine.CrossEntropy(s[:n], s[n:], in[0].Data, l.IDs, n, vocab)
			c.Engine.ArgMax(best, in[0].Data, n, vocab)
			for i := range n {
				setScore(out, i, s[i], best[i] == l.IDs[i])
				out.Data[3*i+2] = s[n+i]
			}
			return nil
		},
	}, logits)
	sum := b.Apply(&Op{
		Name: "crossentropy.loss", Cols: 1, WRT: []bool{true, false},
		Run: func(_ *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			for i := range in[1].Rows {
				out.Data[i] = in[1].Data[3*i] * l.Weight[i]
			}
			return nil
		},
		Diff: func(in gorgonia.Nodes, _, grad Node) gorgonia.Nodes {
			return gorgonia.Nodes{b.Apply(&Op{
				Name: "crossentropy.grad", Cols: vocab,
				Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
					n := in[0].Rows
					s := c.Scratch(2 * n)
					for i := range n {
						s[i], s[n+i] = in[2].Data[3*i+2], in[0].Data[i]*l.Weight[i]
					}
					c.Engine.CrossEntropyGrad(out.Data, in[1].Data, s[:n], l.IDs, s[n:2*n], n, vocab)
					return nil
				},
			}, grad, in[0], in[1]), nil}
		},
	}, logits, rows)
	return Scores{Sum: sum, Rows: rows}
}

// KL is the divergence KL(base ‖ x) of the head's distributions at each row,
// weighted by l.Weight (l.IDs is not used). base is constant. Hit is 1 where
// both have the same most probable token.
func (b *Builder) KL(base, x Node, head *nn.Linear, l *Labels) Scores {
	d := width(x)
	rows := b.Apply(&Op{
		Name: "head.kl", Cols: d + 2,
		Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			return inChunks(c, in[0].Rows, head, 2*(head.Out+d), func(w kernel.Matrix, trans bool, bias []float32, lo, hi int, buf []float32) {
				n, vocab := hi-lo, head.Out
				// one product for both, so that the weight is read once
				logits, both := kernel.Mat(buf[:2*n*vocab], 2*n, vocab), kernel.Mat(buf[2*n*vocab:], 2*n, d)
				copy(both.Data, in[1].Data[lo*d:hi*d])
				copy(both.Data[n*d:], in[0].Data[lo*d:hi*d])
				headProduct(c.Engine, logits, both, w, trans, bias)
				p, q := rowsOf(logits, 0, n), rowsOf(logits, n, 2*n)
				s := make([]float32, 3*n)
				before, after := make([]int32, n), make([]int32, n)
				c.Engine.KL(s[:n], s[n:2*n], s[2*n:], p.Data, q.Data, n, vocab)
				c.Engine.ArgMax(before, p.Data, n, vocab)
				c.Engine.ArgMax(after, q.Data, n, vocab)
				c.Engine.KLGrad(q.Data, p.Data, q.Data, s[n:2*n], s[2*n:], l.Weight[lo:hi], n, vocab)
				headGrad(c.Engine, out, lo, q, w, trans)
				for i := range n {
					setScore(out, lo+i, s[i], before[i] == after[i])
				}
			})
		},
		Flops: headFlops(head, 3),
	}, x, base)
	return Scores{Sum: b.weighted(rows, l, x), Rows: rows}
}

// weighted turns score rows into weighted losses whose gradient with respect
// to x is the one that the score rows hold.
func (b *Builder) weighted(rows Node, l *Labels, x Node) Node {
	d := width(x)
	return b.Apply(&Op{
		Name: "head.loss", Cols: 1, WRT: []bool{true, false},
		Run: func(_ *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			for i := range in[1].Rows {
				out.Data[i] = in[1].Data[i*(d+2)] * l.Weight[i]
			}
			return nil
		},
		Diff: func(in gorgonia.Nodes, _, grad Node) gorgonia.Nodes {
			return gorgonia.Nodes{b.Apply(&Op{
				Name: "head.grad", Cols: d,
				Run: func(c *Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
					for i := range in[0].Rows {
						row := out.Data[i*d : (i+1)*d]
						copy(row, in[1].Data[i*(d+2)+2:(i+1)*(d+2)])
						c.Engine.Scale(row, in[0].Data[i])
					}
					return nil
				},
			}, grad, in[1]), nil}
		},
	}, x, rows)
}

// inChunks calls fn on chunks of n rows, about equally many, with the head's
// weight and room for perRow numbers for each row.
func inChunks(c *Ctx, n int, head *nn.Linear, perRow int,
	fn func(w kernel.Matrix, trans bool, bias []float32, lo, hi int, buf []float32)) error {
	values, err := c.weight(head.W)
	if err != nil {
		return err
	}
	w, trans := head.Mat(values)
	var bias []float32
	if head.B != nil {
		if bias, err = head.B.Values(); err != nil {
			return err
		}
	}
	chunks := (n + headChunk - 1) / headChunk
	scratch := c.Scratch(min(n, headChunk) * perRow) // of one size for all longer n, so that it is made once
	for i := range chunks {
		lo, hi := n*i/chunks, n*(i+1)/chunks
		fn(w, trans, bias, lo, hi, scratch[:(hi-lo)*perRow])
	}
	return nil
}

func headProduct(e *kernel.Engine, logits, x, w kernel.Matrix, trans bool, bias []float32) {
	e.Gemm(logits, kernel.Product{A: x, B: w, TransB: trans})
	if bias != nil {
		eager.AddBias(e, logits, bias)
	}
}

// headGrad writes dlogits·W into the gradient columns of out from row lo on.
func headGrad(e *kernel.Engine, out *kernel.Matrix, lo int, dlogits, w kernel.Matrix, trans bool) {
	cols := out.Cols - 2
	g := kernel.Matrix{Rows: dlogits.Rows, Cols: cols, Stride: out.Cols, Data: out.Data[lo*out.Cols+2:]}
	e.Gemm(g, kernel.Product{A: dlogits, B: w, TransB: !trans})
}

func setScore(out *kernel.Matrix, row int, loss float32, hit bool) {
	out.Data[row*out.Cols] = loss
	out.Data[row*out.Cols+1] = 0
	if hit {
		out.Data[row*out.Cols+1] = 1
	}
}

func rowsOf(m kernel.Matrix, lo, hi int) kernel.Matrix {
	return eager.RowsOf(m, nn.Range{Lo: lo, Hi: hi})
}

func headFlops(head *nn.Linear, products float64) func(kernel.Matrix, []kernel.Matrix) float64 {
	return func(_ kernel.Matrix, in []kernel.Matrix) float64 {
		return products * 2 * float64(in[0].Rows) * float64(head.In) * float64(head.Out)
	}
}
