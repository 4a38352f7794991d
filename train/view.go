package train

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"keyhole.example/keyhole/checkpoints"
	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/internal/console"
	"keyhole.example/keyhole/internal/lock"
	"keyhole.example/keyhole/internal/regular"
)

// State is how far a run is, seen from outside.
type State struct {
	Editor      string // name of the editor that it trains
	Step, Steps int
	Running     bool // a process of this machine works on it
}

// View looks at a run folder without touching it.
func View(dir string) (State, error) {
	cfg := Default()
	path := filepath.Join(dir, "config.yaml")
	const maxConfig = 1 << 20
	text, err := regular.ReadFile(path, maxConfig)
	if err != nil {
		return State{}, fmt.Errorf("run: %w", err)
	}
	if _, err := configs.Read(path, text, &cfg, configs.Options{Saved: true}); err != nil {
		return State{}, fmt.Errorf("run: %w", err)
	}
	s := State{Editor: cfg.Hypernet.Name(), Steps: cfg.Train.Steps, Running: lock.Alive(dir)}
	if cfg.Learner == LearnSERAC {
		s.Editor = LearnSERAC
	}
	lines, _, err := LogFrom(dir, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil // it has just begun
	}
	for _, m := range lines {
		s.Step = max(s.Step, m.Step)
	}
	return s, err
}

// LogEnd is where LogFrom goes on behind the last whole line of a run's log. It
// reads the log's end alone.
func LogEnd(dir string) (int64, error) {
	f, err := regular.Open(filepath.Join(dir, "log.jsonl"))
	if err != nil {
		return 0, fmt.Errorf("log: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("log: %w", err)
	}
	block := make([]byte, 4<<10)
	for end := info.Size(); end > 0; end -= int64(len(block)) {
		part := block[:min(end, int64(len(block)))]
		if _, err := f.ReadAt(part, end-int64(len(part))); err != nil {
			return 0, fmt.Errorf("log: %w", err)
		}
		if at := bytes.LastIndexByte(part, '\n'); at >= 0 {
			return end - int64(len(part)-at-1), nil
		}
	}
	return 0, nil
}

// LogFrom reads the lines of a run's log from a byte on, as far as they are whole,
// and says where the next one will begin. Lines that are damaged are left out. A
// log that has become shorter than from, since the run went on from an earlier
// step, has no new lines yet.
func LogFrom(dir string, from int64) (lines []Metrics, next int64, err error) {
	f, err := regular.Open(filepath.Join(dir, "log.jsonl"))
	if err != nil {
		return nil, from, fmt.Errorf("log: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, from, fmt.Errorf("log: %w", err)
	}
	if info.Size() < from {
		return nil, info.Size(), nil
	}
	raw, err := io.ReadAll(io.NewSectionReader(f, from, min(info.Size()-from, maxLog)))
	if err != nil {
		return nil, from, fmt.Errorf("log: %w", err)
	}
	whole := raw[:bytes.LastIndexByte(raw, '\n')+1]
	for line := range bytes.Lines(whole) {
		if m, err := readLine(line); err == nil {
			lines = append(lines, m)
		}
	}
	return lines, from + int64(len(whole)), nil
}

// Gone names the checkpoint that a run saved last, if somebody deleted it.
func Gone(run string) string {
	s, err := checkpoints.View(filepath.Join(run, "checkpoints"))
	if err != nil {
		return "" // a new run
	}
	return s.Gone()
}

// WhyDone says why a run has no step left.
func (s Summary) WhyDone() string {
	if s.Stopped {
		return fmt.Sprintf("was stopped early at step %d (train.patience)", s.Step)
	}
	return fmt.Sprintf("has %d steps already", s.Step)
}

// NoRun says what a path is that is no run folder.
func NoRun(path string) error {
	folder, what := filepath.Clean(path), "holds checkpoints"
	if filepath.Base(folder) != "checkpoints" {
		folder, what = filepath.Dir(folder), "is a checkpoint"
	}
	switch {
	case filepath.Base(folder) == "checkpoints":
		return fmt.Errorf("%s %s; resume wants the run folder that it is in: keyhole resume %s", path, what, console.Shell(filepath.Dir(folder)))
	case exists(filepath.Join(path, "manifest.json")):
		return fmt.Errorf("%s is a checkpoint; resume wants a run folder, which has config.yaml and checkpoints/", path)
	}
	return fmt.Errorf("%s is no run folder: it has no config.yaml; start one with: keyhole train quickstart --out %s (keyhole config explain lists other presets)", path, console.Shell(path))
}
