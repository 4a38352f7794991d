package hypernet

import (
	"fmt"
	"math"
	"math/rand/v2"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
)

// Words is the token embedding of a model, [Rows, Cols], from which a kind that
// reads texts starts its own.
type Words struct {
	Table      []float32
	Rows, Cols int
}

// encoder makes a vector of a text: embedding, one bidirectional LSTM layer, its
// two last states side by side, and a linear layer with tanh (De Cao et al. 2021).
type encoder struct {
	words  *nn.Param // [vocabulary, embedding]
	lstm   [2]direction
	weight *nn.Param // [condition, 2·hidden]
	bias   *nn.Param // [1, condition]

	b    *graph.Builder // that node is of
	node graph.Node     // [tasks, condition]
}

// direction is an LSTM, with gates in the order input, forget, cell, output.
type direction struct {
	wih, whh *nn.Param // [4·hidden, embedding], [4·hidden, hidden]
	bih, bhh *nn.Param // [1, 4·hidden]
	back     bool      // from the last token to the first
}

func (e *encoder) describe(c Config, w *Words) []spec {
	h := c.ConditionHidden
	specs := []spec{{"condition.embedding.weight", w.Rows, w.Cols, &e.words}}
	for i := range e.lstm {
		d, end := &e.lstm[i], ""
		if d.back = i == 1; d.back {
			end = "_reverse"
		}
		const p = "condition.lstm._module."
		specs = append(specs, spec{p + "weight_ih_l0" + end, 4 * h, w.Cols, &d.wih}, spec{p + "weight_hh_l0" + end, 4 * h, h, &d.whh},
			spec{p + "bias_ih_l0" + end, 1, 4 * h, &d.bih}, spec{p + "bias_hh_l0" + end, 1, 4 * h, &d.bhh})
	}
	const p = "condition.linear._linear_layers.0."
	return append(specs, spec{p + "weight", c.ConditionDim, 2 * h, &e.weight}, spec{p + "bias", 1, c.ConditionDim, &e.bias})
}

// start draws weights uniformly within one over the root of a layer's width, as
// torch does; the embedding is the model's.
func (e *encoder) start(c Config, w *Words, rng *rand.Rand) {
	v, _ := e.words.Values()
	copy(v, w.Table)
	for _, d := range e.lstm {
		for _, p := range []*nn.Param{d.wih, d.whh, d.bih, d.bhh} {
			uniform(p, c.ConditionHidden, rng)
		}
	}
	uniform(e.weight, e.weight.Cols, rng)
	uniform(e.bias, e.weight.Cols, rng)
}

func uniform(p *nn.Param, width int, rng *rand.Rand) {
	v, _ := p.Values()
	limit := 1 / math.Sqrt(float64(width))
	for i := range v {
		v[i] = float32((2*rng.Float64() - 1) * limit)
	}
}

// build adds the vectors of mode's texts to the graph, for at most bound tasks. It
// does so once for each graph.
func (e *encoder) build(b *graph.Builder, bound int, mode *Mode) graph.Node {
	if e.b == b {
		return e.node
	}
	states := e.states(b, bound, mode)
	x := b.MatMul(states, b.Trainable(e.weight), true)
	e.b, e.node = b, b.Activate(kernel.Tanh, b.AddBias(x, b.Trainable(e.bias)))
	return e.node
}

// states adds the LSTM's last states, [tasks, 2·hidden].
func (e *encoder) states(b *graph.Builder, bound int, mode *Mode) graph.Node {
	in := []graph.Node{b.Trainable(e.words)}
	wrt := []bool{true}
	for _, d := range e.lstm {
		for _, p := range []*nn.Param{d.wih, d.whh, d.bih, d.bhh} {
			in, wrt = append(in, b.Trainable(p)), append(wrt, true)
		}
	}
	h := e.lstm[0].whh.Cols
	return b.Apply(&graph.Op{Rows: bound, Cols: 2 * h, WRT: wrt, Kind: &graph.Kind{
		Name: "lstm",
		Host: func(c *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
			if len(mode.Texts) > bound {
				return fmt.Errorf("%d texts for at most %d tasks", len(mode.Texts), bound)
			}
			out.Rows = len(mode.Texts)
			for t, ids := range mode.Texts {
				for i, d := range e.lstm {
					p := d.pass(c.Engine, in[0], in[1+4*i:5+4*i], ids)
					copy(out.Data[t*2*h+i*h:t*2*h+(i+1)*h], p.last())
				}
			}
			return nil
		},
		Grad: func(_ *graph.Builder, _ *graph.Op, in []graph.Node, _, grad graph.Node) []graph.Node {
			return e.gradients(b, in, grad, mode)
		},
	}}, in...)
}

// gradients are those of the embedding and of each direction's four parameters.
// Each goes through the texts by itself: they are short.
func (e *encoder) gradients(b *graph.Builder, in []graph.Node, grad graph.Node, mode *Mode) []graph.Node {
	h := e.lstm[0].whh.Cols
	args := append([]graph.Node{grad}, in...)
	op := func(p *nn.Param, dirs []int, add func(c *graph.Ctx, sum kernel.Matrix, in []kernel.Matrix, s *passed, dp kernel.Matrix, ids []int32)) graph.Node {
		return b.Apply(&graph.Op{Rows: p.Rows, Cols: p.Cols, Kind: &graph.Kind{
			Name:        "lstm.grad",
			Accumulates: true,
			Host: func(c *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
				out.Rows = p.Rows
				sum := kernel.Mat(out.Data[:p.Len()], p.Rows, p.Cols)
				if !c.Accumulate {
					clear(sum.Data)
				}
				for t, ids := range mode.Texts {
					for _, i := range dirs {
						params := in[2+4*i : 6+4*i]
						s := e.lstm[i].pass(c.Engine, in[1], params, ids)
						dp := e.lstm[i].backward(c.Engine, s, params, in[0].Data[t*2*h+i*h:t*2*h+(i+1)*h])
						add(c, sum, params, s, dp, ids)
					}
				}
				return nil
			},
		}}, args...)
	}
	grads := []graph.Node{op(e.words, []int{0, 1}, func(c *graph.Ctx, sum kernel.Matrix, params []kernel.Matrix, _ *passed, dp kernel.Matrix, ids []int32) {
		dx := kernel.Mat(make([]float32, len(ids)*sum.Cols), len(ids), sum.Cols)
		c.Engine.Gemm(dx, kernel.Product{A: dp, B: params[0]})
		for i, id := range ids {
			if id != 0 || !mode.Strict { // the reference takes token 0 for padding
				c.Engine.AddTo(sum.Data[int(id)*sum.Cols:(int(id)+1)*sum.Cols], dx.Data[i*sum.Cols:(i+1)*sum.Cols])
			}
		}
	})}
	bias := func(c *graph.Ctx, sum kernel.Matrix, _ []kernel.Matrix, _ *passed, dp kernel.Matrix, _ []int32) {
		for i := range dp.Rows {
			c.Engine.AddTo(sum.Data, dp.Data[i*dp.Cols:(i+1)*dp.Cols])
		}
	}
	for i, d := range e.lstm {
		one := []int{i}
		grads = append(grads,
			op(d.wih, one, func(c *graph.Ctx, sum kernel.Matrix, _ []kernel.Matrix, s *passed, dp kernel.Matrix, _ []int32) {
				c.Engine.Gemm(sum, kernel.Product{A: dp, TransA: true, B: s.x, Accumulate: true})
			}),
			op(d.whh, one, func(c *graph.Ctx, sum kernel.Matrix, _ []kernel.Matrix, s *passed, dp kernel.Matrix, _ []int32) {
				c.Engine.Gemm(sum, kernel.Product{A: dp, TransA: true, B: s.before, Accumulate: true})
			}),
			op(d.bih, one, bias), op(d.bhh, one, bias))
	}
	return grads
}

// passed is what an LSTM computed of a text, by the text's tokens.
type passed struct {
	x      kernel.Matrix // [tokens, embedding]
	gates  kernel.Matrix // [tokens, 4·hidden], behind their activations
	cell   kernel.Matrix // [tokens, hidden]
	hidden kernel.Matrix
	before kernel.Matrix // hidden of the token that came before, zero for the first
	order  []int         // tokens as they came
}

func (p *passed) last() []float32 {
	h := p.hidden.Cols
	if len(p.order) == 0 {
		return make([]float32, h)
	}
	i := p.order[len(p.order)-1]
	return p.hidden.Data[i*h : (i+1)*h]
}

// pass reads a text. params: wih, whh, bih, bhh.
func (d direction) pass(k *kernel.Engine, words kernel.Matrix, params []kernel.Matrix, ids []int32) *passed {
	n, h, w := len(ids), d.whh.Cols, words.Cols
	mat := func(cols int) kernel.Matrix { return kernel.Mat(make([]float32, n*cols), n, cols) }
	p := &passed{x: mat(w), gates: mat(4 * h), cell: mat(h), hidden: mat(h), before: mat(h)}
	for i, id := range ids {
		copy(p.x.Data[i*w:(i+1)*w], words.Data[int(id)*w:(int(id)+1)*w])
		p.order = append(p.order, i)
	}
	if d.back {
		for i := range p.order {
			p.order[i] = n - 1 - i
		}
	}
	k.Gemm(p.gates, kernel.Product{A: p.x, B: params[0], TransB: true})
	last := make([]float32, h) // cell
	for t, i := range p.order {
		g := p.gates.Data[i*4*h : (i+1)*4*h]
		if t > 0 {
			j := p.order[t-1]
			copy(p.before.Data[i*h:(i+1)*h], p.hidden.Data[j*h:(j+1)*h])
			last = p.cell.Data[j*h : (j+1)*h]
			k.Gemm(kernel.Mat(g, 1, 4*h), kernel.Product{A: kernel.Mat(p.before.Data[i*h:(i+1)*h], 1, h), B: params[1], TransB: true, Accumulate: true})
		}
		for j := range g {
			g[j] += params[2].Data[j] + params[3].Data[j]
		}
		for j := range h {
			in, forget, cell, out := sigmoid(g[j]), sigmoid(g[h+j]), tanh(g[2*h+j]), sigmoid(g[3*h+j])
			g[j], g[h+j], g[2*h+j], g[3*h+j] = in, forget, cell, out
			c := forget*last[j] + in*cell
			p.cell.Data[i*h+j], p.hidden.Data[i*h+j] = c, out*tanh(c)
		}
	}
	return p
}

// backward is the gradient of the gates before their activations, [tokens,
// 4·hidden], from that of the last state.
func (d direction) backward(k *kernel.Engine, p *passed, params []kernel.Matrix, grad []float32) kernel.Matrix {
	n, h := len(p.order), len(grad)
	dp := kernel.Mat(make([]float32, n*4*h), n, 4*h)
	dh, dc := append([]float32(nil), grad...), make([]float32, h)
	for t := n - 1; t >= 0; t-- {
		i := p.order[t]
		g, out := p.gates.Data[i*4*h:(i+1)*4*h], dp.Data[i*4*h:(i+1)*4*h]
		for j := range h {
			in, forget, cell, o := g[j], g[h+j], g[2*h+j], g[3*h+j]
			th := tanh(p.cell.Data[i*h+j])
			last := float32(0)
			if t > 0 {
				last = p.cell.Data[p.order[t-1]*h+j]
			}
			dc[j] += dh[j] * o * (1 - th*th)
			out[j] = dc[j] * cell * in * (1 - in)
			out[h+j] = dc[j] * last * forget * (1 - forget)
			out[2*h+j] = dc[j] * in * (1 - cell*cell)
			out[3*h+j] = dh[j] * th * o * (1 - o)
			dc[j] *= forget
		}
		k.Gemm(kernel.Mat(dh, 1, h), kernel.Product{A: kernel.Mat(out, 1, 4*h), B: params[1]})
	}
	return dp
}

func sigmoid(x float32) float32 { return float32(1 / (1 + math.Exp(-float64(x)))) }
func tanh(x float32) float32    { return float32(math.Tanh(float64(x))) }
