package gram_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"keyhole.example/keyhole/internal/gram"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/internal/mpi/mpitest"
)

const (
	batches = 7
	width   = 300 // two panels and a part of one
)

func engine(t *testing.T) *kernel.Engine {
	t.Helper()
	k, err := kernel.New(kernel.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

// batch is rows of small whole numbers, whose products are exact, and of others.
func batch(i int) kernel.Matrix {
	rng := rand.New(rand.NewPCG(uint64(i), 3))
	rows := 5 + i
	x := make([]float32, rows*width)
	for j := range x {
		if x[j] = float32(rng.IntN(9) - 4); i%2 == 1 {
			x[j] = float32(rng.NormFloat64())
		}
	}
	return kernel.Mat(x, rows, width)
}

// TestSumIsThatOfAllRows: exactly, where products are.
func TestSumIsThatOfAllRows(t *testing.T) {
	k, s, x := engine(t), gram.New(width), batch(2)
	s.Add(k, x)
	s.Add(k, x)
	for i := range width {
		for j := i; j < width; j++ {
			want := 0.0
			for r := range x.Rows {
				want += 2 * float64(x.Data[r*width+i]) * float64(x.Data[r*width+j])
			}
			if got := s.Values[i*width+j]; got != want {
				t.Fatalf("(%d, %d) is %v, want %v", i, j, got, want)
			}
		}
	}
}

func TestProcessesChangeNoByte(t *testing.T) {
	alone := []*gram.Sum{gram.New(width), gram.New(width)}
	k := engine(t)
	for i := range batches {
		alone[0].Add(k, batch(i))
		alone[1].Add(k, batch(i+100))
	}
	for _, n := range []int{1, 2, 3, 5} {
		engines := make([]*kernel.Engine, n)
		for i := range engines {
			engines[i] = engine(t)
		}
		for r, err := range mpitest.Together(n, func(m *mpitest.Member) error {
			sums := []*gram.Sum{gram.New(width), gram.New(width)}
			for lo := 0; lo < batches; lo += n {
				mine := []kernel.Matrix{{Cols: width}, {Cols: width}}
				if i := lo + m.Rank(); i < batches {
					mine = []kernel.Matrix{batch(i), batch(i + 100)}
				}
				if err := gram.AddAll(engines[m.Rank()], m, sums, mine); err != nil {
					return err
				}
				if lo == n {
					if err := gram.Complete(m, sums); err != nil { // on the way, too
						return err
					}
				}
			}
			if err := gram.Complete(m, sums); err != nil {
				return err
			}
			for k := range sums {
				if !slices.Equal(sums[k].Values, alone[k].Values) {
					return fmt.Errorf("sum %d differs from that of one process", k)
				}
			}
			return nil
		}) {
			if err != nil {
				t.Errorf("process %d of %d: %v", r, n, err)
			}
		}
	}
}
