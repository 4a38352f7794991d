package trace

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"keyhole.example/keyhole/internal/golden"
	"keyhole.example/keyhole/lm/lmtest"
)

// near fails unless got is within the absolute tolerance of want.
func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func sameTable(t *testing.T, what string, got [][]float64, want []float32) {
	t.Helper()
	const tolerance = 1e-5
	if len(got)*len(got[0]) != len(want) {
		t.Fatalf("%s: a table of [%d, %d] for %d values", what, len(got), len(got[0]), len(want))
	}
	worst := 0.0
	for i := range got {
		for l := range got[i] {
			worst = math.Max(worst, math.Abs(got[i][l]-float64(want[i*len(got[i])+l])))
		}
	}
	t.Logf("%s: greatest difference %.2g", what, worst)
	if !(worst <= tolerance) {
		t.Errorf("%s: differs by %.2g, want at most %v", what, worst, tolerance)
	}
}

// TestGoldenTraceTables compares with folders of a golden.json.
func TestGoldenTraceTables(t *testing.T) {
	cases, err := filepath.Glob(filepath.Join(golden.Path(t, "golden", "rome"), "*", "golden.json"))
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases (%v)", err)
	}
	for _, path := range cases {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var story struct {
				Trace struct {
					Prompt, Subject, Answer string
					Noise, Clean, Corrupted float64
					Samples, Window         int
					TokenRange              [2]int `json:"token_range"`
					IDs                     []int32
				}
			}
			if err := json.Unmarshal(text, &story); err != nil {
				t.Fatal(err)
			}
			s, g := story.Trace, lmtest.Open(t, filepath.Join(dir, "golden.safetensors"), "")
			m := lmtest.Model(t, filepath.Join(dir, "model"))
			noise := Gaussian(s.Noise, 1, s.Samples, s.TokenRange[1]-s.TokenRange[0], m.Config.Width)
			for i, want := range g.Floats("trace.noise") {
				if math.Abs(float64(noise.Values[i]-want)) > 1e-6 {
					t.Fatalf("noise %d: %v, want %v", i, noise.Values[i], want)
				}
			}
			seen := 0
			for _, kind := range []string{Hidden, MLP, Attn} {
				c := Default()
				c.Noise, c.Samples, c.Restore, c.Window = strconv.FormatFloat(s.Noise, 'g', -1, 64), s.Samples, kind, s.Window
				tr, err := New(m, lmtest.Engine(t, 0), c, nil)
				if err != nil {
					t.Fatal(err)
				}
				r, err := tr.Trace(t.Context(), Query{Prompt: s.Prompt, Subject: s.Subject, Answer: s.Answer})
				if err != nil {
					t.Fatal(err)
				}
				if r.SubjectRange != s.TokenRange {
					t.Errorf("subject tokens %v, want %v", r.SubjectRange, s.TokenRange)
				}
				near(t, "clean probability", r.Clean, s.Clean, 1e-5)
				near(t, "corrupted probability", r.Corrupted, s.Corrupted, 1e-5)
				sameTable(t, kind, r.Scores, g.Floats("trace."+kind))
				seen++
			}
			if seen == 0 {
				t.Fatal("no table was compared")
			}
		})
	}
}

// TestGoldenTraceSettings compares with trace.safetensors files of many
// settings, whose names tell what they are.
func TestGoldenTraceSettings(t *testing.T) {
	cases, err := filepath.Glob(filepath.Join(golden.Path(t, "golden", "rome"), "*", "trace*.safetensors"))
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases (%v)", err)
	}
	for _, path := range cases {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			g := lmtest.Open(t, path, "")
			meta := g.File().Metadata()
			m := lmtest.Model(t, filepath.Join(filepath.Dir(path), "model"))
			var subjects []string
			if err := json.Unmarshal([]byte(meta["noise_subjects"]), &subjects); err != nil {
				t.Fatal(err)
			}
			sigma, err := EmbeddingStd(m, subjects)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "standard deviation", sigma, float64(g.Floats("embedding_std")[0]), 1e-6)
			span := g.Ints("subject_range")
			normal := g.Floats("normal")
			tokens := int(span[1] - span[0])
			samples := len(normal) / (tokens * m.Config.Width)
			for i, v := range Gaussian(1, 1, samples, tokens, m.Config.Width).Values {
				near(t, "normal noise", float64(v), float64(normal[i]), 1e-6)
			}
			for i, v := range Uniform(1, 1, samples, tokens, m.Config.Width).Values {
				near(t, "uniform noise", float64(v), float64(g.Floats("uniform")[i]), 1e-6)
			}
			seen := 0
			for _, tensor := range g.File().Names() {
				name, ok := strings.CutSuffix(tensor, ".scores")
				if !ok {
					continue
				}
				seen++
				c := Default()
				c.Samples = samples
				kind, rest, _ := strings.Cut(name, "_")
				if kind != "state" {
					c.Restore = kind
				}
				switch {
				case rest == "replace":
					c.Corrupt = CorruptReplace
				case rest == "uniform":
					c.Noise = "u" + strconv.FormatFloat(float64(g.Floats("noise_level")[0]), 'g', -1, 64)
				case rest != "":
					if c.Window, err = strconv.Atoi(strings.TrimPrefix(rest, "w")); err != nil {
						t.Fatalf("setting %s: %v", name, err)
					}
				}
				tr, err := New(m, lmtest.Engine(t, 0), c, subjects)
				if err != nil {
					t.Fatal(err)
				}
				r, err := tr.Trace(t.Context(), Query{Prompt: meta["prompt"], Subject: meta["subject"], Answer: meta["answer"]})
				if err != nil {
					t.Fatal(err)
				}
				if int64(r.SubjectRange[0]) != span[0] || int64(r.SubjectRange[1]) != span[1] {
					t.Errorf("subject tokens %v, want %v", r.SubjectRange, span)
				}
				near(t, "clean probability", r.Clean, float64(g.Floats("high_score")[0]), 1e-5)
				if c.Corrupt != CorruptReplace { // there the reference's own low score is that of added noise
					near(t, name+" corrupted probability", r.Corrupted, float64(g.Floats(name + ".low_score")[0]), 1e-5)
				}
				sameTable(t, name, r.Scores, g.Floats(tensor))
			}
			if seen == 0 {
				t.Fatal("no setting was compared")
			}
		})
	}
}
