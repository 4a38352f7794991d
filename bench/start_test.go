package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"keyhole/configs"
	"keyhole/data"
	"keyhole/lm"
	"keyhole/lm/tensorfile"
	"keyhole/train"
)

// startOf tells a process of this test to do nothing but Start on a run folder.
const startOf = "KEYHOLE_BENCH_START"

func TestMain(m *testing.M) {
	run := os.Getenv(startOf)
	if run == "" {
		os.Exit(m.Run())
	}
	set, err := data.Load(filepath.Join(os.Getenv("KEYHOLE_SHARED"), "data", "zsre", "zsre_eval.jsonl.gz"), data.Options{Limit: 1})
	if err == nil {
		var f Footprint
		if f, err = Start(context.Background(), run, set); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(f)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// trained makes a MEND run of one step.
func trained(tb testing.TB, model, edits string, rank int) string {
	tb.Helper()
	cfg := train.Default()
	cfg.Model.Path, cfg.Data.Train, cfg.Data.Limit, cfg.Hypernet.Rank = model, edits, 4, rank
	cfg.Train.Steps, cfg.Train.Accumulate, cfg.Train.ValEvery, cfg.Train.SaveEvery = 1, 2, 0, 0
	r, err := configs.Load("", &cfg, configs.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	dir := filepath.Join(tb.TempDir(), "run")
	w := &watcher{epoch: 1, batch: 2}
	l, err := train.Start(cfg, r, dir, false, train.Sources{}, w)
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	w.loop = l
	if err := l.Run(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return dir
}

func needStatus(tb testing.TB) {
	if _, err := os.Stat(status); err != nil {
		tb.Skip(status + " is missing: this system does not tell resident memory")
	}
}

func TestResidentMemory(t *testing.T) {
	needStatus(t)
	r, err := resident()
	if err != nil {
		t.Fatal(err)
	}
	if r.RSS <= 0 || r.Peak < r.Anon || r.Anon+r.File > r.RSS+1 {
		t.Errorf("%+v", r)
	}
}

// BenchmarkStart opens a trained editor of SmolLM2-135M, from its quantised
// file and from a folder of F32 weights, and reports the memory before its
// first edit, by a process of its own.
func BenchmarkStart(b *testing.B) {
	needStatus(b)
	shared := os.Getenv("KEYHOLE_SHARED")
	if shared == "" {
		b.Skip("set KEYHOLE_SHARED to the folder with data/ and models/ to run this benchmark")
	}
	models, err := filepath.Glob(filepath.Join(shared, "models", "smollm2-135m", "*.gguf"))
	if err != nil || len(models) == 0 {
		b.Fatalf("no GGUF file of SmolLM2 under %s: %v", shared, err)
	}
	edits := filepath.Join(shared, "data", "zsre", "zsre_train.jsonl.gz")
	b.Run("gguf", func(b *testing.B) { benchmarkStart(b, trained(b, models[0], edits, 1920)) })
	b.Run("f32", func(b *testing.B) {
		m, err := lm.Load(models[0])
		if err != nil {
			b.Fatal(err)
		}
		defer m.Close()
		dir := filepath.Join(b.TempDir(), "smollm2")
		if err := m.Save(dir, lm.SaveOptions{DType: tensorfile.F32}); err != nil {
			b.Fatal(err)
		}
		benchmarkStart(b, trained(b, dir, edits, 1920))
	})
}

func benchmarkStart(b *testing.B, run string) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	var f Footprint
	for b.Loop() {
		c := exec.CommandContext(b.Context(), self)
		c.Env = append(os.Environ(), startOf+"="+run)
		c.Stderr = os.Stderr
		out, err := c.Output()
		if err != nil {
			b.Fatal(err)
		}
		if err := json.Unmarshal(out, &f); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(f.WeightsMiB, "weights-MiB")
	b.ReportMetric(f.NetworkMiB, "network-MiB")
	b.ReportMetric(f.BeforeEdit.RSS, "before-MiB")
	b.ReportMetric(f.BeforeEdit.Peak, "before-peak-MiB")
	b.ReportMetric(f.BeforeEdit.Anon, "before-anon-MiB")
	b.ReportMetric(f.ModelRatio(), "model/weights")
	b.ReportMetric(f.FirstResult.Peak, "first-peak-MiB")
	b.ReportMetric(f.EditSeconds, "s-to-edit")
	b.ReportMetric(f.FirstSeconds, "s-to-result")
}
