package stats

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"testing"

	"gonum.org/v1/gonum/mat"

	"keyhole.example/keyhole/internal/kernel"
)

func randomMoment(n, tokens int) *Moment {
	rng := rand.New(rand.NewPCG(uint64(n), uint64(tokens)))
	x := mat.NewDense(n, tokens, nil)
	for i := range n {
		for j := range tokens {
			x.Set(i, j, rng.NormFloat64())
		}
	}
	var c mat.SymDense
	c.SymOuterK(1, x)
	return &Moment{Info: Info{Site: "x", Width: n, Tokens: tokens, Model: "m", Corpus: "c"}, Sum: c.RawSymmetric().Data}
}

func spectrumEngine(t *testing.T, threads int) *kernel.Engine {
	t.Helper()
	k, err := kernel.New(kernel.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

// TestTheSpectrumIsThatOfGonum: the eigenvalues are gonum's, the eigenvectors are
// orthonormal and C·v = λ·v, also where C is singular.
func TestTheSpectrumIsThatOfGonum(t *testing.T) {
	k := spectrumEngine(t, 2)
	for _, size := range [][2]int{{1, 3}, {2, 2}, {17, 40}, {30, 11}, {70, 300}} {
		m := randomMoment(size[0], size[1])
		s, err := m.Spectrum(k)
		if err != nil {
			t.Fatal(err)
		}
		var want mat.EigenSym
		if !want.Factorize(m.C(), false) {
			t.Fatal("gonum finds none")
		}
		n := size[0]
		largest := s.Values[n-1]
		for i, v := range want.Values(nil) {
			if math.Abs(s.Values[i]-v) > 1e-12*largest {
				t.Errorf("%v: eigenvalue %d is %v, want %v", size, i, s.Values[i], v)
			}
		}
		v := s.Lowest(n)
		var gram, cv mat.Dense
		gram.Mul(v, v.T())
		cv.Mul(v, m.C())
		for i := range n {
			for j := range n {
				unit := 0.0
				if i == j {
					unit = 1
				}
				if math.Abs(gram.At(i, j)-unit) > 1e-12 || math.Abs(cv.At(i, j)-s.Values[i]*v.At(i, j)) > 1e-12*largest {
					t.Fatalf("%v: vectors %d, %d: product %v", size, i, j, gram.At(i, j))
				}
			}
		}
	}
}

func TestTheSpectrumIsTheSameForAnyThreads(t *testing.T) {
	a, err := randomMoment(90, 200).Spectrum(spectrumEngine(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	b, err := randomMoment(90, 200).Spectrum(spectrumEngine(t, 2))
	if err != nil || !reflect.DeepEqual(a, b) {
		t.Errorf("they differ (%v)", err)
	}
}

func TestTheSpectrumLiesBesideItsMoment(t *testing.T) {
	k := spectrumEngine(t, 1)
	m := randomMoment(8, 20)
	path := filepath.Join(t.TempDir(), "a.safetensors")
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
	load := func() *Moment {
		got, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	a, err := load().Spectrum(k)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := load().loadSpectrum()
	if err != nil || !reflect.DeepEqual(a, kept) {
		t.Errorf("read %v, %v", kept, err)
	}
	m.Sum[0]++ // other statistics: the file is not theirs
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
	if kept, err := load().loadSpectrum(); kept != nil || err != nil {
		t.Errorf("the spectrum of other statistics was taken (%v)", err)
	}
}

func TestShareAndThreshold(t *testing.T) {
	s := &Spectrum{Values: []float64{-1e-9, 1, 2, 3, 4}}
	for share, want := range map[float64]int{0: 1, 0.1: 2, 0.3: 3, 0.29: 2, 1: 5} {
		if got := s.Share(share); got != want {
			t.Errorf("share %v keeps %d, want %d", share, got, want)
		}
	}
	for threshold, want := range map[float64]int{-1: 0, 2: 2, 2.1: 3, 1e9: 5} {
		if got := s.Below(threshold); got != want {
			t.Errorf("below %v are %d, want %d", threshold, got, want)
		}
	}
}
