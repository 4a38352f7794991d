package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func testRotation(headDim, rotary int, interleaved bool, positions int) *Rotation {
	r := &Rotation{HeadDim: headDim, Rotary: rotary, Interleaved: interleaved}
	for p := range positions {
		for i := range rotary / 2 {
			angle := float64(p) * math.Pow(10000, -2*float64(i)/float64(rotary))
			r.Cos = append(r.Cos, float32(math.Cos(angle)))
			r.Sin = append(r.Sin, float32(math.Sin(angle)))
		}
	}
	return r
}

func TestRotateTurnsPairsAndInverseTurnsBack(t *testing.T) {
	const rows, heads = 5, 3
	eachLevel(t, func(t *testing.T) {
		e := testEngine(t, 2)
		rng := rand.New(rand.NewPCG(7, 8))
		for _, dims := range [][2]int{{8, 8}, {8, 4}, {64, 64}, {80, 32}, {64, 16}, {70, 66}} {
			for _, interleaved := range []bool{false, true} {
				name := fmt.Sprintf("head %d, rotary %d, interleaved %v: ", dims[0], dims[1], interleaved)
				r := testRotation(dims[0], dims[1], interleaved, 12)
				pos := []int32{0, 11, 3, 3, 1}
				x := randomRow(rng, rows*heads*dims[0], 1)
				want := widened(x)
				half := dims[1] / 2
				for row := range rows {
					for h := range heads {
						at := (row*heads + h) * dims[0]
						for i := range half {
							a, b := at+i, at+i+half
							if interleaved {
								a, b = at+2*i, at+2*i+1
							}
							k := int(pos[row])*half + i
							c, s := float64(r.Cos[k]), float64(r.Sin[k])
							xa, xb := want[a], want[b]
							want[a], want[b] = xa*c-xb*s, xb*c+xa*s
						}
					}
				}
				y := make([]float32, len(x))
				e.Rotate(y, x, heads, pos, r, false, rows)
				closeTo(t, name+"y", y, want, 1e-6)
				inPlace := append([]float32(nil), x...)
				e.Rotate(inPlace, inPlace, heads, pos, r, false, rows)
				sameBits(t, name+"in place", y, inPlace)
				e.Rotate(y, y, heads, pos, r, true, rows)
				closeTo(t, name+"turned back", y, widened(x), 1e-6)
			}
		}
	})
}
