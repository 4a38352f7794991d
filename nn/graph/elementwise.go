package graph

import (
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// dense is the numbers of each matrix, of input 0's shape.
func dense(out *kernel.Matrix, in []kernel.Matrix) (y []float32, x [][]float32) {
	n := in[0].Rows * in[0].Cols
	for _, m := range in {
		x = append(x, m.Data[:n])
	}
	return out.Data[:n], x
}

// Activate implements nn.Ops.
func (b *Builder) Activate(kind kernel.Activation, x Node) Node {
	return b.Apply(&Op{Kind: activate, Attr: kind, Cols: width(x)}, x)
}

var activate = &Kind{
	Name: "activate",
	Host: With(func(c *Ctx, kind kernel.Activation, out *kernel.Matrix, in []kernel.Matrix) error {
		y, x := dense(out, in)
		c.Engine.Activate(kind, y, x[0])
		return nil
	}),
	Grad: func(b *Builder, p *Op, in []Node, _, grad Node) []Node {
		return []Node{b.Apply(&Op{Kind: activateGrad, Attr: p.Attr, Cols: p.Cols}, grad, in[0])}
	},
}

var activateGrad = &Kind{
	Name: "activate.grad",
	Host: With(func(c *Ctx, kind kernel.Activation, out *kernel.Matrix, in []kernel.Matrix) error {
		y, x := dense(out, in)
		c.Engine.ActivateGrad(kind, y, x[1], x[0])
		return nil
	}),
}

// SoftCap is limit·tanh(x/limit).
func (b *Builder) SoftCap(x Node, limit float32) Node {
	return b.Apply(&Op{Kind: softCap, Attr: limit, Cols: width(x)}, x)
}

var softCap = &Kind{
	Name: "softcap",
	Host: With(func(c *Ctx, limit float32, out *kernel.Matrix, in []kernel.Matrix) error {
		y, x := dense(out, in)
		c.Engine.SoftCap(y, x[0], limit)
		return nil
	}),
	Grad: func(b *Builder, p *Op, _ []Node, out, grad Node) []Node {
		return []Node{b.Apply(&Op{Kind: softCapGrad, Attr: p.Attr, Cols: p.Cols}, grad, out)}
	},
}

var softCapGrad = &Kind{
	Name: "softcap.grad",
	Host: With(func(c *Ctx, limit float32, out *kernel.Matrix, in []kernel.Matrix) error {
		y, x := dense(out, in)
		c.Engine.SoftCapGrad(y, x[1], x[0], limit)
		return nil
	}),
}

// Add implements nn.Ops.
func (b *Builder) Add(x, y Node) Node { return b.Apply(&Op{Kind: add, Cols: width(x)}, x, y) }

var add = &Kind{
	Name: "add",
	Host: func(c *Ctx, _ *Op, out *kernel.Matrix, in []kernel.Matrix) error {
		y, x := dense(out, in)
		c.Engine.Add(y, x[0], x[1])
		return nil
	},
	Grad: func(_ *Builder, _ *Op, _ []Node, _, grad Node) []Node { return []Node{grad, grad} },
}

// Mul implements nn.Ops.
func (b *Builder) Mul(x, y Node) Node { return b.Apply(&Op{Kind: mul, Cols: width(x)}, x, y) }

var mul = &Kind{
	Name: "mul",
	Host: func(c *Ctx, _ *Op, out *kernel.Matrix, in []kernel.Matrix) error {
		y, x := dense(out, in)
		c.Engine.Mul(y, x[0], x[1])
		return nil
	},
	Grad: func(b *Builder, p *Op, in []Node, _, grad Node) []Node {
		times := func(x Node) Node { return b.Apply(&Op{Kind: p.Kind, Cols: p.Cols}, grad, x) }
		return []Node{times(in[1]), times(in[0])}
	},
}

// Scale implements nn.Ops.
func (b *Builder) Scale(x Node, by float32) Node {
	return b.Apply(&Op{Kind: scale, Attr: by, Cols: width(x)}, x)
}

var scale = &Kind{
	Name: "scale",
	Host: With(func(c *Ctx, by float32, out *kernel.Matrix, in []kernel.Matrix) error {
		y, x := dense(out, in)
		copy(y, x[0])
		c.Engine.Scale(y, by)
		return nil
	}),
	Grad: func(b *Builder, p *Op, _ []Node, _, grad Node) []Node {
		return []Node{b.Apply(&Op{Kind: p.Kind, Attr: p.Attr, Cols: p.Cols}, grad)}
	},
}

// ones is 1 everywhere, in input 0's shape.
var ones = &Kind{
	Name: "ones",
	Host: func(_ *Ctx, _ *Op, out *kernel.Matrix, _ []kernel.Matrix) error {
		for i := range out.Rows * out.Cols {
			out.Data[i] = 1
		}
		return nil
	},
}

// Probe is the identity on y. The gradient of a loss with respect to the
// returned handle is the gradient at y: a layer's δ.
func (b *Builder) Probe(y Node) (same, handle Node) {
	handle = b.Input("probe", 1, 1)
	return b.Apply(&Op{Kind: probe, Cols: width(y)}, y, handle), handle
}

var probe = &Kind{
	Name: "probe", Alias: true,
	Grad: func(_ *Builder, _ *Op, _ []Node, _, grad Node) []Node { return []Node{grad, grad} },
}

// Detach is the identity, through which no gradient flows.
func (b *Builder) Detach(x Node) Node { return b.Apply(&Op{Kind: detach, Cols: width(x)}, x) }

var detach = &Kind{Name: "detach", Alias: true}

// Tap implements nn.Ops.
func (b *Builder) Tap(p nn.Place, x Node) Node {
	if b.OnTap != nil {
		return b.OnTap(p, x)
	}
	return x
}

// Scope implements nn.Ops.
func (b *Builder) Scope(fn func() Node) Node { return fn() }
