// Package gram sums up xᵀ·x over batches of rows, alone or in several processes:
// the sum has the same bytes for any number of them.
package gram

import (
	"fmt"
	"slices"
	"unsafe"

	"keyhole.example/keyhole/internal/kernel"
)

// panel is the number of rows of the sum that one product makes: below the
// diagonal nothing is needed, so a product begins at its panel's first column.
const panel = 128

// Sum is Σ xᵀ·x, [Width, Width], of which the upper triangle counts.
type Sum struct {
	Width  int
	Values []float64

	block []float32
}

// New is a sum of nothing.
func New(width int) *Sum { return &Sum{Width: width, Values: make([]float64, width*width)} }

// Add adds xᵀ·x of a batch x [rows, Width].
func (s *Sum) Add(k *kernel.Engine, x kernel.Matrix) {
	for i := range s.panels() {
		s.add(k, x, i)
	}
}

func (s *Sum) panels() int { return (s.Width + panel - 1) / panel }

// rows are those of a panel, [lo, hi).
func (s *Sum) rows(i int) (lo, hi int) { return i * panel, min((i+1)*panel, s.Width) }

// add adds to a panel's rows.
func (s *Sum) add(k *kernel.Engine, x kernel.Matrix, i int) {
	w := s.Width
	lo, hi := s.rows(i)
	rows, cols := hi-lo, w-lo
	if len(s.block) == 0 {
		s.block = make([]float32, min(panel, w)*w)
	}
	g := kernel.Mat(s.block[:rows*cols], rows, cols)
	a, b := x, x
	a.Cols, a.Data = rows, x.Data[min(lo, len(x.Data)):]
	b.Cols, b.Data = cols, a.Data
	k.Gemm(g, kernel.Product{A: a, TransA: true, B: b})
	k.For(rows, 16, func(first, end int) {
		for i := first; i < end; i++ {
			dst := s.Values[(lo+i)*w+lo+i : (lo+i+1)*w]
			for j, v := range g.Data[i*cols+i : (i+1)*cols] {
				dst[j] += float64(v)
			}
		}
	})
}

// Peers are the processes that sum up together. All make the same calls.
type Peers interface {
	Rank() int
	Size() int
	Gather(mine []byte) (all [][]byte, err error)
}

// owner is the process that has a panel, there and back again, since panels get
// shorter.
func owner(p Peers, i int) int {
	n := p.Size()
	if i %= 2 * n; i >= n {
		return 2*n - 1 - i
	}
	return i
}

// AddAll adds a batch of every process to sums, in the order of the processes: to the
// panels that this process has. mine[i] is this process's batch for sums[i], dense; it
// may have no rows.
func AddAll(k *kernel.Engine, p Peers, sums []*Sum, mine []kernel.Matrix) error {
	var data []float32 // aligned, unlike what is gathered
	for n, s := range sums {
		all, err := p.Gather(bytesOf(mine[n].Data[:mine[n].Rows*s.Width]))
		if err != nil {
			return err
		}
		for r := range all {
			if len(all[r])%(4*s.Width) != 0 {
				return fmt.Errorf("process %d gave rows of another width", r)
			}
			if len(all[r]) == 0 {
				continue
			}
			data = slices.Grow(data[:0], len(all[r])/4)[:len(all[r])/4]
			copy(bytesOf(data), all[r])
			x := kernel.Mat(data, len(data)/s.Width, s.Width)
			for i := range s.panels() {
				if owner(p, i) == p.Rank() {
					s.add(k, x, i)
				}
			}
		}
	}
	return nil
}

// Complete gives every process the panels of all.
func Complete(p Peers, sums []*Sum) error {
	for _, s := range sums {
		var mine []byte
		for i := range s.panels() {
			if owner(p, i) == p.Rank() {
				mine = append(mine, bytesOf(s.values(i))...)
			}
		}
		all, err := p.Gather(mine)
		if err != nil {
			return err
		}
		for i := range s.panels() {
			into, r := bytesOf(s.values(i)), owner(p, i)
			if len(all[r]) < len(into) {
				return fmt.Errorf("process %d gave fewer sums than it has", r)
			}
			all[r] = all[r][copy(into, all[r]):]
		}
	}
	return nil
}

// values are those of a panel's rows.
func (s *Sum) values(i int) []float64 {
	lo, hi := s.rows(i)
	return s.Values[lo*s.Width : hi*s.Width]
}

// bytesOf are the bytes of x, in its memory.
func bytesOf[T float32 | float64](x []T) []byte {
	var one T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), int(unsafe.Sizeof(one))*len(x))
}
