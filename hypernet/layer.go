package hypernet

import (
	"math"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
)

// layer is z ← z + max(s⊙(U·V·z + b) + o, 0), with s and o of the row's mode.
type layer struct {
	u, v, bias   *nn.Param // [D, r], [r, D], [1, D]
	scale, shift *nn.Param // [modes, D], or nil
	residual     bool      // false: without "z +" (init xavier)
	linear       bool      // true: without the clamp
	after        bool      // s and o stand behind the clamp: z ← z + s⊙max(U·V·z + b, 0) + o (MALMEN)
}

func stack(b *graph.Builder, layers []layer, z graph.Node, f *Layout) graph.Node {
	for _, l := range layers {
		z = l.build(b, z, f)
	}
	return z
}

func (l layer) build(b *graph.Builder, z graph.Node, f *Layout) graph.Node {
	h := b.MatMul(z, b.Trainable(l.v), true)
	q := b.MatMul(h, b.Trainable(l.u), true)
	if l.after {
		return l.buildAfter(b, z, q, f)
	}
	in := []graph.Node{z, q, b.Trainable(l.bias)}
	wrt := []bool{l.residual, true, true}
	if l.scale != nil {
		in, wrt = append(in, b.Trainable(l.scale), b.Trainable(l.shift)), append(wrt, true, true)
	}
	return b.Apply(&graph.Op{Kind: layerKind, Attr: layerOf{l, f}, Cols: l.u.Rows, WRT: wrt}, in...)
}

// layerOf is a layer on rows of a layout.
type layerOf struct {
	layer
	f *Layout
}

var layerKind = &graph.Kind{
	Name: "layer",
	Host: graph.With(func(c *graph.Ctx, l layerOf, out *kernel.Matrix, in []kernel.Matrix) error {
		d, z := out.Cols, in[0].Data
		l.rows(c.Engine, l.f, in[1:], func(i int, q []float32, a kernel.Affine) {
			dst := out.Data[i*d : (i+1)*d]
			c.Engine.Clamp(dst, q, a)
			if l.residual {
				c.Engine.AddTo(dst, z[i*d:(i+1)*d])
			}
		})
		return nil
	}),
	Grad: func(b *graph.Builder, p *graph.Op, in []graph.Node, _, grad graph.Node) []graph.Node {
		l := p.Attr.(layerOf)
		args := append([]graph.Node{grad}, in[1:]...)
		dq := b.Apply(&graph.Op{Kind: layerInput, Attr: l, Cols: p.Cols}, args...)
		grads := []graph.Node{grad, dq, b.ColumnSums(dq)}
		if l.scale != nil {
			for _, k := range []*graph.Kind{layerScale, layerShift} {
				grads = append(grads, b.Apply(&graph.Op{Kind: k, Attr: l, Rows: l.scale.Rows, Cols: l.scale.Cols}, args...))
			}
		}
		return grads
	},
}

var layerInput = &graph.Kind{
	Name: "layer.dq",
	Host: graph.With(func(c *graph.Ctx, l layerOf, out *kernel.Matrix, in []kernel.Matrix) error {
		d := out.Cols
		l.rows(c.Engine, l.f, in[1:], func(i int, q []float32, a kernel.Affine) {
			c.Engine.ClampGrad(out.Data[i*d:(i+1)*d], in[0].Data[i*d:(i+1)*d], q, a)
		})
		return nil
	}),
}

var (
	layerScale = modeSums("layer.dscale", (*kernel.Engine).ClampGainGrad)
	layerShift = modeSums("layer.dshift", (*kernel.Engine).ClampShiftGrad)
)

// modeSums is the gradient of the scales or of the shifts: for each mode what
// add adds up over its rows. [modes, D].
func modeSums(name string, add func(k *kernel.Engine, out, dy, q []float32, rows, cols int, a kernel.Affine)) *graph.Kind {
	return &graph.Kind{
		Name: name, Accumulates: true,
		Host: graph.With(func(c *graph.Ctx, l layerOf, out *kernel.Matrix, in []kernel.Matrix) error {
			modes, d := l.scale.Rows, l.scale.Cols
			out.Rows = modes
			if !c.Accumulate {
				clear(out.Data[:modes*d])
			}
			for m, r := range l.f.Blocks {
				g, q := in[0].Data[r.Lo*d:r.Hi*d], in[1].Data[r.Lo*d:r.Hi*d]
				add(c.Engine, out.Data[m*d:(m+1)*d], g, q, r.Hi-r.Lo, d, l.affine(in[2:], m))
			}
			return nil
		}),
	}
}

// affine is what happens to a row of mode m before the residual is added.
// ClampGrad's slope is 1 where the value is at least 0, 0 included, as the
// reference has it. params: bias, and scale and shift if there are any.
func (l layer) affine(params []kernel.Matrix, m int) kernel.Affine {
	d := l.u.Rows
	a := kernel.Affine{Bias: params[0].Data}
	if l.linear {
		a.Floor = float32(math.Inf(-1))
	}
	if l.scale != nil {
		a.Gain, a.Shift = params[1].Data[m*d:(m+1)*d], params[2].Data[m*d:(m+1)*d]
		return a
	}
	a.Gain, a.Shift = make([]float32, d), make([]float32, d)
	for j := range a.Gain {
		a.Gain[j] = 1
	}
	return a
}

// rows calls fn for every row with its q and the parameters of its mode.
// params: q [rows, D], bias, and scale and shift if there are any.
func (l layer) rows(k *kernel.Engine, f *Layout, params []kernel.Matrix, fn func(i int, q []float32, a kernel.Affine)) {
	q := params[0]
	d := q.Cols
	k.For(q.Rows, 4, func(lo, hi int) {
		var a kernel.Affine
		mode := int32(-1)
		for i := lo; i < hi; i++ {
			if f.Modes[i] != mode {
				mode = f.Modes[i]
				a = l.affine(params[1:], int(mode))
			}
			fn(i, q.Data[i*d:(i+1)*d], a)
		}
	})
}
