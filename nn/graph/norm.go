package graph

import (
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// LayerNorm implements nn.Ops.
func (b *Builder) LayerNorm(n *nn.Norm, x Node) Node { return b.norm(layerNorm, n, x) }

// RMSNorm implements nn.Ops.
func (b *Builder) RMSNorm(n *nn.Norm, x Node) Node { return b.norm(rmsNorm, n, x) }

// norm normalises rows. With trainable parameters these are inputs: gain, and
// bias if there is one.
func (b *Builder) norm(k *Kind, n *nn.Norm, x Node) Node {
	in := []Node{x}
	gain, trained := b.trainable[n.Gain]
	if trained {
		in = append(in, gain)
		if n.Bias != nil {
			in = append(in, b.Trainable(n.Bias))
		}
	}
	return b.Apply(&Op{Kind: k, Attr: normal{n, trained}, Cols: width(x)}, in...)
}

// normal is a norm, and whether its gain and bias are inputs.
type normal struct {
	*nn.Norm
	trained bool
}

// params takes gain and bias from the inputs behind the first, or from the norm.
func (n normal) params(in []kernel.Matrix) (gain, bias []float32, err error) {
	if n.trained {
		if n.Bias != nil {
			bias = in[1].Data
		}
		return in[0].Data, bias, nil
	}
	if gain, err = n.Gain.Values(); err == nil && n.Bias != nil {
		bias, err = n.Bias.Values()
	}
	return gain, bias, err
}

// groups is how x is normalised: a row of an RMS norm of heads has several groups.
func (n normal) groups(x kernel.Matrix) (rows, cols int) {
	cols = n.Gain.Cols
	return x.Rows * x.Cols / cols, cols
}

// normParam is which parameter of a norm a gradient is for: 0 gain, 1 bias.
type normParam struct {
	normal
	which int
}

var layerNorm = normKind("layernorm", (*kernel.Engine).LayerNorm, (*kernel.Engine).LayerNormGrad, (*kernel.Engine).LayerNormParamGrad)

var rmsNorm = normKind(
	"rmsnorm",
	func(k *kernel.Engine, y, x, gain, _ []float32, eps float32, rows, cols int) {
		k.RMSNorm(y, x, gain, eps, rows, cols)
	},
	(*kernel.Engine).RMSNormGrad,
	func(k *kernel.Engine, dgain, _, x, dy []float32, eps float32, rows, cols int) {
		k.RMSNormParamGrad(dgain, x, dy, eps, rows, cols)
	},
)

// normKind is a normalisation with its three kernels.
func normKind(
	name string,
	forward func(k *kernel.Engine, y, x, gain, bias []float32, eps float32, rows, cols int),
	grad func(k *kernel.Engine, dx, x, gain, dy []float32, eps float32, rows, cols int),
	paramGrad func(k *kernel.Engine, dgain, dbias, x, dy []float32, eps float32, rows, cols int),
) *Kind {
	input := &Kind{
		Name: name + ".grad",
		Host: With(func(c *Ctx, n normal, out *kernel.Matrix, in []kernel.Matrix) error {
			gain, _, err := n.params(in[2:])
			if err != nil {
				return err
			}
			rows, cols := n.groups(in[0])
			grad(c.Engine, out.Data, in[1].Data, gain, in[0].Data, n.Eps, rows, cols)
			return nil
		}),
	}
	param := &Kind{
		Name: name + ".params",
		Host: With(func(c *Ctx, n normParam, out *kernel.Matrix, in []kernel.Matrix) error {
			out.Rows = 1
			rows, cols := n.groups(in[0])
			both := c.Scratch(2 * cols)
			clear(both)
			paramGrad(c.Engine, both[:cols], both[cols:], in[1].Data, in[0].Data, n.Eps, rows, cols)
			copy(out.Data[:cols], both[n.which*cols:(n.which+1)*cols])
			return nil
		}),
	}
	return &Kind{
		Name: name,
		Host: With(func(c *Ctx, n normal, out *kernel.Matrix, in []kernel.Matrix) error {
			gain, bias, err := n.params(in[1:])
			if err != nil {
				return err
			}
			rows, cols := n.groups(in[0])
			forward(c.Engine, out.Data, in[0].Data, gain, bias, n.Eps, rows, cols)
			return nil
		}),
		Grad: func(b *Builder, p *Op, in []Node, _, grad Node) []Node {
			n := p.Attr.(normal)
			grads := []Node{b.Apply(&Op{Kind: input, Attr: n, Cols: p.Cols}, append([]Node{grad}, in...)...)}
			for i := range in[1:] {
				grads = append(grads, b.Apply(&Op{Kind: param, Attr: normParam{n, i}, Rows: 1, Cols: n.Gain.Cols}, grad, in[0]))
			}
			return grads
		},
	}
}
