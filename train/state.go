package train

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"keyhole.example/keyhole/checkpoints"
	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/nn"
)

// state is everything but parameters that the next step depends on.
type state struct {
	Step       int         `json:"step"`            // optimiser steps done
	Examples   int         `json:"examples"`        // examples seen
	Edits      int         `json:"edits,omitempty"` // edits seen, where train.mix says how many an example has
	Cursor     data.Cursor `json:"cursor"`
	Skips      int         `json:"skips"` // examples left out so far
	SkipsInRow int         `json:"skips_in_row"`
	Best       float64     `json:"best"` // lowest validation loss; 0 with BestStep 0: none yet
	BestStep   int         `json:"best_step"`
	Since      int         `json:"since"` // validations since the best
	Stopped    bool        `json:"stopped"`
	Counts     []int64     `json:"normaliser_counts"`
	Priors     []int64     `json:"prior_counts,omitempty"`

	Rows map[string][]int64 `json:"row_counts,omitempty"` // of other kinds of memory

	Others []string `json:"others,omitempty"` // subjects that negatives are drawn from
	Init   *origin  `json:"init,omitempty"`   // nil: a new editor

	Turn  int          `json:"turn,omitempty"`  // examples that the present sequence has made
	Begun *data.Cursor `json:"begun,omitempty"` // where it began
}

// rows are the counts of rows of what the learner remembers, by file. The first
// two kinds have fields of their own, as earlier versions know the one.
func (s *state) rows() map[string][]int64 {
	out := maps.Clone(s.Rows)
	if out == nil {
		out = map[string][]int64{}
	}
	out[hypernet.NormaliserFile], out[hypernet.PriorFile] = s.Counts, s.Priors
	return out
}

func (s *state) setRows(rows map[string][]int64) {
	s.Counts, s.Priors = rows[hypernet.NormaliserFile], rows[hypernet.PriorFile]
	s.Rows = maps.Clone(rows)
	delete(s.Rows, hypernet.NormaliserFile)
	delete(s.Rows, hypernet.PriorFile)
}

// Done reports whether no step is left: all are done, or the early stop struck.
func (l *Loop) Done() bool { return l.state.Stopped || l.state.Step >= l.Config.Train.Steps }

// save writes a checkpoint of the present step.
func (l *Loop) save() error {
	if err := l.compareValues(); err != nil {
		return err
	}
	if !l.leads() {
		l.savedAt = l.state.Step
		return nil
	}
	l.state.Cursor = l.sampler.State()
	l.state.setRows(counts(l.Learner()))
	if l.Objective != nil {
		l.state.Others = l.Objective.Others.Names
	}
	st, err := json.Marshal(l.state)
	if err != nil {
		return err
	}
	hash, err := l.Model.Hash()
	if err != nil {
		return err
	}
	m := checkpoints.Manifest{
		Step: l.state.Step, Config: string(l.resolved.Plain()), ConfigHash: l.configHash(), BaseModel: hash,
		State: st, Metrics: l.lastMetrics,
	}
	if err := l.store.Save(m, l.files()); err != nil {
		return err
	}
	name := checkpoints.FolderName(l.state.Step)
	if err := l.markBest(); err != nil {
		return err
	}
	if l.Config.Train.Keep > 0 {
		if _, err := l.store.Prune(l.Config.Train.Keep); err != nil {
			return err
		}
	}
	l.savedAt = l.state.Step
	l.observer.Saved(filepath.Join(l.store.Dir(), name))
	return nil
}

// markBest points at the present step's checkpoint if it is the best.
func (l *Loop) markBest() error {
	if l.state.BestStep != l.state.Step || l.state.Step == 0 {
		return nil
	}
	return l.store.SetBest(checkpoints.FolderName(l.state.Step))
}

// findBest points at the best checkpoint again, if the run was killed just before
// it did or the pointer was deleted since.
func (l *Loop) findBest() error {
	if _, err := l.store.Best(); l.state.BestStep != l.state.Step && !errors.Is(err, checkpoints.ErrNone) || l.state.BestStep == 0 {
		return nil
	}
	name := checkpoints.FolderName(l.state.BestStep)
	if !exists(filepath.Join(l.store.Dir(), name, "manifest.json")) {
		return nil // deleted with it; the next best takes its place
	}
	return l.store.SetBest(name)
}

// free are the config keys that a resumed run may change, since no result of
// a step depends on them. Where the base model lies is one: its hash is compared.
var free = []string{"threads", "model.path", "train.steps", "train.save_every", "train.keep", "memory.limit", "memory.cache", "memory.stream"}

func (l *Loop) configHash() string { return l.resolved.Hash(free...) }

// restore continues from a checkpoint.
func (l *Loop) restore(c *checkpoints.Checkpoint) error {
	if err := l.checkConfig(c); err != nil {
		return err
	}
	if err := checkModel(c, l.Editor); err != nil {
		return err
	}
	var err error
	if l.state, err = stateOf(c); err != nil {
		return err
	}
	if err := l.Editor.load(c, &l.state); err != nil {
		return err
	}
	if err := l.loadOptimiser(c); err != nil {
		return err
	}
	l.savedAt, l.optim.Steps = l.state.Step, l.state.steps()
	maps.Copy(l.lastMetrics, c.Metrics)
	if err := l.findBest(); err != nil {
		return err
	}
	if err := l.sampler.Restore(l.state.Cursor); err != nil || l.turns == nil {
		return err
	}
	return l.turns.restore(l, c)
}

// loadOptimiser reads the optimiser's moments.
func (l *Loop) loadOptimiser(c *checkpoints.Checkpoint) error {
	f, err := open(c, fileOptim)
	if err != nil {
		return err
	}
	defer f.Close()
	params := l.Learner().Params()
	m, v := nn.Split(l.optim.M, params), nn.Split(l.optim.V, params)
	for i, p := range params {
		if err := read(f, "m."+p.Name, m[i]); err != nil {
			return err
		}
		if err := read(f, "v."+p.Name, v[i]); err != nil {
			return err
		}
	}
	return nil
}

// checkConfig refuses a checkpoint that was written under a config with another
// result, and spells out how the two differ. Keys that came after the version
// that wrote it have the values that they had before.
func (l *Loop) checkConfig(c *checkpoints.Checkpoint) error {
	then, err := savedConfig(c, new(Config))
	if err != nil {
		return err
	}
	msg := fmt.Sprintf("%s was written under another config:", c.Dir)
	differs := false
	for _, d := range configs.Diff(l.resolved, then) {
		if !slices.Contains(free, d.Key) {
			msg += "\n  " + d.String()
			differs = true
		}
	}
	if differs {
		return fmt.Errorf("%s\nresume with the run's own config, or start a new run", msg)
	}
	return nil
}

// savedConfig reads the config that a checkpoint was written under.
func savedConfig(c *checkpoints.Checkpoint, cfg *Config) (*configs.Resolved, error) {
	*cfg = Default()
	return configs.Read(filepath.Join(c.Dir, "manifest.json"), []byte(c.Config), cfg, configs.Options{Saved: true})
}

func checkModel(c *checkpoints.Checkpoint, e *Editor) error {
	note, err := e.Model.Owns(c.BaseModel)
	if err != nil {
		return fmt.Errorf("%s belongs to %w; give the model that it was trained on with --model", c.Dir, err)
	}
	if note != "" {
		e.Notes = append(e.Notes, fmt.Sprintf("%s: %s", c.Dir, note))
	}
	return nil
}

func open(c *checkpoints.Checkpoint, name string) (*safetensors.File, error) {
	path, err := c.Path(name)
	if err != nil {
		return nil, err
	}
	return safetensors.Open(path)
}

func read(f *safetensors.File, name string, dst []float32) error {
	t, err := tensor(f, name, len(dst))
	if err != nil {
		return err
	}
	return t.DecodeRows(dst, 0, t.Rows())
}

func readF64(f *safetensors.File, name string, dst []float64) error {
	t, err := tensor(f, name, len(dst))
	if err != nil {
		return err
	}
	if t.DType != tensorfile.F64 {
		return fmt.Errorf("%s: %s is %v, not F64", f.Path(), name, t.DType)
	}
	for i := range dst {
		dst[i] = math.Float64frombits(binary.LittleEndian.Uint64(t.Raw[8*i:]))
		if math.IsNaN(dst[i]) || math.IsInf(dst[i], 0) {
			return fmt.Errorf("%s: %s has the value %v", f.Path(), name, dst[i])
		}
	}
	return nil
}

func tensor(f *safetensors.File, name string, n int) (*tensorfile.Tensor, error) {
	t, ok := f.Tensor(name)
	if !ok {
		return nil, fmt.Errorf("%s: no tensor %s; the checkpoint belongs to another network", f.Path(), name)
	}
	if t.Elements() != n {
		return nil, fmt.Errorf("%s: %s has %d values, the network needs %d", f.Path(), name, t.Elements(), n)
	}
	return t, nil
}

// OpenEditor loads a trained editor from a run folder or a checkpoint folder.
// change may alter the config before the base model is loaded (another path
// of the same model, more threads).
func OpenEditor(path string, src Sources, change func(*Config)) (*Editor, *checkpoints.Checkpoint, error) {
	c, err := findCheckpoint(path)
	if err != nil {
		return nil, nil, err
	}
	var cfg Config
	if _, err := savedConfig(c, &cfg); err != nil {
		return nil, nil, err
	}
	cfg.Model.Path = Moved(cfg.Model.Path, path)
	if change != nil {
		change(&cfg)
	}
	e, err := NewEditor(cfg, src)
	if err != nil {
		return nil, nil, err
	}
	if err := checkModel(c, e); err != nil {
		return nil, nil, err
	}
	st, err := stateOf(c)
	if err != nil {
		return nil, nil, err
	}
	return e, c, e.load(c, &st)
}

// findCheckpoint accepts a checkpoint folder, or a run folder, whose best
// checkpoint (or last, if none was validated) is taken.
func findCheckpoint(path string) (*checkpoints.Checkpoint, error) {
	if exists(filepath.Join(path, "manifest.json")) {
		return checkpoints.LoadFolder(path)
	}
	dir := filepath.Join(path, "checkpoints")
	if !exists(dir) {
		return nil, fmt.Errorf("%s is neither a run folder (it has no checkpoints/) nor a checkpoint folder (it has no manifest.json)", path)
	}
	s, err := checkpoints.View(dir)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if _, err := s.Best(); !errors.Is(err, checkpoints.ErrNone) {
		return s.Load("best")
	}
	c, err := s.Load("last")
	if err != nil {
		return nil, err
	}
	if st, err := stateOf(c); err != nil || st.BestStep > 0 {
		best, out := filepath.Join(dir, checkpoints.FolderName(st.BestStep)), fmt.Sprintf("keyhole resume %s puts it back", path)
		if !exists(best) {
			out = "so is its checkpoint; name another one, such as " + c.Dir
		}
		return nil, orElse(err, fmt.Errorf("%s: best is missing, though step %d was the best by validation; %s", dir, st.BestStep, out))
	}
	return c, nil
}

// stateOf reads a checkpoint's state.
func stateOf(c *checkpoints.Checkpoint) (state, error) {
	var st state
	if err := json.Unmarshal(c.State, &st); err != nil {
		return st, fmt.Errorf("%s: state: %w", c.Dir, err)
	}
	return st, nil
}

// orElse is err, or other if there is none.
func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// holdsRun reports whether a run was begun in dir that resume goes on with. One
// that was killed before it had written its config has nothing to keep.
func holdsRun(dir string) bool {
	entries, err := os.ReadDir(filepath.Join(dir, "checkpoints"))
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	begun := func(e os.DirEntry) bool { return !strings.HasPrefix(e.Name(), ".") }
	return err != nil || slices.ContainsFunc(entries, begun) || exists(filepath.Join(dir, "config.yaml"))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// writeJSON writes v as an indented file, atomically.
func writeJSON(path string, v any) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	})
}
