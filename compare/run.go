package compare

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/internal/lock"
	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/internal/resident"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/train"
	"keyhole.example/keyhole/workbench"
)

// Result is what a comparison gave.
type Result struct {
	Editors map[string]*eval.Report `json:"editors"`
	Failed  map[string]string       `json:"failed,omitempty"` // editor → why it has no figures
	Files   []string                `json:"files,omitempty"`

	Order []string `json:"-"` // of the editors with figures
}

// Watcher is told how a comparison goes on.
type Watcher interface {
	workbench.Watcher
	workbench.Trainee
	// Comparing tells which of n editors is next, counted from 1.
	Comparing(label string, i, n int)
	// Evaluating tells how far the evaluation of an editor is.
	Evaluating(label string, p eval.Progress)
	// Evaluated ends that. err is why there are no figures, or nil.
	Evaluated(label string, err error)
}

// Runner makes comparisons. Its fields have to be set.
type Runner struct {
	Config
	Dir string // for results, runs and reports
	// Read reads a training configuration by path or by the name of a preset.
	Read    func(name string, into any, set []string) (*configs.Resolved, error)
	Watcher Watcher
	Team    mpi.Team          // processes that compare together, each of which calls Run; nil: this one alone
	Note    func(text string) // told what was taken for granted; may be nil

	set    *data.Set
	asked  bool             // set's prompts stand in the chat template
	shared *workbench.Bench // base model of the editors that need no training
	scorer *eval.Scorer     // of shared
}

// Run compares all editors and returns what came of each. An editor that fails
// does not stop the others. With a cancelled ctx it returns its cause; what was
// evaluated is kept, and another Run goes on there.
func (m *Runner) Run(ctx context.Context) (*Result, error) {
	var err error
	if m.set, err = m.load(); err != nil {
		return nil, err
	}
	if text := m.set.UnreadKeys(); text != "" && m.Note != nil {
		m.Note(m.set.Name + " " + text)
	}
	unlock, err := m.claim()
	if err != nil {
		return nil, err
	}
	defer unlock()
	out := &Result{Editors: map[string]*eval.Report{}, Failed: map[string]string{}}
	for i, e := range m.Editors {
		m.Watcher.Comparing(e.Label(), i+1, len(m.Editors))
		r, err := m.one(ctx, e)
		stop, failed := mpi.Any(m.Team, ctx.Err() != nil)
		if stop || failed != nil {
			return nil, errors.Join(cmp.Or(context.Cause(ctx), failed, mpi.ErrStopped), m.close())
		}
		m.Watcher.Evaluated(e.Label(), err)
		if err != nil {
			out.Failed[e.Label()] = err.Error()
			continue
		}
		out.Editors[e.Label()] = r
		out.Order = append(out.Order, e.Label())
	}
	if err := m.close(); err != nil {
		return nil, err
	}
	if len(out.Order) == 0 {
		return nil, fmt.Errorf("compare: no editor could be evaluated; the first says: %s", out.Failed[m.Editors[0].Label()])
	}
	return out, out.comparable()
}

// claim makes the folder and locks it, which process 0 does for all.
func (m *Runner) claim() (unlock func() error, err error) {
	held := &lock.Lock{}
	if mpi.Leads(m.Team) {
		if err = os.MkdirAll(filepath.Join(m.Dir, "editors"), 0o777); err == nil {
			held, err = lock.Folder(m.Dir)
		}
		if err != nil {
			held, err = &lock.Lock{}, fmt.Errorf("compare: %w", err)
		}
	}
	return held.Unlock, mpi.Agree(m.Team, err)
}

func (m *Runner) load() (*data.Set, error) {
	d := m.Data
	if d.Path == "" {
		d.Path = workbench.Embedded
	}
	return workbench.LoadEdits(d.Path, data.Options{Split: d.Split, Neighbors: d.Neighbors, Locality: d.Locality, Join: data.Join(d.Join), Occurrence: d.Occurrence, Distinct: d.Distinct, SkipBad: d.SkipBad, SkipBadBy: "data.skip_bad: true"})
}

func (m *Runner) close() error {
	if m.shared == nil {
		return nil
	}
	b := m.shared
	m.shared = nil
	return b.Close()
}

// one evaluates one editor.
func (m *Runner) one(ctx context.Context, e Entry) (*eval.Report, error) {
	b, err := m.open(ctx, e)
	if err = mpi.Agree(m.Team, err); err != nil {
		return nil, err
	}
	protocol, err := eval.FindProtocol(m.Protocol)
	if err != nil {
		return nil, err
	}
	o := eval.Options{
		Set: m.set, Limit: m.Data.Limit, Protocol: protocol, Batch: m.Batch, Rounds: m.Rounds, MaxLen: m.MaxLen, Metrics: m.Metrics,
		Seed: m.Seed, Out: m.results(e.Label()), Team: m.Team, Progress: func(p eval.Progress) { m.Watcher.Evaluating(e.Label(), p) },
	}
	if o.Ability, err = workbench.AbilityText(m.Ability); err != nil {
		return nil, err
	}
	if m.Data.Template == "chat" {
		o.Style = eval.ChatStyle
		if err := m.ask(b.Model); err != nil {
			return nil, err
		}
	}
	if b == m.shared {
		if m.scorer == nil {
			m.scorer = eval.NewScorer(b.Model, b.Engine, 0)
		}
		o.Scorer = m.scorer
	}
	resident.ResetPeak() // so that each editor's is its own
	r, err := b.Evaluate(ctx, o)
	if b != m.shared {
		err = errors.Join(err, b.Close())
	}
	return r, err
}

// ask puts the prompts into the chat template of the base model, which is that of
// all editors.
func (m *Runner) ask(base *lm.Model) error {
	if m.asked {
		return nil
	}
	template, err := base.Chat()
	if err != nil {
		return fmt.Errorf("data.template: %w", err)
	}
	if err := m.set.Ask(template.Ask); err != nil {
		return fmt.Errorf("data.template: %w", err)
	}
	m.asked = true
	return nil
}

// results is the file of an editor's results.
func (m *Runner) results(label string) string {
	return filepath.Join(m.Dir, "editors", label+".jsonl")
}

// open loads or makes an entry's editor, and trains it first if need be.
func (m *Runner) open(ctx context.Context, e Entry) (*workbench.Bench, error) {
	model := cmp.Or(m.Model, workbench.Embedded)
	dir, set := e.Run, e.Set
	if e.trained() {
		if dir == "" {
			dir = filepath.Join(m.Dir, "runs", e.Label())
		}
		own := e.Set
		if e.Editor != "" {
			own, set = nil, append(slices.Clone(e.Set), catalog.Kept+"="+dir)
		}
		if e.Train != "" {
			if err := m.Train(ctx, e.Train, own, dir); err != nil {
				return nil, err
			}
		}
	}
	if e.Editor == "" {
		return workbench.OpenTrained(dir, model, m.Threads)
	}
	if m.shared == nil {
		b, err := workbench.Open(model, m.Threads, lm.LoadOptions{Pre: m.Pre})
		if err != nil {
			return nil, err
		}
		b.Corpus, b.Demos, b.Watcher = m.Corpus, m.Demos, m.Watcher
		m.shared = b
	}
	return m.shared, m.shared.Use(ctx, e.Editor, set)
}

// Train makes sure that a folder holds a run of a configuration.
func (m *Runner) Train(ctx context.Context, config string, set []string, dir string) error {
	cfg := train.Default()
	r, err := m.Read(config, &cfg, set)
	if err != nil {
		return err
	}
	return workbench.Ensure(ctx, m.Team, cfg, r, dir, m.Watcher)
}

// comparable refuses results that were not measured in the same way.
func (r *Result) comparable() error {
	var reports []*eval.Report
	for _, name := range r.Order {
		reports = append(reports, r.Editors[name])
		first := reports[0]
		if x := r.Editors[name]; !lm.OfOneModel(x.Model, first.Model) {
			return fmt.Errorf("compare: %s was measured on one base model (%s), %s on another (%s); compare editors of one model", r.Order[0], first.Model, name, x.Model)
		}
	}
	if mixed := eval.Mixed(reports...); len(mixed) > 0 {
		return fmt.Errorf("compare: results that were measured differently are not comparable: %s", strings.Join(mixed, "; "))
	}
	return nil
}
