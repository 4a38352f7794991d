package kernel

// The plain Go forms round every product, so they agree with the assembly bit
// for bit.

// at is (q+Bias)*Gain + Shift in column i, and q+Bias.
func (a *Affine) at(i int, q float32) (x, sum float32) {
	sum = q + a.Bias[i]
	return float32(sum*a.Gain[i]) + a.Shift[i], sum
}

func clampGo(y, q []float32, a Affine) {
	for i, v := range q {
		x, _ := a.at(i, v)
		if x < a.Floor {
			x = a.Floor
		}
		y[i] = x
	}
}

func clampGradGo(dq, dy, q []float32, a Affine) {
	for i, v := range q {
		g := float32(0)
		if x, _ := a.at(i, v); x >= a.Floor {
			g = dy[i]
		}
		dq[i] = g * a.Gain[i]
	}
}

func clampShiftSumsGo(out, dy, q []float32, stride, rows int, a Affine) {
	for i := range out {
		s := float32(0)
		for r := range rows {
			if x, _ := a.at(i, q[r*stride+i]); x >= a.Floor {
				s += dy[r*stride+i]
			}
		}
		out[i] += s
	}
}

func clampGainSumsGo(out, dy, q []float32, stride, rows int, a Affine) {
	for i := range out {
		s := float32(0)
		for r := range rows {
			if x, sum := a.at(i, q[r*stride+i]); x >= a.Floor {
				s += float32(dy[r*stride+i] * sum)
			}
		}
		out[i] += s
	}
}
