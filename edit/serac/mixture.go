package serac

import (
	"math"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn/graph"
)

// mixture is what rows are asked of both models: their probabilities, weighed by
// how likely the query is in scope.
type mixture struct {
	labels graph.Labels
	kept   []bool
	pair   []int     // of each row
	base   []float32 // the base model's logits, [rows, vocab]
}

// mixedRow is what the mixture makes of a row.
type mixedRow struct {
	loss  float64 // −ln of the label's probability, or KL(base ‖ mixture) of a kept row
	slope float64 // of the loss over s
	right bool    // the most probable token is the label, or the base model's
}

// row computes row i from the counterfactual model's logits h and s, the log of
// the similarity; dh, if not nil, gets the loss's gradient over h. Both are [vocab].
func (m *mixture) row(i int, h []float32, s float32, dh []float32) mixedRow {
	f := m.base[i*len(h) : (i+1)*len(h)]
	p := math.Exp(float64(s))
	topF, logF := kernel.LogSum64(f)
	_, logH := kernel.LogSum64(h)
	var out mixedRow
	sum, dp, inner, most := 0.0, 0.0, 0.0, math.Inf(-1)
	best := int32(-1)
	label := m.labels.IDs[i]
	for v := range h {
		a, c := math.Exp(float64(f[v])-logF), math.Exp(float64(h[v])-logH)
		q := (1-p)*a + p*c + floor
		if q > most {
			most, best = q, int32(v)
		}
		g := 0.0 // slope over q
		switch {
		case m.kept[i]:
			sum += a * (float64(f[v]) - logF - math.Log(q))
			g = -a / q
		case int32(v) == label:
			sum -= math.Log(q)
			g = -1 / q
		}
		dp += g * (c - a)
		inner += g * c
		if dh != nil {
			dh[v] = float32(g)
		}
	}
	out.loss = sum + math.Log1p(floor*float64(len(h))) // the mixture adds up to a little more than 1
	out.slope = dp * p
	out.right = best == label
	if m.kept[i] {
		out.right = best == topF
	}
	for v := range dh {
		c := math.Exp(float64(h[v]) - logH)
		dh[v] = float32(p * c * (float64(dh[v]) - inner))
	}
	return out
}
