package graph

import (
	"errors"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// Rotate implements nn.Ops.
func (b *Builder) Rotate(x Node, heads int, r *kernel.Rotation, s *nn.Sequences) Node {
	return b.Apply(&Op{Kind: rotate, Attr: turn{r, heads, s}, Cols: width(x)}, x)
}

// turn is how heads are turned at the positions of s.
type turn struct {
	*kernel.Rotation
	heads int
	s     *nn.Sequences
}

var rotate = &Kind{
	Name: "rotate",
	Host: With(func(c *Ctx, t turn, out *kernel.Matrix, in []kernel.Matrix) error {
		c.Engine.Rotate(out.Data, in[0].Data, t.heads, t.s.Pos, t.Rotation, false, in[0].Rows)
		return nil
	}),
	Grad: func(b *Builder, p *Op, _ []Node, _, grad Node) []Node {
		return []Node{b.Apply(&Op{Kind: rotateBack, Attr: p.Attr, Cols: p.Cols}, grad)}
	},
}

var rotateBack = &Kind{
	Name: "rotate.grad",
	Host: With(func(c *Ctx, t turn, out *kernel.Matrix, in []kernel.Matrix) error {
		c.Engine.Rotate(out.Data, in[0].Data, t.heads, t.s.Pos, t.Rotation, true, in[0].Rows)
		return nil
	}),
}

// errGrows: a graph may be run any number of times on the same rows.
var errGrows = errors.New("a graph reads keys of earlier rows and keeps none")

// Attend implements nn.Ops. What s has from earlier rows is constant.
func (b *Builder) Attend(layer int, q, k, v Node, a kernel.Attention, s *nn.Sequences) Node {
	return b.Apply(&Op{Kind: attend, Attr: attention{a, layer, s}, Cols: width(q)}, q, k, v)
}

// attention is the shape of attention in a block, and the texts it is in.
type attention struct {
	kernel.Attention
	layer int
	s     *nn.Sequences
}

// widths are those of q and of k and v.
func (a attention) widths() (q, k int) { return a.Heads * a.HeadDim, a.KVHeads * a.HeadDim }

var attend = &Kind{
	Name: "attend",
	Host: With(func(c *Ctx, a attention, out *kernel.Matrix, in []kernel.Matrix) error {
		if a.s.Grows() {
			return errGrows
		}
		keys, values := a.s.Seen(a.layer, in[1], in[2], c.Scratch)
		c.Engine.Attend(out.Data, in[0].Data, keys, values, a.Attention, a.s.Segs)
		return nil
	}),
	Grad: func(b *Builder, p *Op, in []Node, _, grad Node) []Node {
		a := p.Attr.(attention)
		q, k := a.widths()
		// one op writes dq, dk and dv one after another; each is then cut out
		all := b.Apply(&Op{Kind: attendGrad, Attr: a, Cols: q + 2*k}, grad, in[0], in[1], in[2])
		cut := func(lo, w int) Node { return b.Apply(&Op{Kind: attendCut, Attr: lo, Cols: w}, all) }
		return []Node{cut(0, q), cut(q, k), cut(q+k, k)}
	},
}

var attendGrad = &Kind{
	Name: "attend.grad",
	Host: With(func(c *Ctx, a attention, out *kernel.Matrix, in []kernel.Matrix) error {
		n := in[0].Rows
		q, k := a.widths()
		dq, dk, dv := out.Data[:n*q], out.Data[n*q:n*(q+k)], out.Data[n*(q+k):n*(q+2*k)]
		if a.s.Keys == nil {
			c.Engine.AttendGrad(dq, dk, dv, in[1].Data, in[2].Data, in[3].Data, in[0].Data, a.Attention, a.s.Segs)
			return nil
		}
		all := len(a.s.Keys) * k
		room := c.Scratch(4 * all)
		keys, values := a.s.Seen(a.layer, in[2], in[3], func(int) []float32 { return room[2*all:] })
		clear(room[:2*all]) // rows in no segment get nothing
		c.Engine.AttendGrad(dq, room[:all], room[all:2*all], in[1].Data, keys, values, in[0].Data, a.Attention, a.s.Segs)
		a.s.Return(c.Engine, dk, room[:all], k)
		a.s.Return(c.Engine, dv, room[all:2*all], k)
		return nil
	}),
}

// attendCut takes the matrix behind the columns of an attribute's number.
var attendCut = &Kind{
	Name: "attend.cut",
	Host: With(func(_ *Ctx, lo int, out *kernel.Matrix, in []kernel.Matrix) error {
		n := in[0].Rows
		copy(out.Data, in[0].Data[n*lo:n*(lo+out.Cols)])
		return nil
	}),
}
