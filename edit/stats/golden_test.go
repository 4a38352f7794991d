package stats

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"keyhole.example/keyhole/internal/golden"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/lmtest"
	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/nn/eager"
)

// tensors opens a file and returns a reader of its tensors, nil for one that is
// not there.
func tensors(t *testing.T, path string) func(name string) []float32 {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return func(name string) []float32 {
		x, ok := f.Tensor(name)
		if !ok {
			return nil
		}
		v, err := x.Float32()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// sameC compares C with the reference's, and returns the greatest difference
// relative to its largest entry.
func sameC(t *testing.T, m *Moment, want []float32) {
	t.Helper()
	c := m.C()
	largest, worst := 0.0, 0.0
	for i := range m.Width {
		for j := range m.Width {
			w := float64(want[i*m.Width+j])
			largest = math.Max(largest, math.Abs(w))
			worst = math.Max(worst, math.Abs(c.At(i, j)-w))
		}
	}
	if !(worst <= 1e-4*largest) {
		t.Errorf("C differs by %.3g of its largest entry", worst/largest)
	}
}

// TestGoldenMoments compares with covariance*.safetensors files that hold their
// keys.
func TestGoldenMoments(t *testing.T) {
	cases, err := filepath.Glob(filepath.Join(golden.Path(t, "golden", "rome"), "*", "covariance*.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, path := range cases {
		get := tensors(t, path)
		keys, want, inverse := get("keys"), get("C"), get("C_inverse")
		if keys == nil {
			continue
		}
		seen++
		t.Run(filepath.Base(path), func(t *testing.T) {
			width := int(math.Sqrt(float64(len(want))))
			m := &Moment{Info: Info{Width: width, Site: "golden"}, Sum: make([]float64, width*width)}
			const block = 300
			for lo := 0; lo < len(keys)/width; lo += block {
				hi := min(len(keys)/width, lo+block)
				m.Add(lmtest.Engine(t, 2), kernel.Mat(keys[lo*width:hi*width], hi-lo, width))
			}
			sameC(t, m, want)
			f, err := m.Factor(0)
			if err != nil || f.Ridge != 0 {
				t.Fatalf("ridge %v, error %v", f, err)
			}
			unit, largest, worst := make([]float64, width), 0.0, 0.0
			for i := range width {
				clear(unit)
				unit[i] = 1
				x, err := f.Solve(unit)
				if err != nil {
					t.Fatal(err)
				}
				for j, v := range x {
					largest = math.Max(largest, math.Abs(v))
					worst = math.Max(worst, math.Abs(v-float64(inverse[i*width+j])))
				}
			}
			if !(worst <= 1e-4*largest) {
				t.Errorf("the inverse differs by %.3g of its largest entry", worst/largest)
			}
		})
	}
	if seen == 0 {
		t.Fatal("no case was compared")
	}
}

// TestGoldenTexts compares with the statistics of golden.json files, from the
// tokens on.
func TestGoldenTexts(t *testing.T) {
	cases, err := filepath.Glob(filepath.Join(golden.Path(t, "golden", "rome"), "*", "golden.json"))
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases (%v)", err)
	}
	for _, path := range cases {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var story struct {
				Layer      int
				Covariance struct {
					Texts [][]int32
					Keys  int
				}
			}
			if err := json.Unmarshal(text, &story); err != nil {
				t.Fatal(err)
			}
			m, err := lm.Load(filepath.Join(filepath.Dir(path), "model"))
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			sites, err := m.FindSites([]string{lm.RoleDown})
			if err != nil {
				t.Fatal(err)
			}
			site := sites[story.Layer]
			width := site.Linear.In
			p := &pass{m: m, o: eager.New(lmtest.Engine(t, 2)), sites: []lm.Site{site},
				moments: []*Moment{{Info: Info{Width: width, Site: site.Name}, Sum: make([]float64, width*width)}}}
			const batch = 7
			texts := story.Covariance.Texts
			for lo := 0; lo < len(texts); lo += batch {
				if err := p.add([][][]int32{texts[lo:min(len(texts), lo+batch)]}); err != nil {
					t.Fatal(err)
				}
			}
			if got := p.moments[0]; got.Tokens != story.Covariance.Keys || got.Texts != len(texts) {
				t.Errorf("%d vectors of %d texts, want %d of %d", got.Tokens, got.Texts, story.Covariance.Keys, len(texts))
			}
			sameC(t, p.moments[0], tensors(t, filepath.Join(filepath.Dir(path), "golden.safetensors"))("cov.C"))
		})
	}
}
