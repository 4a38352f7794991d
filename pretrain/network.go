package pretrain

import (
	"fmt"
	"math"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
)

// network is a model whose every weight is trained: the loss of a packed batch
// and its gradient as one graph.
type network struct {
	model   *lm.Model
	k       *kernel.Engine
	batch   packed
	loss    graph.Node
	machine *graph.Machine

	values, grads []float32 // of all weights, in the order of Params
	m, v          []float32
	steps         int
}

// newNetwork builds the graph for batches of at most maxRows rows. The model's
// weights move into one slice.
func newNetwork(model *lm.Model, k *kernel.Engine, maxRows int) (*network, error) {
	n := &network{model: model, k: k}
	size := model.Parameters()
	n.values, n.grads = make([]float32, size), make([]float32, size)
	n.m, n.v = make([]float32, size), make([]float32, size)
	b := graph.New(k)
	var params []graph.Node
	for i, own := range nn.Split(n.values, model.Params()) {
		p := model.Params()[i]
		values, err := p.Values()
		if err != nil {
			return nil, err
		}
		copy(own, values)
		if _, err := p.Replace(own); err != nil {
			return nil, err
		}
		params = append(params, b.Trainable(p))
	}
	tokens, ok := model.Param("transformer.wte.weight")
	positions, ok2 := model.Param("transformer.wpe.weight")
	if !ok || !ok2 {
		return nil, fmt.Errorf("pretrain: the model is no GPT-2: it lacks an embedding of tokens or positions")
	}
	n.batch.IDs.V, n.batch.positions.V = make([]int32, maxRows), make([]int32, maxRows) // bounds of the graph
	x := b.Add(b.Embed(tokens, &n.batch.IDs), b.Embed(positions, &n.batch.positions))
	n.batch.Want.Cap = maxRows
	x = lm.Blocks[graph.Node](b, model, x, 0, model.Config.Layers, &n.batch.Seq, &n.batch.Want)
	x = lm.FinalNorm[graph.Node](b, model, x)
	n.loss = b.CrossEntropyOf(b.MatMul(x, b.Trainable(tokens), true), &n.batch.labels).Sum
	grads := b.Grad([]graph.Node{n.loss}, params...)
	var err error
	if n.machine, err = b.Compile(append([]graph.Node{n.loss}, grads...)...); err != nil {
		return nil, fmt.Errorf("pretrain: %w", err)
	}
	for i, part := range nn.Split(n.grads, model.Params()) {
		n.machine.Bind(grads[i], part)
	}
	return n, nil
}

// step is one optimiser step on a batch (AdamW: Loshchilov and Hutter 2019); it
// returns the loss before it.
func (n *network) step(batch []sentence, c *TrainConfig, lr float64) (float64, error) {
	whole := int(math.Round(c.ContextShare * float64(len(batch))))
	n.batch.set(batch, whole, float32(c.ContextWeight))
	if err := n.machine.Run(false); err != nil {
		return 0, err
	}
	loss := 0.0
	for _, l := range n.machine.Value(n.loss).Data[:len(n.batch.labels.IDs)] {
		loss += float64(l)
	}
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return 0, fmt.Errorf("step %d: the loss is %v; lower train.lr", n.steps+1, loss)
	}
	scale := 1.0
	if norm := math.Sqrt(n.k.SumSquares(n.grads)); norm > c.GradClip {
		scale = c.GradClip / norm
	}
	for i, part := range nn.Split(n.values, n.model.Params()) {
		if n.model.Params()[i].Rows > 1 {
			n.k.Scale(part, float32(1-lr*c.WeightDecay))
		}
	}
	n.steps++
	adam := kernel.NewAdam(lr)
	adam.Beta2 = float32(c.Beta2)
	n.k.AdamStep(n.values, n.grads, n.m, n.v, adam, n.steps, float32(scale))
	return loss, nil
}

// rate is the learning rate of a step, counted from 0.
func (c *TrainConfig) rate(step, steps int) float64 {
	if step < c.Warmup {
		return c.LR * float64(step+1) / float64(c.Warmup)
	}
	const least = 0.01 // of the highest rate
	done := float64(step-c.Warmup) / float64(max(steps-c.Warmup, 1))
	return c.LR * (least + (1-least)*(1+math.Cos(math.Pi*done))/2)
}
