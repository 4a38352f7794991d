package graph

import (
	"fmt"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// Embed implements nn.Ops. The table has to be trainable.
func (b *Builder) Embed(table *nn.Param, ids *nn.IDs) Node {
	w, ok := b.trainable[table]
	if !ok {
		b.fail(fmt.Errorf("%s: embedding in a graph needs a trainable table; start from hidden states instead", table.Name))
		return b.Input(table.Name, len(ids.V), table.Cols)
	}
	return b.Apply(&Op{Kind: embed, Attr: lookup{table, ids}, Rows: len(ids.V), Cols: table.Cols}, w)
}

// lookup is the rows of a table that are wanted.
type lookup struct {
	table *nn.Param
	ids   *nn.IDs
}

var embed = &Kind{
	Name: "embed",
	Host: With(func(_ *Ctx, a lookup, out *kernel.Matrix, in []kernel.Matrix) error {
		out.Rows = len(a.ids.V)
		for i, id := range a.ids.V {
			if int(id) < 0 || int(id) >= in[0].Rows {
				return fmt.Errorf("%s: row %d is outside the table's %d rows", a.table.Name, id, in[0].Rows)
			}
			copy(out.Data[i*out.Cols:(i+1)*out.Cols], in[0].Data[int(id)*out.Cols:])
		}
		return nil
	}),
	Grad: func(b *Builder, p *Op, _ []Node, _, grad Node) []Node {
		table := p.Attr.(lookup).table
		return []Node{b.Apply(&Op{Kind: embedGrad, Attr: p.Attr, Rows: table.Rows, Cols: table.Cols}, grad)}
	},
}

var embedGrad = &Kind{
	Name: "embed.grad",
	Host: With(func(c *Ctx, a lookup, out *kernel.Matrix, in []kernel.Matrix) error {
		out.Rows = a.table.Rows
		clear(out.Data[:out.Rows*out.Cols])
		for i, id := range a.ids.V {
			c.Engine.AddTo(out.Data[int(id)*out.Cols:(int(id)+1)*out.Cols], in[0].Data[i*out.Cols:(i+1)*out.Cols])
		}
		return nil
	}),
}

// Columns implements nn.Ops.
func (b *Builder) Columns(x Node, idx []int32) Node {
	return b.Apply(&Op{Kind: columns, Attr: idx, Cols: len(idx)}, x)
}

var columns = &Kind{
	Name: "columns",
	Host: With(func(c *Ctx, idx []int32, out *kernel.Matrix, in []kernel.Matrix) error {
		c.Engine.PickColumns(*out, in[0], idx)
		return nil
	}),
	Grad: func(b *Builder, p *Op, in []Node, _, grad Node) []Node {
		return []Node{b.Apply(&Op{Kind: columnsGrad, Attr: p.Attr, Cols: width(in[0])}, grad)}
	},
}

var columnsGrad = &Kind{
	Name: "columns.grad",
	Host: With(func(c *Ctx, idx []int32, out *kernel.Matrix, in []kernel.Matrix) error {
		w := out.Cols
		c.Engine.For(in[0].Rows, 8, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				dst, src := out.Data[i*w:(i+1)*w], in[0].Data[i*len(idx):(i+1)*len(idx)]
				clear(dst)
				for j, col := range idx {
					dst[col] += src[j]
				}
			}
		})
		return nil
	}),
}

// Concat puts the columns of y behind those of x.
func (b *Builder) Concat(x, y Node) Node {
	return b.Apply(&Op{Kind: concat, Cols: width(x) + width(y)}, x, y)
}

var concat = &Kind{
	Name: "concat",
	Host: func(_ *Ctx, _ *Op, out *kernel.Matrix, in []kernel.Matrix) error {
		x, y := in[0], in[1]
		for i := range x.Rows {
			row := out.Data[i*out.Cols : (i+1)*out.Cols]
			copy(row, x.Data[i*x.Cols:(i+1)*x.Cols])
			copy(row[x.Cols:], y.Data[i*y.Cols:(i+1)*y.Cols])
		}
		return nil
	},
	Grad: func(b *Builder, p *Op, in []Node, _, grad Node) []Node {
		w := width(in[0])
		return []Node{b.Columns(grad, Span(0, w)), b.Columns(grad, Span(w, p.Cols))}
	},
}

// Span lists the numbers lo to hi−1.
func Span(lo, hi int) []int32 {
	idx := make([]int32, hi-lo)
	for i := range idx {
		idx[i] = int32(lo + i)
	}
	return idx
}

// Rows implements nn.Ops.
func (b *Builder) Rows(x Node, rows *nn.RowSet) Node {
	b.space = &rows.Tasks
	return b.Pick(x, rows)
}

// Pick picks rows of x without changing which task the coming rows belong to.
func (b *Builder) Pick(x Node, rows *nn.RowSet) Node {
	return b.Apply(&Op{Kind: pick, Attr: rows, Rows: rows.Cap, Cols: width(x)}, x)
}

var pick = &Kind{
	Name: "rows",
	Host: With(func(_ *Ctx, rows *nn.RowSet, out *kernel.Matrix, in []kernel.Matrix) error {
		w := out.Cols
		out.Rows = len(rows.V)
		for i, r := range rows.V {
			copy(out.Data[i*w:(i+1)*w], in[0].Data[int(r)*w:(int(r)+1)*w])
		}
		return nil
	}),
	Grad: func(b *Builder, p *Op, in []Node, _, grad Node) []Node {
		return []Node{b.Apply(&Op{Kind: pickGrad, Attr: p.Attr, Rows: in[0].Shape()[0], Cols: p.Cols}, grad, in[0])}
	},
}

var pickGrad = &Kind{
	Name: "rows.grad",
	Host: With(func(_ *Ctx, rows *nn.RowSet, out *kernel.Matrix, in []kernel.Matrix) error {
		w := out.Cols
		out.Rows = in[1].Rows
		clear(out.Data[:out.Rows*w])
		for i, r := range rows.V {
			copy(out.Data[int(r)*w:(int(r)+1)*w], in[0].Data[i*w:(i+1)*w])
		}
		return nil
	}),
}

// SumRows is the sum of some rows of x, [1, cols], in their order: the gradient
// of a vector that all of them were given.
func (b *Builder) SumRows(x Node, rows []int32) Node {
	return b.Apply(&Op{Kind: sumRows, Attr: rows, Rows: 1, Cols: width(x)}, x)
}

var sumRows = &Kind{
	Name: "sumrows",
	Host: With(func(c *Ctx, rows []int32, out *kernel.Matrix, in []kernel.Matrix) error {
		n := out.Cols
		out.Rows = 1
		clear(out.Data[:n])
		for _, r := range rows {
			c.Engine.AddTo(out.Data[:n], in[0].Data[int(r)*n:int(r+1)*n])
		}
		return nil
	}),
}

// AddToRows adds v, [1, cols], to the listed rows of x, which is constant.
func (b *Builder) AddToRows(x, v Node, rows []int32) Node {
	return b.Apply(&Op{Kind: addToRows, Attr: rows, Cols: width(x), WRT: []bool{false, true}}, x, v)
}

var addToRows = &Kind{
	Name: "addtorows",
	Host: With(func(c *Ctx, rows []int32, out *kernel.Matrix, in []kernel.Matrix) error {
		d := out.Cols
		copy(out.Data, in[0].Data[:in[0].Rows*d])
		for _, r := range rows {
			c.Engine.AddTo(out.Data[int(r)*d:int(r+1)*d], in[1].Data[:d])
		}
		return nil
	}),
	Grad: vectorGrad,
}

// SetRows puts v, [1, cols], in place of the listed rows of x, which is constant.
func (b *Builder) SetRows(x, v Node, rows []int32) Node {
	return b.Apply(&Op{Kind: setRows, Attr: rows, Cols: width(x), WRT: []bool{false, true}}, x, v)
}

var setRows = &Kind{
	Name: "setrows",
	Host: With(func(_ *Ctx, rows []int32, out *kernel.Matrix, in []kernel.Matrix) error {
		d := out.Cols
		copy(out.Data, in[0].Data[:in[0].Rows*d])
		for _, r := range rows {
			copy(out.Data[int(r)*d:int(r+1)*d], in[1].Data[:d])
		}
		return nil
	}),
	Grad: vectorGrad,
}

// vectorGrad is the gradient of a vector that rows were given.
func vectorGrad(b *Builder, p *Op, _ []Node, _, grad Node) []Node {
	return []Node{nil, b.SumRows(grad, p.Attr.([]int32))}
}
