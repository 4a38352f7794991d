package keyvalue

import (
	"math"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn/graph"
)

// objective is the loss of one optimisation at the head. The loss of a row with a
// label is −log p(label), a hit one whose label is the most probable token; that
// of the essence row is KL(p ‖ p₀), where p₀ is its distribution in the first run.
type objective struct {
	ids     []int32 // labels; -1 for the essence row, the last
	share   float32 // weight of a label
	klShare float32 // weight of the divergence
	first   []float64
}

var _ graph.RowLoss = (*objective)(nil)

// Weight implements graph.RowLoss.
func (j *objective) Weight(row int) float32 {
	if j.ids[row] < 0 {
		return j.klShare
	}
	return j.share
}

// Score implements graph.RowLoss.
func (j *objective) Score(k *kernel.Engine, c *graph.Chunk) {
	n, vocab := c.Logits.Rows, c.Logits.Cols
	lse, share, best := make([]float32, n), make([]float32, n), make([]int32, n)
	ids := j.ids[c.Lo : c.Lo+n]
	k.ArgMax(best, c.Logits.Data, n, vocab)
	k.CrossEntropy(c.Loss, lse, c.Logits.Data, ids, n, vocab)
	labelled := n
	if ids[n-1] < 0 {
		labelled--
		c.Loss[labelled] = float32(j.divergence(c.Logits.Data[labelled*vocab:n*vocab], float64(lse[labelled])))
	}
	for i := range n {
		share[i], c.Hit[i] = j.share, best[i] == ids[i]
	}
	k.CrossEntropyGrad(c.Logits.Data, c.Logits.Data, lse, ids[:labelled], share, labelled, vocab)
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
