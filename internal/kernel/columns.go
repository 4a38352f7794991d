package kernel

// AddBias adds b [y.Cols] to every row of y.
func (e *Engine) AddBias(y Matrix, b []float32) {
	e.For(y.Rows, 16, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			e.AddTo(y.Data[i*y.Stride:i*y.Stride+y.Cols], b)
		}
	})
}

// PickColumns copies the columns idx of x into y: [x.Rows, len(idx)].
func (e *Engine) PickColumns(y, x Matrix, idx []int32) {
	e.For(x.Rows, 8, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			src, dst := x.Data[i*x.Stride:i*x.Stride+x.Cols], y.Data[i*y.Stride:i*y.Stride+y.Cols]
			if contiguous(idx) {
				copy(dst, src[idx[0]:])
				continue
			}
			for j, c := range idx {
				dst[j] = src[c]
			}
		}
	})
}

func contiguous(idx []int32) bool {
	return len(idx) > 0 && int(idx[len(idx)-1]-idx[0]) == len(idx)-1 && (len(idx) < 3 || idx[1] == idx[0]+1)
}
