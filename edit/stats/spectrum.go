package stats

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	lapack "gonum.org/v1/gonum/lapack/gonum"
	"gonum.org/v1/gonum/mat"

	"keyhole.example/keyhole/internal/kernel"
)

// Spectrum is the eigenvalues of a second moment C with their eigenvectors:
// C = Σ Values[i]·v_i·v_iᵀ. It does not depend on what is made of it, such as a
// threshold.
type Spectrum struct {
	Values  []float64 // ascending
	Vectors []float64 // [Width, Width], row i is v_i
}

// Row is eigenvector i.
func (s *Spectrum) Row(i int) []float64 { n := len(s.Values); return s.Vectors[i*n : (i+1)*n] }

// Lowest are the first n eigenvectors as rows, [n, Width]; nil for 0.
func (s *Spectrum) Lowest(n int) *mat.Dense {
	if n == 0 {
		return nil
	}
	return mat.NewDense(n, len(s.Values), s.Vectors[:n*len(s.Values)])
}

// Below is how many eigenvalues are below a threshold.
func (s *Spectrum) Below(threshold float64) int {
	n, _ := slices.BinarySearch(s.Values, threshold)
	return n
}

// Share is how many of the lowest eigenvalues sum up to at most a share of the
// trace.
func (s *Spectrum) Share(share float64) int {
	sum, limit := 0.0, share*s.Sum(len(s.Values))
	for i, v := range s.Values {
		if sum += max(v, 0); sum > limit {
			return i
		}
	}
	return len(s.Values)
}

// Sum is that of the n lowest eigenvalues; negative ones are rounding.
func (s *Spectrum) Sum(n int) float64 {
	sum := 0.0
	for _, v := range s.Values[:n] {
		sum += max(v, 0)
	}
	return sum
}

// Spectrum decomposes C, once; where the moment lies in a file, the result is
// kept beside it.
func (m *Moment) Spectrum(k *kernel.Engine) (*Spectrum, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.spectrum != nil {
		return m.spectrum, nil
	}
	s, err := m.loadSpectrum()
	if err != nil {
		return nil, err
	}
	if s == nil {
		if s, err = decompose(k, m.C()); err != nil {
			return nil, fmt.Errorf("statistics of %s: %w", m.Site, err)
		}
		if err := m.saveSpectrum(s); err != nil {
			return nil, err
		}
	}
	m.spectrum = s
	return s, nil
}

// decompose finds eigenvalues and eigenvectors: Householder reflections to a
// tridiagonal matrix, then the implicit QL method (Bowdler et al. 1968). Its
// rotations are applied a block of columns at a time, which is what takes the
// time where they go through a whole matrix one by one.
func decompose(k *kernel.Engine, c *mat.SymDense) (*Spectrum, error) {
	n := c.SymmetricDim()
	a := make([]float64, n*n)
	for i := range n {
		for j := i; j < n; j++ {
			a[i*n+j] = c.At(i, j)
			if v := a[i*n+j]; math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("the second moment has the value %v", v)
			}
		}
	}
	d, off, tau := make([]float64, n), make([]float64, n), make([]float64, max(n-1, 1))
	work := make([]float64, 64*n)
	impl := lapack.Implementation{}
	impl.Dsytrd(blas.Upper, n, a, n, d, off[:max(n-1, 1)], tau, work, len(work))
	impl.Dorgtr(blas.Upper, n, a, n, tau, work, len(work))
	v := make([]float64, n*n) // Qᵀ: row i becomes eigenvector i
	for i := range n {
		for j := range n {
			v[j*n+i] = a[i*n+j]
		}
	}
	if n > 1 {
		if err := ql(k, d, off, v); err != nil {
			return nil, err
		}
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch {
		case d[i] < d[j]:
			return -1
		case d[i] > d[j]:
			return 1
		}
		return 0
	})
	s := &Spectrum{Vectors: a}
	for to, from := range order {
		s.Values = append(s.Values, d[from])
		copy(a[to*n:(to+1)*n], v[from*n:])
	}
	return s, nil
}

// rotation turns rows at and at+1.
type rotation struct {
	at   int
	c, s float64
}

// ql makes the tridiagonal matrix with diagonal d and off-diagonal off, [n],
// diagonal, and turns the rows of v, [n, n], with it.
func ql(k *kernel.Engine, d, off, v []float64) error {
	const (
		sweeps = 60
		many   = 1 << 14 // rotations kept before they are applied
	)
	n := len(d)
	off[n-1] = 0
	var waiting []rotation
	for l := range n {
		for sweep := 0; ; sweep++ {
			m := l
			for ; m < n-1; m++ {
				if math.Abs(off[m]) <= 0x1p-53*(math.Abs(d[m])+math.Abs(d[m+1])) {
					break
				}
			}
			if m == l {
				break
			}
			if sweep == sweeps {
				return errors.New("its eigenvalues are not found; the statistics may be damaged")
			}
			g := (d[l+1] - d[l]) / (2 * off[l])
			g = d[m] - d[l] + off[l]/(g+math.Copysign(math.Hypot(g, 1), g))
			s, c, p := 1.0, 1.0, 0.0
			split := false
			for i := m - 1; i >= l; i-- {
				f, b := s*off[i], c*off[i]
				r := math.Hypot(f, g)
				off[i+1] = r
				if r == 0 {
					d[i+1] -= p
					off[m] = 0
					split = true
					break
				}
				s, c = f/r, g/r
				g = d[i+1] - p
				r = (d[i]-g)*s + 2*c*b
				p = s * r
				d[i+1] = g + p
				g = c*r - b
				waiting = append(waiting, rotation{i, c, s})
			}
			if !split {
				d[l] -= p
				off[l] = g
				off[m] = 0
			}
			if len(waiting) >= many {
				rotate(k, v, n, waiting)
				waiting = waiting[:0]
			}
		}
	}
	rotate(k, v, n, waiting)
	return nil
}

// rotate applies rotations in order, to blocks of columns that the cache holds.
func rotate(k *kernel.Engine, v []float64, n int, list []rotation) {
	const width = 16
	k.For((n+width-1)/width, 1, func(lo, hi int) {
		for block := lo; block < hi; block++ {
			first, end := block*width, min((block+1)*width, n)
			for _, r := range list {
				x, y := v[r.at*n+first:r.at*n+end], v[(r.at+1)*n+first:(r.at+1)*n+end]
				y = y[:len(x)]
				for k, a := range x {
					b := y[k]
					y[k] = r.s*a + r.c*b
					x[k] = r.c*a - r.s*b
				}
			}
		}
	})
}
