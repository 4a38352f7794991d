package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/internal/regular"
	"keyhole.example/keyhole/internal/seal"
	"keyhole.example/keyhole/meta"
	"keyhole.example/keyhole/train/tensorboard"
)

// logs are the run's log.jsonl and its TensorBoard events.
type logs struct {
	file *os.File
	tb   *tensorboard.Writer
}

// maxLog bounds log.jsonl: a line has some hundred bytes.
const maxLog = 1 << 30

// openLogs opens the logs of a run that goes on behind step done. Lines of later
// steps, and a last one without its end, which a killed run had written, are
// dropped. Others that cannot be read stay as they are; notes tells of them.
func openLogs(dir string, done int) (l *logs, notes []string, err error) {
	path := filepath.Join(dir, "log.jsonl")
	if notes, err = cutLog(path, done); err != nil {
		return nil, nil, err
	}
	f, err := regular.OpenFileOwn(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, nil, fmt.Errorf("log: %w", err)
	}
	first := int64(0)
	if done > 0 {
		first = int64(done) + 1
	}
	tb, err := tensorboard.Create(filepath.Join(dir, "tb"), first, time.Now)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return &logs{f, tb}, notes, nil
}

// cutLog rewrites the log without lines of steps beyond done, if it has any.
func cutLog(path string, done int) (notes []string, err error) {
	raw, err := regular.ReadOwn(path, maxLog)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	whole := raw[:bytes.LastIndexByte(raw, '\n')+1]
	kept := make([]byte, 0, len(whole))
	n := 0
	for line := range bytes.Lines(whole) {
		n++
		m, err := readLine(line)
		if err != nil {
			notes = append(notes, fmt.Sprintf("%s line %d: %v; the line stays as it is, and no result depends on it", path, n, err))
		}
		if err != nil || m.Step <= done {
			kept = append(kept, line...)
		}
	}
	if len(kept) == len(raw) {
		return notes, nil
	}
	return notes, writeBytes(path, kept)
}

// readLine reads a line of log.jsonl. The first version wrote no sums.
func readLine(line []byte) (Metrics, error) {
	var m Metrics
	text, _, err := seal.Open(bytes.TrimSuffix(line, []byte("\n")))
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	return m, err
}

// write adds a line. Processes that write nothing have no logs.
func (l *logs) write(m Metrics) error {
	if l == nil {
		return nil
	}
	b, err := json.Marshal(m)
	if err == nil {
		b, err = seal.Line(b)
	}
	if err != nil {
		return fmt.Errorf("log of step %d: %w", m.Step, err)
	}
	if _, err := l.file.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	scalars := map[string]float64{
		m.Kind + "/loss": m.Total, m.Kind + "/edit": m.Edit, m.Kind + "/loc": m.Loc, m.Kind + "/edit_acc": m.Right, m.Kind + "/stability": m.Stability,
	}
	if m.Kind == "train" {
		scalars["train/grad_norm"], scalars["train/mean_step_size"] = m.GradNorm, m.Rate
	}
	if err := l.tb.Scalars(int64(m.Step), scalars); err != nil {
		return err
	}
	return l.tb.Flush()
}

func average(out []meta.Outcome) Metrics {
	var m Metrics
	for _, o := range out {
		n := float64(len(out))
		m.Total += o.Total / n
		m.Edit += o.Edit / n
		m.Loc += o.Loc / n
		m.Margin += o.Margin / n
		m.Inner += o.Inner / n
		m.Right += o.Right / n
		m.Prob += o.Prob / n
		m.Stability += o.Stability / n
	}
	return m
}

func (l *logs) close() error {
	err := l.tb.Close()
	if e := l.file.Close(); err == nil {
		err = e
	}
	return err
}

// Summary is what a run has come to, as written to summary.json.
type Summary struct {
	Step       int                `json:"step"`
	Examples   int                `json:"examples"`
	Edits      int                `json:"edits"`
	Skipped    int                `json:"skipped"`
	Stopped    bool               `json:"stopped_early"`
	BestStep   int                `json:"best_step,omitempty"` // 0: there was no validation
	BestLoss   float64            `json:"best_loss,omitempty"`
	Parameters int                `json:"parameters"`
	Sites      []string           `json:"sites"`
	Metrics    map[string]float64 `json:"metrics"`
	Checkpoint string             `json:"checkpoint"`
}

// Summary says what the run has come to.
func (l *Loop) Summary() Summary {
	s := Summary{
		Step: l.state.Step, Examples: l.state.Examples, Edits: l.state.Examples * l.Config.Train.Edits, Skipped: l.state.Skips,
		Stopped: l.state.Stopped, BestStep: l.state.BestStep, BestLoss: l.state.Best,
		Parameters: len(l.Learner().Values()), Metrics: l.lastMetrics, Sites: []string{},
	}
	if len(l.Config.Train.Mix) > 0 {
		s.Edits = l.state.Edits
	}
	for _, x := range l.Sites {
		s.Sites = append(s.Sites, x.Name)
	}
	if l.store == nil {
		return s
	}
	if name, err := l.store.Last(); err == nil {
		s.Checkpoint = filepath.Join("checkpoints", name)
	}
	return s
}

func (l *Loop) summarise() error {
	if !l.leads() {
		return nil
	}
	return writeJSON(filepath.Join(l.dir, "summary.json"), l.Summary())
}

func writeBytes(path string, b []byte) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// ReadLog reads a run's log.jsonl.
func ReadLog(dir string) ([]Metrics, error) {
	path := filepath.Join(dir, "log.jsonl")
	raw, err := regular.ReadFile(path, maxLog)
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	var out []Metrics
	n := 0
	for line := range bytes.Lines(raw) {
		n++
		m, err := readLine(line)
		if err != nil {
			return nil, fmt.Errorf("%s line %d: %w", path, n, err)
		}
		out = append(out, m)
	}
	return out, nil
}
