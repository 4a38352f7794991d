package lm

import (
	"testing"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
)

// TestBothInterpretersGiveTheSameBytes runs every architecture's blocks at
// once and as a graph.
func TestBothInterpretersGiveTheSameBytes(t *testing.T) {
	eachTiny(t, func(t *testing.T, m *Model) {
		o := testOps(t)
		var ids nn.IDs
		var lengths []int
		for _, text := range tinyTexts(m) {
			ids.V, lengths = append(ids.V, text...), append(lengths, len(text))
		}
		s := nn.Pack(lengths...)
		x := Embed[kernel.Matrix](o, m, &ids, s)
		want := FinalNorm[kernel.Matrix](o, m, Blocks[kernel.Matrix](o, m, x, 0, m.Config.Layers, s, nil))
		if err := o.Err(); err != nil {
			t.Fatal(err)
		}
		b := graph.New(o.Engine())
		in := b.Input("x", x.Rows+5, x.Cols)
		y := FinalNorm[graph.Node](b, m, Blocks[graph.Node](b, m, in, 0, m.Config.Layers, s, nil))
		machine, err := b.Compile(y)
		if err != nil {
			t.Fatal(err)
		}
		machine.Set(in, x)
		if err := machine.Run(false); err != nil {
			t.Fatal(err)
		}
		got := machine.Value(y)
		sameFloats(t, "final states", got.Data[:got.Rows*got.Cols], want.Data)
	})
}

// meanNLL is the mean loss of predicting labels from logits [rows, vocab],
// one weight for each row.
func meanNLL(b *graph.Builder, logits graph.Node, labels []int32, weight []float32) graph.Node {
	vocab := logits.Shape()[1]
	lse := make([]float32, len(labels))
	backward := &graph.Kind{
		Name: "nll.grad",
		Host: func(c *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
			c.Engine.CrossEntropyGrad(out.Data, in[0].Data, lse, labels, weight, in[0].Rows, vocab)
			return nil
		},
	}
	return b.Apply(&graph.Op{Cols: 1, Kind: &graph.Kind{
		Name: "nll",
		Host: func(c *graph.Ctx, _ *graph.Op, out *kernel.Matrix, in []kernel.Matrix) error {
			c.Engine.CrossEntropy(out.Data[:in[0].Rows], lse, in[0].Data, labels, in[0].Rows, vocab)
			for i := range labels {
				out.Data[i] *= weight[i]
			}
			return nil
		},
		Grad: func(b *graph.Builder, _ *graph.Op, in []graph.Node, _, _ graph.Node) []graph.Node {
			return []graph.Node{b.Apply(&graph.Op{Kind: backward, Cols: vocab}, in[0])}
		},
	}}, logits)
}

// TestGoldenGradients differentiates the mean loss of sequence a with respect
// to the weights whose gradients are given.
func TestGoldenGradients(t *testing.T) {
	compared := 0
	for _, g := range goldenCases(t) {
		if len(g.notes.Gradients) == 0 {
			continue
		}
		t.Run(g.name, func(t *testing.T) {
			m := g.load(t)
			for sequence := range g.notes.Sequences {
				for name, got := range gradients(t, m, g.ids(t, sequence+".input_ids"), g.notes.Gradients) {
					agrees(t, sequence+".grad."+name, got, g.floats(t, sequence+".grad."+name), goldenAbsolute, goldenRelative)
					compared++
				}
			}
		})
	}
	if compared == 0 {
		t.Error("no gradient was compared")
	}
}

func gradients(t *testing.T, m *Model, ids []int32, names []string) map[string][]float32 {
	b := graph.New(testOps(t).Engine())
	for _, p := range m.Params() {
		b.Trainable(p)
	}
	s := nn.Pack(len(ids))
	x := Forward[graph.Node](b, m, &nn.IDs{V: ids}, s, nil)
	head := m.Head()
	logits := b.MatMul(x, b.Trainable(head.W), !head.InOut)
	if head.B != nil {
		logits = b.AddBias(logits, b.Trainable(head.B))
	}
	labels, weight := make([]int32, len(ids)), make([]float32, len(ids))
	for i := range ids {
		labels[i] = -1
		if i+1 < len(ids) {
			labels[i], weight[i] = ids[i+1], 1/float32(len(ids)-1)
		}
	}
	var wrt []graph.Node
	for _, name := range names {
		p, ok := m.Param(name)
		if !ok {
			t.Fatalf("no weight %s", name)
		}
		wrt = append(wrt, b.Trainable(p))
	}
	loss := meanNLL(b, logits, labels, weight)
	grads := b.Grad([]graph.Node{loss}, wrt...)
	machine, err := b.Compile(append([]graph.Node{loss}, grads...)...) // the gradient reads what the loss leaves behind
	if err != nil {
		t.Fatal(err)
	}
	if err := machine.Run(false); err != nil {
		t.Fatal(err)
	}
	out := map[string][]float32{}
	for i, name := range names {
		v := machine.Value(grads[i])
		out[name] = v.Data[:v.Rows*v.Cols]
	}
	return out
}
