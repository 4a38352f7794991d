package kernel

// Rotation holds the tables of rotary position embedding (Su et al. 2021,
// arXiv:2104.09864). Dimensions from Rotary on are left as they are.
type Rotation struct {
	HeadDim     int       // elements per head
	Rotary      int       // how many of them turn; even
	Interleaved bool      // pairs (2i, 2i+1), as GPT-J; else (i, i+Rotary/2), as Llama
	Cos, Sin    []float32 // [positions, Rotary/2]
}

// Rotate turns the pairs of each head of each row by the angles of the row's
// position, or back when inverse is set, which is also the gradient. y, x:
// [rows, heads*HeadDim]; pos: [rows]; y may be x.
func (e *Engine) Rotate(y, x []float32, heads int, pos []int32, r *Rotation, inverse bool, rows int) {
	width, half := heads*r.HeadDim, r.Rotary/2
	e.For(rows, rowGrain(width), func(lo, hi int) {
		back := make([]float32, half)
		for i := lo; i < hi; i++ {
			p := int(pos[i]) * half
			cos, sin := r.Cos[p:p+half], r.Sin[p:p+half]
			if inverse {
				for j, s := range sin {
					back[j] = -s
				}
				sin = back
			}
			for at := i * width; at < (i+1)*width; at += r.HeadDim {
				yh, xh := y[at:at+r.HeadDim], x[at:at+r.HeadDim]
				if r.Interleaved {
					rotateInterleaved(yh, xh, cos, sin)
				} else {
					rotate(yh[:half], yh[half:2*half], xh[:half], xh[half:2*half], cos, sin)
				}
				copy(yh[2*half:], xh[2*half:])
			}
		}
	})
}

func rotateInterleaved(y, x, cos, sin []float32) {
	for i, c := range cos {
		a, b, s := x[2*i], x[2*i+1], sin[i]
		y[2*i] = a*c - b*s
		y[2*i+1] = b*c + a*s
	}
}
