package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
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

// findPeer looks for the yardstick in dir.
func findPeer(dir, python string, threads int) (peer, error) {
	found, err := filepath.Glob(filepath.Join(dir, "mend_torch.py"))
	if err != nil || len(found) == 0 {
		return peer{}, fmt.Errorf("%s: no mend_torch.py there; --against wants the folder of the yardstick", dir)
	}
	path, err := exec.LookPath(python)
	if err != nil {
		return peer{}, fmt.Errorf("python: %w; install it with torch and transformers, or name another by --python", err)
	}
	return peer{path, found[0], threads}, nil
}
