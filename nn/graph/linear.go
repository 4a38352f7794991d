package graph

import (
	"fmt"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// Linear implements nn.Ops.
func (b *Builder) Linear(l *nn.Linear, x Node) Node {
	if width(x) != l.In {
		b.fail(fmt.Errorf("%s: input of width %d for a layer of width %d", l.W.Name, width(x), l.In))
		return x
	}
	var y Node
	if w, ok := b.trainable[l.W]; ok {
		y = b.MatMul(x, w, !l.InOut)
	} else {
		_, trainBias := b.trainable[l.B]
		y = b.Apply(&Op{Kind: linear, Attr: frozen{l, l.B != nil && !trainBias}, Cols: l.Out}, x)
	}
	if l.B != nil {
		if bias, ok := b.trainable[l.B]; ok {
			y = b.AddBias(y, bias)
		}
	}
	if l.Cap > 0 {
		y = b.SoftCap(y, l.Cap)
	}
	if b.OnLinear != nil {
		y = b.OnLinear(l, x, y)
	}
	return y
}

// frozen is a layer whose weight is constant. Its bias is added if that is
// constant too.
type frozen struct {
	*nn.Linear
	bias bool
}

// linear is x·Wᵀ + b with constants; its only gradient is that of x.
var linear = &Kind{
	Name: "linear",
	Host: With(func(c *Ctx, l frozen, out *kernel.Matrix, in []kernel.Matrix) error {
		w, err := c.weight(l.W)
		if err != nil {
			return err
		}
		m, trans := l.Mat(w)
		c.Engine.Gemm(*out, kernel.Product{A: in[0], B: m, TransB: trans})
		if !l.bias {
			return nil
		}
		bias, err := l.B.Values()
		if err == nil {
			c.Engine.AddBias(*out, bias)
		}
		return err
	}),
	Grad: func(b *Builder, p *Op, _ []Node, _, grad Node) []Node {
		return []Node{b.Apply(&Op{Kind: linearGrad, Attr: p.Attr, Cols: p.Attr.(frozen).In}, grad)}
	},
	Flops: gemmFlops,
}

var linearGrad = &Kind{
	Name: "linear.grad",
	Host: With(func(c *Ctx, l frozen, out *kernel.Matrix, in []kernel.Matrix) error {
		w, err := c.weight(l.W)
		if err != nil {
			return err
		}
		m, trans := l.Mat(w)
		c.Engine.Gemm(*out, kernel.Product{A: in[0], B: m, TransB: !trans})
		return nil
	}),
	Flops: gemmFlops,
}

// gemmFlops counts a product of input 0 with a matrix.
func gemmFlops(_ *Op, out kernel.Matrix, in []kernel.Matrix) float64 {
	return 2 * float64(out.Rows) * float64(out.Cols) * float64(in[0].Cols)
}

// MatMul is x·Wᵀ (transB) or x·W. x: [rows, k]; W: [n, k] or [k, n].
func (b *Builder) MatMul(x, w Node, transB bool) Node {
	n := w.Shape()[1]
	if transB {
		n = w.Shape()[0]
	}
	return b.Apply(&Op{Kind: matmul, Attr: transposed(transB), Cols: n}, x, w)
}

// transposed: the second factor of a product is.
type transposed bool

var matmul = &Kind{
	Name: "matmul",
	Host: With(func(c *Ctx, t transposed, out *kernel.Matrix, in []kernel.Matrix) error {
		c.Engine.Gemm(*out, kernel.Product{A: in[0], B: in[1], TransB: bool(t)})
		return nil
	}),
	Grad: func(b *Builder, p *Op, in []Node, _, grad Node) []Node {
		x, w := in[0], in[1]
		s := w.Shape()
		return []Node{
			b.Apply(&Op{Kind: matmulInput, Attr: p.Attr, Cols: width(x)}, grad, w),
			b.Apply(&Op{Kind: matmulWeight, Attr: p.Attr, Rows: s[0], Cols: s[1]}, grad, x),
		}
	},
	Flops: gemmFlops,
}

var matmulInput = &Kind{
	Name: "matmul.dx",
	Host: With(func(c *Ctx, t transposed, out *kernel.Matrix, in []kernel.Matrix) error {
		c.Engine.Gemm(*out, kernel.Product{A: in[0], B: in[1], TransB: !bool(t)})
		return nil
	}),
	Flops: gemmFlops,
}

var matmulWeight = &Kind{
	Name: "matmul.dw", Accumulates: true,
	Host: func(c *Ctx, p *Op, out *kernel.Matrix, in []kernel.Matrix) error {
		out.Rows = p.Rows
		left, right := in[0], in[1] // grad, x
		if !p.Attr.(transposed) {
			left, right = right, left
		}
		c.Engine.Gemm(*out, kernel.Product{A: left, TransA: true, B: right, Accumulate: c.Accumulate})
		return nil
	},
	Flops: func(p *Op, _ kernel.Matrix, in []kernel.Matrix) float64 {
		return 2 * float64(in[0].Rows) * float64(p.Rows) * float64(p.Cols)
	},
}

// AddBias adds bias [1, width] to every row of x.
func (b *Builder) AddBias(x, bias Node) Node {
	return b.Apply(&Op{Kind: addBias, Cols: width(x)}, x, bias)
}

var addBias = &Kind{
	Name: "bias",
	Host: func(c *Ctx, _ *Op, out *kernel.Matrix, in []kernel.Matrix) error {
		copy(out.Data, in[0].Data[:in[0].Rows*in[0].Cols])
		c.Engine.AddBias(*out, in[1].Data)
		return nil
	},
	Grad: func(b *Builder, _ *Op, _ []Node, _, grad Node) []Node { return []Node{grad, b.ColumnSums(grad)} },
}

// ColumnSums sums the rows of x: [1, width]. It is not differentiable.
func (b *Builder) ColumnSums(x Node) Node {
	return b.Apply(&Op{Kind: columnSums, Rows: 1, Cols: width(x)}, x)
}

var columnSums = &Kind{
	Name: "columnsums", Accumulates: true,
	Host: func(c *Ctx, _ *Op, out *kernel.Matrix, in []kernel.Matrix) error {
		out.Rows = 1
		if !c.Accumulate {
			clear(out.Data[:out.Cols])
		}
		c.Engine.ColumnSums(out.Data, in[0].Data, in[0].Rows, in[0].Cols)
		return nil
	},
}
