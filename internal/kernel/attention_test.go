package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// refAttend is attention in float64, written row by row.
func refAttend(q, k, v []float64, a Attention, segs []Segment) []float64 {
	qs, ks := a.Heads*a.HeadDim, a.KVHeads*a.HeadDim
	out := make([]float64, len(q))
	for _, s := range segs {
		for i := range s.QLen {
			for h := range a.Heads {
				qrow := q[(s.Q+i)*qs+h*a.HeadDim:][:a.HeadDim]
				kv := h / (a.Heads / a.KVHeads) * a.HeadDim
				at := s.KLen - s.QLen + i
				var weights []float64
				var rows []int
				total := 0.0
				for j := range s.KLen {
					if !a.Full && (j > at || a.Window > 0 && j <= at-a.Window) {
						continue
					}
					score := 0.0
					for d, x := range qrow {
						score += x * k[(s.K+j)*ks+kv+d]
					}
					score *= float64(a.Scale)
					if a.Cap > 0 {
						score = float64(a.Cap) * math.Tanh(score/float64(a.Cap))
					}
					w := math.Exp(score)
					total += w
					weights, rows = append(weights, w), append(rows, s.K+j)
				}
				for n, w := range weights {
					for d := range a.HeadDim {
						out[(s.Q+i)*qs+h*a.HeadDim+d] += w / total * v[rows[n]*ks+kv+d]
					}
				}
			}
		}
	}
	return out
}

var attentionCases = []struct {
	name         string
	a            Attention
	segs         []Segment
	qRows, kRows int
}{
	{"causal, two sequences", Attention{Heads: 2, KVHeads: 2, HeadDim: 4}, []Segment{{0, 3, 0, 3}, {3, 5, 3, 5}}, 8, 8},
	{"grouped heads", Attention{Heads: 4, KVHeads: 2, HeadDim: 8}, []Segment{{0, 4, 0, 4}}, 4, 4},
	{"one query after many keys", Attention{Heads: 2, KVHeads: 1, HeadDim: 16}, []Segment{{0, 1, 0, 19}}, 1, 19},
	{"window of 3", Attention{Heads: 1, KVHeads: 1, HeadDim: 16, Window: 3}, []Segment{{0, 20, 0, 20}}, 20, 20},
	{"window of 18, more keys", Attention{Heads: 1, KVHeads: 1, HeadDim: 4, Window: 18}, []Segment{{0, 4, 0, 40}}, 4, 40},
	{"window of 5, capped", Attention{Heads: 4, KVHeads: 2, HeadDim: 8, Window: 5, Cap: 0.7}, []Segment{{0, 20, 0, 20}}, 20, 20},
	{"capped, later keys", Attention{Heads: 1, KVHeads: 1, HeadDim: 16, Cap: 2}, []Segment{{0, 3, 0, 37}}, 3, 37},
	{"full", Attention{Heads: 2, KVHeads: 2, HeadDim: 4, Full: true}, []Segment{{0, 3, 0, 3}, {3, 2, 3, 6}}, 5, 9},
	{"shared keys", Attention{Heads: 2, KVHeads: 1, HeadDim: 4}, []Segment{{4, 2, 0, 6}, {0, 4, 0, 4}, {6, 1, 5, 3}, {7, 1, 8, 1}}, 8, 9},
	{"head of 64", Attention{Heads: 1, KVHeads: 1, HeadDim: 64}, []Segment{{0, 5, 0, 5}}, 5, 5},
	{"head of 20", Attention{Heads: 1, KVHeads: 1, HeadDim: 20}, []Segment{{0, 3, 0, 18}}, 3, 18},
}

func TestAttentionAgreesWithReferenceAndDifferences(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		e := testEngine(t, 2)
		for _, c := range attentionCases {
			t.Run(c.name, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(9, 10))
				a := c.a
				a.Scale = float32(1 / math.Sqrt(float64(a.HeadDim)))
				q := randomRow(rng, c.qRows*a.Heads*a.HeadDim, 1)
				k := randomRow(rng, c.kRows*a.KVHeads*a.HeadDim, 1)
				v := randomRow(rng, len(k), 1)
				dout := randomRow(rng, len(q), 1)
				out := make([]float32, len(q))
				e.Attend(out, q, k, v, a, c.segs)
				qw, kw, vw := widened(q), widened(k), widened(v)
				closeTo(t, "out", out, refAttend(qw, kw, vw, a, c.segs), 2e-6)

				dq, dk, dv := randomRow(rng, len(q), 1), randomRow(rng, len(k), 1), randomRow(rng, len(k), 1)
				e.AttendGrad(dq, dk, dv, q, k, v, dout, a, c.segs)
				closeTo(t, "dq", dq, slope(func(q []float64) float64 { return refDot(refAttend(q, kw, vw, a, c.segs), dout) }, q), 1e-5)
				closeTo(t, "dk", dk, slope(func(k []float64) float64 { return refDot(refAttend(qw, k, vw, a, c.segs), dout) }, k), 1e-5)
				closeTo(t, "dv", dv, slope(func(v []float64) float64 { return refDot(refAttend(qw, kw, v, a, c.segs), dout) }, v), 1e-5)
			})
		}
	})
}

func TestAttentionLeavesOtherRowsAlone(t *testing.T) {
	e := testEngine(t, 1)
	a := Attention{Heads: 1, KVHeads: 1, HeadDim: 4, Scale: 1}
	rng := rand.New(rand.NewPCG(11, 12))
	q, k, v := randomRow(rng, 16, 1), randomRow(rng, 16, 1), randomRow(rng, 16, 1)
	seg := []Segment{{1, 2, 1, 2}}
	for i, x := range [][]float32{make([]float32, 16), make([]float32, 16), make([]float32, 16), make([]float32, 16)} {
		before := append([]float32(nil), x...)
		switch i {
		case 0:
			e.Attend(x, q, k, v, a, seg)
		case 1:
			e.AttendGrad(x, make([]float32, 16), make([]float32, 16), q, k, v, q, a, seg)
		case 2:
			e.AttendGrad(make([]float32, 16), x, make([]float32, 16), q, k, v, q, a, seg)
		case 3:
			e.AttendGrad(make([]float32, 16), make([]float32, 16), x, q, k, v, q, a, seg)
		}
		sameBits(t, "first row", x[:4], before[:4])
		sameBits(t, "last row", x[12:], before[12:])
	}
}

func TestQueryAloneGivesTheBytesItGivesInItsSequence(t *testing.T) {
	eachLevel(t, func(t *testing.T) {
		e := testEngine(t, 1)
		for _, n := range []int{5, 16, 33, 70} {
			for _, window := range []int{0, 7, 20} {
				rng := rand.New(rand.NewPCG(13, uint64(n)))
				a := Attention{Heads: 2, KVHeads: 1, HeadDim: 64, Scale: 0.125, Window: window}
				q, k, v := randomRow(rng, n*128, 1), randomRow(rng, n*64, 1), randomRow(rng, n*64, 1)
				all, one := make([]float32, len(q)), make([]float32, len(q))
				e.Attend(all, q, k, v, a, []Segment{{0, n, 0, n}})
				for i := range n {
					e.Attend(one, q, k, v, a, []Segment{{i, 1, 0, i + 1}})
				}
				sameBits(t, fmt.Sprintf("%d tokens, window %d", n, window), all, one)
			}
		}
	})
}
