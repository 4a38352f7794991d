package wise

import (
	"math"
	"slices"
)

// ties merges changes of a matrix, each counting by its weight (Yadav et al.
// 2023): of each the largest entries are kept, a share density of all; each entry
// takes the sign of the weighted sum, 0 counting as positive; what has that sign
// is averaged.
func ties(changes [][]float32, weights []float64, density float64) []float32 {
	n := len(changes[0])
	kept := make([][]float32, len(changes))
	for i, c := range changes {
		kept[i] = largest(c, int(density*float64(n)))
	}
	out := make([]float32, n)
	for j := range out {
		sum := 0.0
		for i := range kept {
			sum += weights[i] * float64(kept[i][j])
		}
		sign := 1.0
		if sum < 0 {
			sign = -1
		}
		total, share := 0.0, 0.0
		for i := range kept {
			if v := float64(kept[i][j]); v*sign > 0 {
				total += weights[i] * v
				share += weights[i]
			}
		}
		if share > 0 {
			out[j] = float32(total / share)
		}
	}
	return out
}

// largest is c with all but its n largest magnitudes zero.
func largest(c []float32, n int) []float32 {
	out := make([]float32, len(c))
	if n <= 0 {
		return out
	}
	order := make([]float64, len(c))
	for i, v := range c {
		order[i] = -math.Abs(float64(v))
	}
	slices.Sort(order)
	limit := -order[min(n, len(order))-1]
	above := 0 // entries that are larger than the last one kept
	for _, v := range c {
		if math.Abs(float64(v)) > limit {
			above++
		}
	}
	for i, v := range c {
		switch a := math.Abs(float64(v)); {
		case a > limit:
			out[i] = v
		case a == limit && above < n: // of equal ones the first
			out[i] = v
			above++
		}
	}
	return out
}
