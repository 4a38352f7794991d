package keyvalue

import (
	"math"

	"gorgonia.org/gorgonia"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/nn/graph"
)

// headRows bounds the rows whose logits are in memory at once.
const headRows = 96

// objective is the loss of one optimisation at the head: for the wanted rows,
// first those with labels, then the essence prompt's.
type objective struct {
	ids     []int32 // labels; -1 for the essence row, the last
	share   float32 // weight of a label
	klShare float32 // weight of the divergence
	first   []float64
}

// head makes one row of [loss, hit, gradient by x] for each row of x [rows,
// width]. The loss of a row with a label is −log p(label), hit is 1 where the
// label is the most probable token; that of the essence row is KL(p ‖ p₀), where
// p₀ is its distribution in the first run. The gradient is weighted.
func (j *objective) head(b *graph.Builder, e *lmHead, x graph.Node) (sum, rows graph.Node) {
	d := x.Shape()[1]
	rows = b.Apply(&graph.Op{
		Name: "value.head", Cols: d + 2,
		Run: func(c *graph.Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			for lo := 0; lo < in[0].Rows; lo += headRows {
				hi := min(in[0].Rows, lo+headRows)
				if err := j.chunk(c, e, out, in[0], lo, hi); err != nil {
					return err
				}
			}
			return nil
		},
	}, x)
	sum = b.Apply(&graph.Op{
		Name: "value.loss", Cols: 1, WRT: []bool{true, false},
		Run: func(_ *graph.Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
			for i := range in[1].Rows {
				out.Data[i] = in[1].Data[i*(d+2)]
			}
			return nil
		},
		Diff: func(_ gorgonia.Nodes, _, grad graph.Node) gorgonia.Nodes {
			return gorgonia.Nodes{b.Apply(&graph.Op{
				Name: "value.grad", Cols: d,
				Run: func(c *graph.Ctx, out *kernel.Matrix, in []kernel.Matrix) error {
					for i := range in[0].Rows {
						row := out.Data[i*d : (i+1)*d]
						copy(row, in[1].Data[i*(d+2)+2:(i+1)*(d+2)])
						c.Engine.Scale(row, in[0].Data[i])
					}
					return nil
				},
			}, grad, rows), nil}
		},
	}, x, rows)
	return sum, rows
}

// chunk computes rows [lo, hi) of head.
func (j *objective) chunk(c *graph.Ctx, h *lmHead, out *kernel.Matrix, x kernel.Matrix, lo, hi int) error {
	w, trans, bias, err := h.values(c.Engine)
	if err != nil {
		return err
	}
	n, vocab, d := hi-lo, h.l.Out, x.Cols
	scratch := c.Scratch(n*vocab + 3*n)
	logits := kernel.Mat(scratch[:n*vocab], n, vocab)
	nll, lse, share := scratch[n*vocab:n*vocab+n], scratch[n*vocab+n:n*vocab+2*n], scratch[n*vocab+2*n:]
	c.Engine.Gemm(logits, kernel.Product{A: eager.RowsOf(x, nn.Range{Lo: lo, Hi: hi}), B: w, TransB: trans})
	if bias != nil {
		eager.AddBias(c.Engine, logits, bias)
	}
	best := make([]int32, n)
	c.Engine.ArgMax(best, logits.Data, n, vocab)
	ids := j.ids[lo:hi]
	c.Engine.CrossEntropy(nll, lse, logits.Data, ids, n, vocab)
	for i := range share {
		share[i] = j.share
	}
	if ids[n-1] < 0 { // the essence row
		row := logits.Data[(n-1)*vocab:]
		nll[n-1] = float32(j.divergence(row, float64(lse[n-1])))
	}
	for i := range n {
		out.Data[(lo+i)*out.Cols] = nll[i]
		out.Data[(lo+i)*out.Cols+1] = 0
		if best[i] == ids[i] {
			out.Data[(lo+i)*out.Cols+1] = 1
		}
	}
	labelled := n
	if ids[n-1] < 0 {
		labelled--
	}
	c.Engine.CrossEntropyGrad(logits.Data, logits.Data, lse, ids[:labelled], share, labelled, vocab)
	grad := kernel.Matrix{Rows: n, Cols: d, Stride: out.Cols, Data: out.Data[lo*out.Cols+2:]}
	c.Engine.Gemm(grad, kernel.Product{A: logits, B: w, TransB: !trans})
	return nil
}

// divergence is KL(p ‖ p₀) of a row of logits, which becomes the weighted
// gradient p·(log p − log p₀ − KL). The first row ever is p₀.
func (j *objective) divergence(row []float32, lse float64) float64 {
	if j.first == nil {
		j.first = make([]float64, len(row))
		for i, v := range row {
			j.first[i] = float64(v) - lse
		}
	}
	kl := 0.0
	for i, v := range row {
		logP := float64(v) - lse
		kl += math.Exp(logP) * (logP - j.first[i])
	}
	for i, v := range row {
		logP := float64(v) - lse
		row[i] = float32(float64(j.klShare) * math.Exp(logP) * (logP - j.first[i] - kl))
	}
	return kl
}
