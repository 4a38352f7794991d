package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/internal/resident"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/lm/tokenizer"
	"keyhole.example/keyhole/nn/graph"
	"keyhole.example/keyhole/train"
)

// Workload is a piece of meta-training to be timed.
type Workload struct {
	Name    string   `json:"name"`
	Editor  string   `json:"editor,omitempty"` // learned: ours, at Sites; empty: MEND
	Sites   []string `json:"sites,omitempty"`  // in place of the last Blocks
	Model   string   `json:"model"`            // Hugging Face folder or GGUF file
	Data    string   `json:"data"`
	Blocks  int      `json:"blocks"`
	Rank    int      `json:"rank"`
	Batch   int      `json:"batch"`   // examples of an optimiser step
	Edits   int      `json:"edits"`   // distinct edits; a second epoch sees them again
	Steps   int      `json:"steps"`   // optimiser steps
	Threads int      `json:"threads"` // 0: all cores
	CacheMB int      `json:"cache_mb"`
	MaxLen  int      `json:"max_len"`
}

// Measurement is what one run of a workload gave.
type Measurement struct {
	StepSeconds    []float64 `json:"step_seconds"` // first epoch, without the first two
	WarmSeconds    []float64 `json:"warm_seconds"` // later epochs
	EditsPerSecond float64   `json:"edits_per_second"`
	WarmPerSecond  float64   `json:"warm_edits_per_second"`
	PeakMiB        float64   `json:"peak_rss_mib"`
	EstimateMiB    float64   `json:"estimated_mib"`
	GFLOP          float64   `json:"gflop_per_step"`
	MatrixSeconds  float64   `json:"matrix_seconds_per_step"`
	AdamSeconds    float64   `json:"optimiser_seconds_per_step"`
	BoundSeconds   float64   `json:"bound_seconds"`      // FLOPs ÷ GEMM speed + optimiser bytes ÷ bandwidth
	WarmBound      float64   `json:"warm_bound_seconds"` // the same without the frozen prefix
	GFLOPS         float64   `json:"gemm_gflops"`
	Bandwidth      float64   `json:"bandwidth_gb_s"`
	AllocsPerStep  float64   `json:"allocs_per_step"`
	BytesPerStep   float64   `json:"alloc_bytes_per_step"`
	Parameters     int       `json:"parameters"`
	EditSeconds    []float64 `json:"edit_seconds"`          // of single edits by what was trained
	SolveShare     float64   `json:"solve_share,omitempty"` // of a step's time: the ridge regressions and what they need
}

// adamBytes is the memory traffic of Adam for one parameter: weight, gradient
// and two moments read; weight, moments and the cleared gradient written.
const adamBytes = 32

// Run trains as w says, in this process, and measures.
func Run(ctx context.Context, w Workload) (Measurement, error) {
	var m Measurement
	dir, err := os.MkdirTemp("", "keyhole-bench-")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(dir)
	cfg := train.Default()
	cfg.Model = train.ModelConfig{Path: w.Model, Blocks: w.Blocks}
	cfg.Data.Train, cfg.Data.Order, cfg.Data.Limit, cfg.Data.Locality, cfg.Data.MaxLen = w.Data, "file", w.Edits, "all", w.MaxLen
	cfg.Hypernet.Rank, cfg.Threads = w.Rank, w.Threads
	cfg.Train.Steps, cfg.Train.Accumulate, cfg.Train.ValEvery, cfg.Train.SaveEvery = w.Steps, w.Batch, 0, 0
	cfg.Memory.Cache = w.CacheMB
	if w.Editor == Learned {
		w.learned(&cfg)
	}
	r, err := configs.Load("", &cfg, configs.Options{})
	if err != nil {
		return m, err
	}
	watch := &watcher{epoch: w.Edits / w.Batch, batch: w.Batch}
	l, err := train.Start(cfg, r, filepath.Join(dir, "run"), false, train.Sources{}, watch)
	if err != nil {
		return m, err
	}
	defer l.Close()
	watch.loop = l
	if w.Editor == Learned {
		watch.profile = l.Objective.StartProfile()
	}
	defer debug.SetGCPercent(debug.SetGCPercent(train.GCPercent))
	m.EstimateMiB = float64(l.Estimate().Total()) / (1 << 20)
	if err := l.Run(ctx); err != nil {
		return m, err
	}
	memory, err := resident.Read()
	if err != nil {
		return m, err
	}
	m.PeakMiB = memory.Peak
	watch.fill(&m)
	if m.EditSeconds, err = editTimes(ctx, l.Editor, w); err != nil {
		return m, err
	}
	m.Parameters = len(l.Net.Flat)
	k, err := kernel.New(kernel.Options{Threads: w.Threads})
	if err != nil {
		return m, err
	}
	defer k.Close()
	m.GFLOPS, m.Bandwidth = k.MeasureGemm(1000, 2112, 1920, true), k.MeasureBandwidth()/1e9
	adam := adamBytes * float64(m.Parameters) / (m.Bandwidth * 1e9)
	m.BoundSeconds = m.GFLOP/m.GFLOPS + adam
	m.WarmBound = watch.warmGFLOP/m.GFLOPS + adam
	return m, nil
}

// watcher times the steps of a run and reads its counters.
type watcher struct {
	loop         *train.Loop
	epoch, batch int
	cold, warm   []float64
	before       counters
	sum          counters // over the cold steps that count
	n            int
	warmGFLOP    float64
	warmN        int
	total        float64               // seconds of the steps that the profile is of
	profile      map[string]graph.Cost // of the steps that count; nil: none is taken
}

// counters are the engine's and the runtime's running totals.
type counters struct {
	work                 kernel.Work
	mallocs, allocedByte uint64
}

func (w *watcher) read() counters {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return counters{w.loop.Engine.Work(), s.Mallocs, s.TotalAlloc}
}

// Stepped implements train.Observer. The first two steps, which build graphs
// and fault pages in, do not count.
func (w *watcher) Stepped(m train.Metrics, _ int) {
	if m.Step > 2 {
		w.total += m.Seconds
	}
	now := w.read()
	d := now.work.Minus(w.before.work)
	switch {
	case m.Step <= 2:
		clear(w.profile)
	case m.Step <= w.epoch:
		w.cold = append(w.cold, m.Seconds)
		w.sum.work = w.sum.work.Plus(d)
		w.sum.mallocs += now.mallocs - w.before.mallocs
		w.sum.allocedByte += now.allocedByte - w.before.allocedByte
		w.n++
	case m.Step > w.epoch+1:
		w.warm = append(w.warm, m.Seconds)
		w.warmGFLOP += d.Flops / 1e9
		w.warmN++
	}
	w.before = now
}

// Started, Validated, Saved and Skipped implement train.Observer.
func (w *watcher) Started(int, int)              {}
func (w *watcher) Validated(train.Metrics, bool) {}
func (w *watcher) Saved(string)                  {}
func (w *watcher) Skipped(string, error)         {}

func (w *watcher) fill(m *Measurement) {
	if w.profile != nil && w.total > 0 {
		solves := 0.0
		for name, c := range w.profile {
			if strings.HasPrefix(name, "solve") {
				solves += c.Time.Seconds()
			}
		}
		m.SolveShare = solves / w.total
	}
	m.StepSeconds, m.WarmSeconds = w.cold, w.warm
	if len(w.cold) > 0 {
		n := float64(w.n)
		m.EditsPerSecond = float64(w.batch) / median(w.cold)
		m.GFLOP = w.sum.work.Flops / n / 1e9
		m.MatrixSeconds, m.AdamSeconds = w.sum.work.Gemm.Seconds()/n, w.sum.work.Adam.Seconds()/n
		m.AllocsPerStep, m.BytesPerStep = float64(w.sum.mallocs)/n, float64(w.sum.allocedByte)/n
	}
	if len(w.warm) > 0 {
		m.WarmPerSecond = float64(w.batch) / median(w.warm)
		w.warmGFLOP /= float64(w.warmN)
	}
}

func median(x []float64) float64 {
	s := slices.Clone(x)
	slices.Sort(s)
	return s[len(s)/2]
}

// gpt2 is a GPT-2 of the given size with random weights.
func gpt2(s size, vocab int) (*lm.Model, error) {
	return lm.New(lm.Config{
		ModelType: "gpt2", Layers: s.layers, Width: s.width, Heads: s.heads, FFN: 4 * s.width,
		Vocab: vocab, Context: 1024, Eps: 1e-5, Activation: kernel.GELUTanh, Tied: true,
	}, rand.New(rand.NewPCG(1, 2)))
}

// gpt2Small writes GPT-2 small's shape with random weights and the tokenizer
// in folder tokens (vocab.json, merges.txt) to dir.
func gpt2Small(dir, tokens string) error {
	m, err := gpt2(size{12, 768, 12}, 50257)
	if err != nil {
		return err
	}
	if m.Tokenizer, err = tokenizer.Load(tokens); err != nil {
		return err
	}
	return m.Save(dir, lm.SaveOptions{DType: tensorfile.F32})
}

// randomModel writes a GPT-2 of size s with random weights and a small
// tokenizer of made-up words to dir.
func randomModel(dir string, s size) error {
	var words []string
	for i := range 100 {
		words = append(words, fmt.Sprintf("w%d subject so other w%d", i, i))
	}
	tok, err := tokenizer.Train(words, 400, []string{"<|endoftext|>"})
	if err != nil {
		return err
	}
	m, err := gpt2(s, 16384)
	if err != nil {
		return err
	}
	m.Tokenizer = tok
	return m.Save(dir, lm.SaveOptions{DType: tensorfile.F32})
}
