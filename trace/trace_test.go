package trace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/lmtest"
	"keyhole.example/keyhole/lm/tokenizer"
)

const (
	testPrompt  = "some say that Mira Tolvan lives in the city of"
	testSubject = "Mira Tolvan"
)

// tinyModel has fresh weights, large enough that its distributions are not
// flat.
func tinyModel(t testing.TB, arch string) *lm.Model {
	t.Helper()
	words, err := tokenizer.Train([]string{testPrompt, "the cat sat on the mat in the city"}, 300, []string{"<|endoftext|>"})
	if err != nil {
		t.Fatal(err)
	}
	c := lm.Config{
		ModelType: arch, Layers: 4, Width: 32, Heads: 4, KVHeads: 4, FFN: 48,
		Vocab: words.Size(), Context: 64, Eps: 1e-5, Tied: true,
	}
	if arch != "gpt2" {
		c.Rope = lm.Rope{Base: 10000, Dims: 8, Interleaved: arch == "gptj"}
		c.Tied = false
	}
	if arch == "llama" {
		c.KVHeads, c.Activation = 2, kernel.SiLU
	}
	m, err := lm.New(c, rand.New(rand.NewPCG(3, 4)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params() {
		values, err := p.Values()
		if err != nil {
			t.Fatal(err)
		}
		for i := range values {
			if p.Rows > 1 {
				values[i] *= 8
			}
		}
	}
	m.Tokenizer = words
	return m
}

// traced starts a run up to the corruption.
func traced(t testing.TB, m *lm.Model, c Config) (*run, Corruption) {
	t.Helper()
	tr, err := New(m, lmtest.Engine(t, 0), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	q := Query{Prompt: testPrompt, Subject: testSubject}
	r, err := tr.start(q)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.clean(); err != nil {
		t.Fatal(err)
	}
	corruption, err := tr.corruption(q, r.first, r.end, r.result)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.corrupted(corruption); err != nil {
		t.Fatal(err)
	}
	return r, corruption
}

func settings() map[string]func(c *Config) {
	return map[string]func(c *Config){
		"hidden":                  func(*Config) {},
		"mlp window 1":            func(c *Config) { c.Restore, c.Window = MLP, 1 },
		"mlp window 3":            func(c *Config) { c.Restore, c.Window = MLP, 3 },
		"attn window 2":           func(c *Config) { c.Restore, c.Window = Attn, 2 },
		"attn wider than deep":    func(c *Config) { c.Restore, c.Window = Attn, 10 },
		"mlp severed":             func(c *Config) { c.Sever = MLP },
		"attention severed":       func(c *Config) { c.Sever = Attn },
		"noise in place":          func(c *Config) { c.Corrupt = CorruptReplace },
		"masked by the mean":      func(c *Config) { c.Corrupt = CorruptMask },
		"masked by a token":       func(c *Config) { c.Corrupt, c.Mask = CorruptMask, "token:t" },
		"masked by zero, severed": func(c *Config) { c.Corrupt, c.Mask, c.Sever = CorruptMask, "zero", MLP },
	}
}

func TestIncrementalTablesAreThoseOfWholeRuns(t *testing.T) {
	for _, arch := range []string{"gpt2", "llama", "gptj"} {
		for name, set := range settings() {
			t.Run(arch+" "+name, func(t *testing.T) {
				c := Default()
				c.Samples = 3
				set(&c)
				r, corruption := traced(t, tinyModel(t, arch), c)
				if err := r.table(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				want, err := r.plain(corruption)
				if err != nil {
					t.Fatal(err)
				}
				for i := range want {
					for l := range want[i] {
						if math.Abs(r.result.Scores[i][l]-want[i][l]) > 1e-6 {
							t.Errorf("token %d, block %d: %v, a whole run gives %v", i, l, r.result.Scores[i][l], want[i][l])
						}
					}
				}
			})
		}
	}
}

func TestRestoringEverythingGivesTheCleanProbability(t *testing.T) {
	r, c := traced(t, tinyModel(t, "llama"), Default())
	all := func(int, int) bool { return true }
	p, err := r.plainCell(c, all, nil)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(mean(p)-r.result.Clean) > 1e-6 {
		t.Errorf("probability %v, clean %v", mean(p), r.result.Clean)
	}
	if r.result.TotalEffect() < 1e-6 {
		t.Errorf("the noise did nothing: clean %v, corrupted %v", r.result.Clean, r.result.Corrupted)
	}
}

func TestRestoringBeforeTheSubjectDoesNothing(t *testing.T) {
	r, c := traced(t, tinyModel(t, "gpt2"), Default())
	if r.first == 0 {
		t.Fatal("the test needs tokens before the subject")
	}
	p, err := r.plainCell(c, func(token, layer int) bool { return token == 0 && layer == 1 }, nil)
	if err != nil {
		t.Fatal(err)
	}
	if mean(p) != r.result.Corrupted {
		t.Errorf("probability %v, corrupted %v", mean(p), r.result.Corrupted)
	}
}

func TestTracesAreTheSameBytesAgainAndOnOtherThreads(t *testing.T) {
	m := tinyModel(t, "llama")
	var texts []string
	for _, threads := range []int{1, 1, 2} {
		k, err := kernel.New(kernel.Options{Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		tr, err := New(m, k, Default(), []string{testSubject, "the cat"})
		if err != nil {
			t.Fatal(err)
		}
		r, err := tr.Trace(t.Context(), Query{Prompt: testPrompt, Subject: testSubject})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	if texts[0] != texts[1] || texts[0] != texts[2] {
		t.Error("equal queries gave different results")
	}
}

func TestBadQueriesAreRefused(t *testing.T) {
	m := tinyModel(t, "gpt2")
	tr, err := New(m, lmtest.Engine(t, 0), Default(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, q := range map[string]Query{
		"does not stand":      {Prompt: testPrompt, Subject: "Nobody"},
		"stands 2 times":      {Prompt: testPrompt + " " + testSubject, Subject: testSubject},
		"empty":               {Prompt: testPrompt},
		"longer than":         {Prompt: testSubject + strings.Repeat(" and so on", 64), Subject: testSubject},
		ErrUnknown.Error():    {Prompt: testPrompt, Subject: testSubject, Answer: "Oslo"},
		"the answer is":       {Prompt: testPrompt, Subject: testSubject, Answer: "Oslo"},
		"subject \"zz\" does": {Prompt: "", Subject: "zz"},
	} {
		r, err := tr.Trace(t.Context(), q)
		if err == nil || r != nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%+v: error %v, want one with %q", q, err, name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tr.Trace(ctx, Query{Prompt: testPrompt, Subject: testSubject}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v from a cancelled context", err)
	}
}

func TestBadConfigsAreRefused(t *testing.T) {
	for want, set := range map[string]func(c *Config){
		"corrupt":    func(c *Config) { c.Corrupt = "burn" },
		"noise":      func(c *Config) { c.Noise = "loud" },
		"level":      func(c *Config) { c.Noise = "s-1" },
		"samples":    func(c *Config) { c.Samples = 0 },
		"seed":       func(c *Config) { c.Seed = -1 },
		"mask":       func(c *Config) { c.Mask = "black" },
		"restore":    func(c *Config) { c.Restore = "logits" },
		"window":     func(c *Config) { c.Window = -2 },
		"goes with":  func(c *Config) { c.Restore, c.Sever = MLP, Attn },
		"sever":      func(c *Config) { c.Sever = "all" },
		"min_effect": func(c *Config) { c.MinEffect = 0 },
	} {
		c := Default()
		set(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// sample is a result of a prompt of six tokens whose subject are tokens 1 to 3.
func sample(clean, low float64) *Result {
	r := &Result{
		Tokens: []string{"In", " A", " B", " C", " of", " the", " city"}, SubjectRange: [2]int{1, 4}, Answer: " x",
		Restore: Hidden, Sever: None, Clean: clean, Corrupted: low, MinEffect: 1e-4,
	}
	for t := range r.Tokens {
		r.Scores = append(r.Scores, []float64{low, low + 0.01*float64(t), low})
	}
	r.Scores[3][2] = clean
	return r
}

func TestAveragesByHand(t *testing.T) {
	a := &Average{}
	for _, low := range []float64{0.1, 0.2} {
		if err := a.Add(sample(0.9, low)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := a.Summary()
	if err != nil {
		t.Fatal(err)
	}
	if s.Suggested != 2 || s.Facts != 2 {
		t.Errorf("suggested block %d of %d facts, want 2 of 2", s.Suggested, s.Facts)
	}
	// Total effects 0.8 and 0.7: mean 0.75, s = 0.0707, band 1.96·s/√2.
	if math.Abs(s.Total.Mean-0.75) > 1e-12 || math.Abs(s.Total.Band-1.96*0.1/2) > 1e-12 {
		t.Errorf("total effect %+v", s.Total)
	}
	for b, want := range []float64{0.01, 0.02, 0.03, 0.04, 0.05, 0.06} {
		if got := s.Effects[b].Blocks[1]; math.Abs(got.Mean-want) > 1e-12 || got.N != 2 {
			t.Errorf("%s: %+v, want mean %v of 2", s.Effects[b].Tokens, got, want)
		}
	}
	other := sample(0.9, 0.1)
	other.Restore = MLP
	if err := a.Add(other); err == nil {
		t.Error("results of two configurations were averaged")
	}
	if _, err := (&Average{}).Summary(); err == nil {
		t.Error("an average of nothing")
	}
	if rows := s.Rows(); len(rows) != 7 || len(rows[1]) != 4 {
		t.Errorf("table of %d rows", len(rows))
	}
}

func TestRecoveryIsUndefinedWithoutAnEffect(t *testing.T) {
	if _, ok := sample(0.5, 0.5).Recovery(); ok {
		t.Error("a recovery of nothing")
	}
	r := sample(0.9, 0.1)
	share, ok := r.Recovery()
	if token, block := r.Best(); !ok || token != 3 || block != 2 || math.Abs(share[3][2]-1) > 1e-12 {
		t.Errorf("recovery %v at token %d, block %d, defined %v; want 1 at 3, 2", share[token][block], token, block, ok)
	}
}

func TestHeatMaps(t *testing.T) {
	dir := t.TempDir()
	r := sample(0.9, 0.1)
	a := &Average{}
	if err := a.Add(r); err != nil {
		t.Fatal(err)
	}
	s, err := a.Summary()
	if err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(string) error{"result": r.WriteHeatMap, "summary": s.WriteHeatMap, "flat": sample(0.5, 0.5).WriteHeatMap} {
		for ending, magic := range map[string]string{".png": "\x89PNG", ".svg": "<?xml"} {
			path := filepath.Join(dir, name+ending)
			if err := write(path); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(text), magic) {
				t.Errorf("%s begins with %q", path, text[:min(len(text), 8)])
			}
			if ending == ".svg" && name == "result" && !strings.Contains(string(text), ">subject<") {
				t.Error("the plot does not mark the subject")
			}
		}
		if err := write(filepath.Join(dir, name+".gif")); err == nil {
			t.Error("a heat map of an unknown format")
		}
	}
}

func ExampleResult_Rows() {
	for _, row := range sample(0.9, 0.1).Rows()[3:5] {
		fmt.Println(row)
	}
	// Output:
	// [ B* 1 0.0200 0.1000 0.1200 0.1000]
	// [ C* 2 0.8000 0.1000 0.1300 0.9000]
}
