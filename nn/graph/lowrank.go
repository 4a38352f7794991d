package graph

import (
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// Factors says where the factors of one edited layer lie in a matrix Z
// [rows, in+out] of transformed factors, ũ before δ̃: rows Tasks[t] belong to
// task t. All layers that share Z have equal Key.
type Factors struct {
	In, Out int
	Sign    float32 // +1 adds the update, -1 subtracts it
	Tasks   *[]nn.Range
	Block   *nn.Range // this layer's rows of Z, those of no task included
	Key     any
	FixedU  bool // no gradient is wanted for ũ
	// Bare marks rows of x whose gradient passes the layer as if it were not edited;
	// nil: none.
	Bare  *[]bool
	Share *Share
}

// LowRank edits the output y of a linear layer with input x: for the rows of
// each task, y += Sign·α·(x·Ũᵀ)·Δ̃, which is W' = W + Sign·α·Σ δ̃ũᵀ without
// forming the sum. alpha is [1, 1]. rows says which rows of x belong to which
// task. y is changed in place.
func (b *Builder) LowRank(y, x, z, alpha Node, f Factors, rows *[]nn.Range) Node {
	return b.Apply(&Op{Kind: lowRank, Attr: lowRankOf{f, rows}, Cols: f.Out}, y, x, z, alpha)
}

// lowRankOf is the factors of a layer, and which rows of its input belong to
// which task.
type lowRankOf struct {
	Factors
	rows *[]nn.Range
}

// each calls fn for every task t that both have rows of: r of the input, q of z.
func (f lowRankOf) each(z kernel.Matrix, fn func(t int, r, q nn.Range, u, d kernel.Matrix)) {
	for t, r := range *f.rows {
		q := (*f.Tasks)[t]
		if r.Hi == r.Lo || q.Hi == q.Lo {
			continue
		}
		u, d := f.split(z, q)
		fn(t, r, q, u, d)
	}
}

// split returns views of ũ and δ̃ in rows q of z.
func (f Factors) split(z kernel.Matrix, q nn.Range) (u, d kernel.Matrix) {
	rows := z.Data[q.Lo*z.Stride:]
	u = kernel.Matrix{Rows: q.Hi - q.Lo, Cols: f.In, Stride: z.Stride, Data: rows}
	d = kernel.Matrix{Rows: q.Hi - q.Lo, Cols: f.Out, Stride: z.Stride, Data: rows[f.In:]}
	return u, d
}

var lowRank = &Kind{
	Name: "lowrank", Alias: true,
	Host: With(func(c *Ctx, f lowRankOf, out *kernel.Matrix, in []kernel.Matrix) error {
		x, z, scale := in[1], in[2], f.Sign*in[3].Data[0]
		f.each(z, func(_ int, r, _ nn.Range, u, d kernel.Matrix) {
			s := kernel.Mat(c.Scratch((r.Hi-r.Lo)*u.Rows), r.Hi-r.Lo, u.Rows)
			nn.Delta{U: u, D: d, Scale: scale}.AddTo(c.Engine, r.Of(*out), r.Of(x), s)
		})
		return nil
	}),
	Grad: func(b *Builder, p *Op, in []Node, _, grad Node) []Node {
		f := p.Attr.(lowRankOf)
		x, z, alpha := in[1], in[2], in[3]
		return []Node{
			grad,
			b.Apply(&Op{Kind: lowRankInput, Attr: f, Cols: f.In}, grad, z, alpha),
			b.Apply(&Op{Kind: lowRankFactors, Attr: f, Rows: z.Shape()[0], Cols: f.In + f.Out, Part: f.Key}, grad, x, z, alpha),
			b.Apply(&Op{Kind: lowRankAlpha, Attr: f, Rows: 1, Cols: 1}, grad, x, z, alpha),
		}
	},
}

var lowRankInput = &Kind{
	Name: "lowrank.dx",
	Host: With(func(c *Ctx, f lowRankOf, out *kernel.Matrix, in []kernel.Matrix) error {
		g, z, scale := in[0], in[1], f.Sign*in[2].Data[0]
		clear(out.Data[:out.Rows*out.Cols])
		f.each(z, func(_ int, r, _ nn.Range, u, d kernel.Matrix) {
			p := kernel.Mat(c.Scratch((r.Hi-r.Lo)*u.Rows), r.Hi-r.Lo, u.Rows)
			c.Engine.Gemm(p, kernel.Product{A: r.Of(g), B: d, TransB: true})
			c.Engine.Scale(p.Data, scale)
			c.Engine.Gemm(r.Of(*out), kernel.Product{A: p, B: u})
		})
		if f.Bare != nil {
			for i, bare := range *f.Bare {
				if bare {
					clear(out.Data[i*out.Cols : (i+1)*out.Cols])
				}
			}
		}
		return nil
	}),
}

var lowRankFactors = &Kind{
	Name: "lowrank.dz",
	Host: With(func(c *Ctx, f lowRankOf, out *kernel.Matrix, in []kernel.Matrix) error {
		g, x, z, scale := in[0], in[1], in[2], f.Sign*in[3].Data[0]
		out.Rows = z.Rows
		clear(out.Data[f.Block.Lo*out.Cols : f.Block.Hi*out.Cols])
		f.each(z, func(t int, r, q nn.Range, u, d kernel.Matrix) {
			if f.Share.Split(t) {
				return
			}
			n, k := r.Hi-r.Lo, u.Rows
			gr, xr := r.Of(g), r.Of(x)
			du, dd := f.split(*out, q)
			s := kernel.Mat(c.Scratch(n*k), n, k)
			if !f.FixedU {
				c.Engine.Gemm(s, kernel.Product{A: gr, B: d, TransB: true})
				c.Engine.Scale(s.Data, scale)
				c.Engine.Gemm(du, kernel.Product{A: s, TransA: true, B: xr})
			}
			c.Engine.Gemm(s, kernel.Product{A: xr, B: u, TransB: true})
			c.Engine.Scale(s.Data, scale)
			c.Engine.Gemm(dd, kernel.Product{A: s, TransA: true, B: gr})
		})
		return f.joinFactors(c, out, g, x, z, scale)
	}),
}

// joinFactors fills in, for the tasks that several processes compute, this
// process's part of the rows of out. They add up over the texts of all, whose
// products with the factors are gathered.
func (f lowRankOf) joinFactors(c *Ctx, out *kernel.Matrix, g, x, z kernel.Matrix, scale float32) error {
	return f.Share.Join(func(t int) kernel.Matrix { // x·ũᵀ and g; where they are wanted g·δ̃ᵀ and x, too
		r, q := (*f.rows)[t], (*f.Tasks)[t]
		n, k := r.Hi-r.Lo, q.Hi-q.Lo
		wide := k + f.Out
		if !f.FixedU {
			wide += k + f.In
		}
		all := kernel.Mat(c.Scratch(n*wide), n, wide)
		if n == 0 || k == 0 {
			return kernel.Mat(nil, 0, wide)
		}
		u, d := f.split(z, q)
		scaled := func(at int, p kernel.Product) {
			s := all.Columns(at, at+k)
			c.Engine.Gemm(s, p)
			for i := range n {
				c.Engine.Scale(s.Data[i*wide:i*wide+k], scale)
			}
		}
		scaled(0, kernel.Product{A: r.Of(x), B: u, TransB: true})
		all.Columns(k, k+f.Out).Put(r.Of(g))
		if !f.FixedU {
			scaled(k+f.Out, kernel.Product{A: r.Of(g), B: d, TransB: true})
			all.Columns(2*k+f.Out, wide).Put(r.Of(x))
		}
		return all
	}, func(t int, all kernel.Matrix) {
		q := (*f.Tasks)[t]
		k, mine := q.Hi-q.Lo, f.Share.myPart(t, q)
		if all.Rows == 0 || mine.Hi == mine.Lo {
			return
		}
		du, dd := f.split(*out, mine)
		lo, hi := mine.Lo-q.Lo, mine.Hi-q.Lo
		c.Engine.Gemm(dd, kernel.Product{A: all.Columns(lo, hi), TransA: true, B: all.Columns(k, k+f.Out)})
		if !f.FixedU {
			at := k + f.Out
			c.Engine.Gemm(du, kernel.Product{A: all.Columns(at+lo, at+hi), TransA: true, B: all.Columns(at+k, at+k+f.In)})
		}
	})
}

var lowRankAlpha = &Kind{
	Name: "lowrank.dalpha", Accumulates: true,
	Host: With(func(c *Ctx, f lowRankOf, out *kernel.Matrix, in []kernel.Matrix) error {
		g, x, z := in[0], in[1], in[2]
		sums := make([]float64, len(*f.rows))
		f.each(z, func(t int, r, _ nn.Range, u, d kernel.Matrix) {
			if f.Share.Split(t) {
				return
			}
			n, k := r.Hi-r.Lo, u.Rows
			buf := c.Scratch(2 * n * k)
			s, p := kernel.Mat(buf[:n*k], n, k), kernel.Mat(buf[n*k:], n, k)
			c.Engine.Gemm(s, kernel.Product{A: r.Of(x), B: u, TransB: true})
			c.Engine.Gemm(p, kernel.Product{A: r.Of(g), B: d, TransB: true})
			sums[t] = float64(c.Engine.Dot(s.Data, p.Data))
		})
		if err := f.joinAlpha(c, g, x, z, sums); err != nil {
			return err
		}
		if err := f.Share.Numbers(sums, 0); err != nil {
			return err
		}
		sum := 0.0
		for _, x := range sums {
			sum += x
		}
		out.Rows = 1
		if !c.Accumulate {
			out.Data[0] = 0
		}
		out.Data[0] += f.Sign * float32(sum)
		return nil
	}),
}

// joinAlpha fills in the sums of the tasks that several processes compute.
func (f lowRankOf) joinAlpha(c *Ctx, g, x, z kernel.Matrix, sums []float64) error {
	return f.Share.Join(func(t int) kernel.Matrix { // x·ũᵀ and g·δ̃ᵀ
		r, q := (*f.rows)[t], (*f.Tasks)[t]
		n, k := r.Hi-r.Lo, q.Hi-q.Lo
		if n == 0 || k == 0 {
			return kernel.Mat(nil, 0, 2*k)
		}
		u, d := f.split(z, q)
		both := kernel.Mat(c.Scratch(2*n*k), n, 2*k)
		c.Engine.Gemm(both.Columns(0, k), kernel.Product{A: r.Of(x), B: u, TransB: true})
		c.Engine.Gemm(both.Columns(k, 2*k), kernel.Product{A: r.Of(g), B: d, TransB: true})
		return both
	}, func(t int, both kernel.Matrix) {
		n, k := both.Rows, both.Cols/2
		if n == 0 || k == 0 {
			return
		}
		buf := c.Scratch(2 * n * k)
		s, p := kernel.Mat(buf[:n*k], n, k), kernel.Mat(buf[n*k:], n, k)
		s.Put(both.Columns(0, k))
		p.Put(both.Columns(k, 2*k))
		sums[t] = float64(c.Engine.Dot(s.Data, p.Data))
	})
}
