package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestAdamAgreesWithReferenceAndLevelsAgreeToTheBit(t *testing.T) {
	a := Adam{LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}
	const n, gscale = 70, 0.7
	var first []float32
	eachLevel(t, func(t *testing.T) {
		e := testEngine(t, 2)
		rng := rand.New(rand.NewPCG(23, 24))
		w, m, v := randomRow(rng, n, 1), make([]float32, n), make([]float32, n)
		ww, mw, vw := widened(w), make([]float64, n), make([]float64, n)
		for step := 1; step <= 50; step++ {
			g := randomRow(rng, n, 0.1)
			g[0] = 0
			for i, x := range g {
				d := float64(x) * gscale
				mw[i] = 0.9*mw[i] + 0.1*d
				vw[i] = 0.999*vw[i] + 0.001*d*d
				mhat := mw[i] / (1 - math.Pow(0.9, float64(step)))
				vhat := vw[i] / (1 - math.Pow(0.999, float64(step)))
				ww[i] -= 1e-3 * mhat / (math.Sqrt(vhat) + 1e-8)
			}
			e.AdamStep(w, g, m, v, a, step, gscale)
			sameBits(t, "gradient after the step", g, make([]float32, n))
		}
		closeTo(t, "w", w, ww, 1e-6)
		closeTo(t, "m", m, mw, 1e-6)
		closeTo(t, "v", v, vw, 1e-6)
		if first == nil {
			first = w
		}
		sameBits(t, "w", w, first)
	})
}
