package wise

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
)

// algorithm is a way to merge changes of a matrix, each counting by its weight:
// which entries of each are taken, whether they have to agree in sign, and what the
// weighted sum is divided by.
type algorithm struct {
	name   string
	sparse string // "": all entries; largest or drawn: a share density of them
	elect  bool   // each entry has the sign of the weighted sum, 0 counting as positive
	mean   bool   // of what was taken; else the sum
}

const (
	largestOnes = "largest"
	drawn       = "drawn" // at random, grown so that their mean stays (Yu et al. 2023)
)

// Names of algorithms that are called by name.
const (
	tiesName  = "ties"
	slerpName = "slerp"
)

// algorithms are EasyEdit's, beside slerp. ties is Yadav et al. 2023.
func algorithms() []algorithm {
	return []algorithm{
		{tiesName, largestOnes, true, true}, {"magnitude", largestOnes, false, false}, {"magnitude_norm", largestOnes, false, true},
		{"sign", "", true, true}, {"linear", "", false, false}, {"dare_ties", drawn, true, false}, {"dare_linear", drawn, false, false},
	}
}

// find is the algorithm of a name; ok is also true for slerp, which is none of them.
func find(name string) (a algorithm, ok bool) {
	list := algorithms()
	i := slices.IndexFunc(list, func(a algorithm) bool { return a.name == name })
	if i < 0 {
		return algorithm{}, name == slerpName
	}
	return list[i], true
}

// mergeNames lists the names.
func mergeNames() string {
	var names []string
	for _, a := range algorithms() {
		names = append(names, a.name)
	}
	return strings.Join(append(names, slerpName), ", ")
}

// merge makes one change of several; rng draws entries where that is asked for.
func (a algorithm) merge(changes [][]float32, weights []float64, density float64, rng *rand.Rand) []float32 {
	n := len(changes[0])
	kept := make([][]float32, len(changes))
	for i, c := range changes {
		switch kept[i] = c; a.sparse {
		case largestOnes:
			kept[i] = largest(c, int(density*float64(n)))
		case drawn:
			kept[i] = sample(c, density, rng)
		}
	}
	all := 0.0
	for _, w := range weights {
		all += w
	}
	out := make([]float32, n)
	for j := range out {
		sum := 0.0
		for i := range kept {
			sum += weights[i] * float64(kept[i][j])
		}
		share := all
		if a.elect {
			sum, share = elected(kept, weights, j, sum)
		}
		if a.mean && share > 0 {
			sum /= share
		}
		out[j] = float32(sum)
	}
	return out
}

// elected is the weighted sum of the entries j that have the sign of sum, and their
// weights together.
func elected(kept [][]float32, weights []float64, j int, sum float64) (total, share float64) {
	sign := 1.0
	if sum < 0 {
		sign = -1
	}
	for i := range kept {
		if v := float64(kept[i][j]); v*sign > 0 {
			total += weights[i] * v
			share += weights[i]
		}
	}
	return total, share
}

// sample is c with each entry kept with a chance of density and divided by it, else
// zero.
func sample(c []float32, density float64, rng *rand.Rand) []float32 {
	out := make([]float32, len(c))
	for i, v := range c {
		if rng.Float64() < density {
			out[i] = float32(float64(v) / density)
		}
	}
	return out
}

// slerp goes from the matrix base towards base + change, a share t along the arc
// between their directions; nearly parallel ones along the line.
func slerp(base, change []float32, t float64) []float32 {
	const parallel = 0.9995
	dot, aa, bb := 0.0, 0.0, 0.0
	for i, v := range base {
		x, y := float64(v), float64(v)+float64(change[i])
		dot, aa, bb = dot+x*y, aa+x*x, bb+y*y
	}
	from, to := 1-t, t
	if cosine := dot / math.Sqrt(aa*bb); math.Abs(cosine) <= parallel {
		angle := math.Acos(cosine)
		from, to = math.Sin((1-t)*angle)/math.Sin(angle), math.Sin(t*angle)/math.Sin(angle)
	}
	out := make([]float32, len(base))
	for i, v := range base {
		out[i] = float32((from+to-1)*float64(v) + to*float64(change[i]))
	}
	return out
}

// combine merges changes by the rules' algorithm; number tells merges apart.
func (m *Memory) combine(changes [][]float32, weights []float64, number int) ([]float32, error) {
	if m.Rules.Algorithm == slerpName {
		if len(m.matrix) != len(changes[0]) {
			return nil, fmt.Errorf("merge_alg: slerp needs the matrix itself")
		}
		sum := make([]float32, len(m.matrix)) // the change so far
		for i, c := range changes {
			at, rest := make([]float32, len(c)), make([]float32, len(c))
			for j := range c {
				at[j], rest[j] = m.matrix[j]+sum[j], c[j]-sum[j]
			}
			for j, v := range slerp(at, rest, weights[i]) {
				sum[j] += v
			}
		}
		return sum, nil
	}
	name := m.Rules.Algorithm
	if name == "" {
		name = tiesName
	}
	a, ok := find(name)
	if !ok {
		return nil, fmt.Errorf("merge_alg: %q is none of %s", name, mergeNames())
	}
	const stream = 0x64617265
	return a.merge(changes, weights, m.Rules.Density, rand.New(rand.NewPCG(m.Rules.Seed^stream, uint64(number)))), nil
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
