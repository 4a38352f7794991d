package kerneltest

import (
	"fmt"
	"math/rand/v2"

	"keyhole.example/keyhole/internal/kernel"
)

// Gemmer is what is under test.
type Gemmer interface {
	Gemm(c kernel.Matrix, p kernel.Product)
}

// Case is one product: C [M, N] = op(A) [M, K] · op(B) [K, N].
type Case struct {
	M, K, N        int
	TransA, TransB bool
	Accumulate     bool
	Pad            int // elements between the rows of each matrix
}

// String names the case, for sub-tests.
func (c Case) String() string {
	name := fmt.Sprintf("%dx%dx%d", c.M, c.K, c.N)
	for _, flag := range []struct {
		on   bool
		name string
	}{{c.TransA, "/ta"}, {c.TransB, "/tb"}, {c.Accumulate, "/add"}, {c.Pad > 0, "/strided"}} {
		if flag.on {
			name += flag.name
		}
	}
	return name
}

// sizes are [m, k, n]: empty, single, odd, tall, wide, around the edges of
// tiles and of blocks of k, and long.
var sizes = [][3]int{
	{0, 5, 4}, {5, 4, 0}, {5, 0, 4}, {1, 0, 1}, {0, 0, 0},
	{1, 1, 1}, {2, 3, 1}, {1, 7, 33}, {3, 5, 7}, {17, 19, 23}, {13, 1, 31},
	{14, 16, 32}, {15, 17, 33}, {6, 8, 16}, {7, 9, 17}, {28, 64, 64}, {29, 15, 65},
	{200, 3, 2}, {2, 3, 200}, {301, 40, 5}, {5, 40, 301}, {1, 576, 300}, {4, 576, 96},
	{3, 383, 5}, {3, 384, 5}, {3, 385, 5}, {20, 769, 40}, {9, 1153, 70}, {70, 60, 100},
	{30, 50, 600}, {1, 2000, 1},
}

// Cases is every size with every combination of flags, dense and strided.
func Cases() []Case {
	var out []Case
	for _, s := range sizes {
		for flags := range 16 {
			out = append(out, Case{
				M: s[0], K: s[1], N: s[2],
				TransA: flags&1 != 0, TransB: flags&2 != 0, Accumulate: flags&4 != 0,
				Pad: 5 * (flags >> 3),
			})
		}
	}
	return out
}

// gap is what lies between the rows of a strided matrix.
const gap = -777

// matrix returns a random matrix with gaps of pad elements.
func matrix(rng *rand.Rand, rows, cols, pad int) kernel.Matrix {
	m := kernel.Matrix{Rows: rows, Cols: cols, Stride: cols + pad, Data: make([]float32, rows*(cols+pad))}
	for i := range m.Data {
		m.Data[i] = gap
		if i%m.Stride < cols {
			m.Data[i] = float32(rng.NormFloat64())
		}
	}
	return m
}

// operands returns C and the product of the case, from the seed.
func (c Case) operands(seed uint64) (kernel.Matrix, kernel.Product) {
	rng := rand.New(rand.NewPCG(seed, 1))
	ar, ac, br, bc := c.M, c.K, c.K, c.N
	if c.TransA {
		ar, ac = ac, ar
	}
	if c.TransB {
		br, bc = bc, br
	}
	p := kernel.Product{
		A: matrix(rng, ar, ac, c.Pad), B: matrix(rng, br, bc, c.Pad),
		TransA: c.TransA, TransB: c.TransB, Accumulate: c.Accumulate,
	}
	return matrix(rng, c.M, c.N, c.Pad), p
}

// clone copies a matrix.
func clone(m kernel.Matrix) kernel.Matrix {
	m.Data = append([]float32(nil), m.Data...)
	return m
}
