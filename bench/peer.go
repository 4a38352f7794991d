package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"

	"keyhole.example/keyhole/internal/kernel"
)

// peer is the PyTorch yardstick.
type peer struct {
	python  string
	script  string
	threads int
}

// result is what the yardstick prints with --json.
type result struct {
	EditsPerSecond float64 `json:"edits_per_second"`
	PeakMiB        float64 `json:"peak_rss_mib"`
}

// run times the yardstick on w, whose model must be a Hugging Face folder.
func (p peer) run(ctx context.Context, w Workload, model string) (result, error) {
	var r result
	steps := w.Edits / w.Batch * w.Batch
	cmd := exec.CommandContext(ctx, p.python, p.script, "--bench", model, "--data", w.Data, "--steps", strconv.Itoa(steps),
		"--rank", strconv.Itoa(w.Rank), "--blocks", strconv.Itoa(w.Blocks), "--threads", strconv.Itoa(p.threads), "--json")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return r, fmt.Errorf("%s: %w\n%s", p.script, err, bytes.TrimSpace(errs.Bytes()))
	}
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	if err := json.Unmarshal(lines[len(lines)-1], &r); err != nil {
		return r, fmt.Errorf("%s: its last line is no JSON: %w", p.script, err)
	}
	return r, nil
}

// Side is what one side of a comparison multiplies matrices with; a ratio is
// worth what both are.
type Side struct {
	GFlops  float64 `json:"gemm_gflops"` // of a float32 product of 1024×1024 matrices
	Library string  `json:"library"`
	Threads int     `json:"threads"`
}

func (s Side) String() string {
	return fmt.Sprintf("%.0f GFLOP/s with %s, %d threads", s.GFlops, s.Library, s.Threads)
}

// productSide is the side of the matrices that are multiplied.
const productSide = 1024

// productsCode measures torch's matrix product, best of half a second, and says
// which library it is: one that is loaded beside torch, else what torch was
// built with.
const productsCode = `
import json, re, sys, time, torch
torch.set_num_threads(int(sys.argv[1]))
n = int(sys.argv[2])
x, y = torch.randn(n, n), torch.randn(n, n)
best, end = 1e9, time.perf_counter() + 0.5
while time.perf_counter() < end:
    t = time.perf_counter(); torch.mm(x, y); best = min(best, time.perf_counter() - t)
built = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
name = built.group(1) if built else "an unknown library"
if name != "mkl":  # which is part of torch; others are loaded beside it (numpy has one of its own)
    try:
        paths = [l for l in open("/proc/self/maps") if "numpy" not in l]
        name = next((m.group(1) for l in paths for m in [re.search(r"/lib(openblas|mkl_rt|blis|atlas|blas)[^/]*\.so", l)] if m), name)
    except OSError:
        pass
print(json.dumps(dict(gemm_gflops=2 * n ** 3 / best / 1e9, library="%s of torch %s" % (name, torch.__version__), threads=torch.get_num_threads())))
`

// products measures the yardstick's matrix products.
func (p peer) products(ctx context.Context) (Side, error) {
	var s Side
	cmd := exec.CommandContext(ctx, p.python, "-c", productsCode, strconv.Itoa(p.threads), strconv.Itoa(productSide))
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return s, fmt.Errorf("%s: %w\n%s\ninstall torch from PyPI and name its Python by --python", p.python, err, bytes.TrimSpace(errs.Bytes()))
	}
	if err := json.Unmarshal(out.Bytes(), &s); err != nil {
		return s, fmt.Errorf("%s: the speed of torch's products: %w", p.python, err)
	}
	return s, nil
}

// ownProducts measures ours, on all cores.
func ownProducts() (Side, error) {
	k, err := kernel.New(kernel.Options{})
	if err != nil {
		return Side{}, err
	}
	defer k.Close()
	const n = productSide
	return Side{k.MeasureGemm(n, n, n, false), "keyhole, " + k.Backend(), k.Threads()}, nil
}

// worthComparing refuses a yardstick that multiplies at less than half our
// speed: it would be one with an unsuitable library.
func worthComparing(ours, theirs Side) error {
	if theirs.GFlops >= ours.GFlops/2 {
		return nil
	}
	return fmt.Errorf("the yardstick multiplies matrices at %v, less than half of our %v: a ratio would say nothing about meta-training; install torch 2.x from PyPI (python3 -m venv DIR, DIR/bin/pip install torch) and name its Python by --python", theirs, ours)
}

// bestThreads times w with 1, 2, 4, … and cores threads and takes the fastest.
func (p peer) bestThreads(ctx context.Context, w Workload, model string, cores int, say func(string, ...any)) (int, error) {
	best, fastest := 1, 0.0
	for n := 1; ; n = min(2*n, cores) {
		p.threads = n
		r, err := p.run(ctx, w, model)
		if err != nil {
			return 0, err
		}
		say("the yardstick with %d threads: %.2f edits/s", n, r.EditsPerSecond)
		if r.EditsPerSecond > fastest {
			best, fastest = n, r.EditsPerSecond
		}
		if n == cores {
			return best, nil
		}
	}
}

// findPeer looks for the yardstick in dir.
func findPeer(dir, python string, threads int) (peer, error) {
	found, err := filepath.Glob(filepath.Join(dir, "mend_torch.py"))
	if err != nil || len(found) == 0 {
		return peer{}, fmt.Errorf("%s: no mend_torch.py there; --against wants the folder of the yardstick", dir)
	}
	path, err := exec.LookPath(python)
	if err != nil {
		return peer{}, fmt.Errorf("python: %w; make a virtual environment with torch and transformers (the yardstick's README says how), and name its Python by --python", err)
	}
	return peer{path, found[0], threads}, nil
}
