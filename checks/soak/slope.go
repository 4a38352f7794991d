package main

import "slices"

// slope is that of the line that fits y over x best in the least squares; 0
// where x does not vary.
func slope(x, y []float64) float64 {
	mx, my := mean(x), mean(y)
	var xy, xx float64
	for i := range x {
		xy += (x[i] - mx) * (y[i] - my)
		xx += (x[i] - mx) * (x[i] - mx)
	}
	if xx == 0 {
		return 0
	}
	return xy / xx
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// bounds are the smallest and the largest value; v is not empty.
func bounds(v []float64) (lo, hi float64) { return slices.Min(v), slices.Max(v) }
