package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/internal/resident"
)

// comparison is a configuration of keyhole compare.
type comparison struct {
	Seed     uint64          `yaml:"seed" doc:"seed of borrowed prompts and sampled texts"`
	Threads  int             `yaml:"threads" doc:"threads; 0: all cores. No result depends on it"`
	Model    string          `yaml:"model" doc:"base model: Hugging Face folder or GGUF file; empty: the embedded model"`
	Data     comparedData    `yaml:"data" doc:"edits to evaluate on"`
	Protocol string          `yaml:"protocol" doc:"single, batch, sequential (asked at the end), sequential-immediate or sequential-both"`
	Batch    int             `yaml:"batch" doc:"edits made together, for protocol batch, 0: 10, and rounds of sequential ones, 0: 1"`
	Rounds   int             `yaml:"rounds" doc:"rounds of a sequence before the next begins with the base model; 0: all"`
	Ability  string          `yaml:"ability" doc:"text on which the model at the end of a sequence is compared with the base: a file, or embedded; empty: none"`
	MaxLen   int             `yaml:"max_len" doc:"cut prompts and answers at so many tokens; 0: 32; -1: never"`
	Metrics  []string        `yaml:"metrics" doc:"families of metrics; empty: those that the data allow"`
	Corpus   string          `yaml:"corpus" doc:"text for the editors' statistics; empty: the embedded text"`
	Demos    demoSource      `yaml:"demos" doc:"edits for ike's demonstrations"`
	Editors  []comparedEntry `yaml:"editors" doc:"what is compared"`
}

// comparedData names the edits.
type comparedData struct {
	Path      string `yaml:"path" doc:"file of edits; empty: the embedded held-out edits"`
	Split     string `yaml:"split" doc:"split of the file, where it has splits"`
	Neighbors string `yaml:"neighbors" doc:"CounterFact neighbours to merge"`
	Locality  string `yaml:"locality" doc:"unrelated questions to borrow where edits have none"`
	Limit     int    `yaml:"limit" doc:"evaluate so many first edits; 0: all"`
	SkipBad   bool   `yaml:"skip_bad" doc:"count bad records instead of stopping"`
}

// demoSource names the edits that demonstrations are made of.
type demoSource struct {
	Path      string   `yaml:"path" doc:"file of edits; empty: the embedded training edits"`
	Split     string   `yaml:"split" doc:"split of the file, where it has splits"`
	Neighbors string   `yaml:"neighbors" doc:"CounterFact neighbours to merge"`
	Exclude   []string `yaml:"exclude" doc:"files of edits, such as those compared, about whose subjects nothing is shown"`
}

// add adds the flags that name the edits.
func (d *demoSource) add(c *cobra.Command) {
	fs := c.Flags()
	fs.StringVar(&d.Path, "demos", "", "`file` of edits for ike's demonstrations (default: the embedded training edits)")
	fs.StringVar(&d.Split, "demos-split", "", "split of --demos, where it names splits")
}

// named says whether edits other than the embedded training edits are wanted.
func (d demoSource) named() bool { return d.Path != "" || d.Split != "" }

func (d demoSource) load() (*data.Set, error) {
	if d.Path == "" || d.Path == embeddedName {
		d.Path, d.Split = embeddedName, cmp.Or(d.Split, "train")
	}
	return loadData(d.Path, data.Options{Split: d.Split, Neighbors: d.Neighbors, Exclude: d.Exclude})
}

// comparedEntry is one editor of a comparison.
type comparedEntry struct {
	Name   string   `yaml:"name" doc:"its name in tables; empty: that of the editor"`
	Editor string   `yaml:"editor" doc:"an editor that needs no training"`
	Run    string   `yaml:"run" doc:"run or checkpoint folder of a trained editor"`
	Train  string   `yaml:"train" doc:"config or preset to train with where run holds nothing yet; without run, in the folder of the comparison"`
	Set    []string `yaml:"set" doc:"overrides of the editor's config, or of that of train"`
}

func defaultComparison() comparison { return comparison{Protocol: "single"} }

// Validate reports impossible values that concern no single editor.
func (c *comparison) Validate() error {
	bad := func(key string, value any, problem string, args ...any) error {
		return &configs.FieldError{Key: key, Value: value, Problem: fmt.Sprintf(problem, args...)}
	}
	if _, ok := protocols()[c.Protocol]; !ok {
		return bad("protocol", c.Protocol, "this is none of %s", protocolNames)
	}
	if !isSequence(c.Protocol) && (c.Rounds > 0 || c.Ability != "") {
		return bad("protocol", c.Protocol, "rounds and ability are for sequential protocols")
	}
	for _, n := range []struct {
		key          string
		value, least int
	}{{"threads", c.Threads, 0}, {"batch", c.Batch, 0}, {"rounds", c.Rounds, 0}, {"data.limit", c.Data.Limit, 0}, {"max_len", c.MaxLen, -1}} {
		if n.value < n.least {
			return bad(n.key, n.value, "it is below %d", n.least)
		}
	}
	if err := eval.CheckFamilies(c.Metrics); err != nil {
		return bad("metrics", nil, "%v", err)
	}
	if len(c.Editors) == 0 {
		return bad("editors", nil, "there is none; name at least one")
	}
	seen := map[string]bool{}
	for i, e := range c.Editors {
		if label := e.label(); label != "" && seen[label] {
			return bad(fmt.Sprintf("editors[%d]", i), nil, "two are called %s; give them names", label)
		}
		seen[e.label()] = true
	}
	return nil
}

// Validate reports an entry that names no editor, or nothing that it has.
func (e *comparedEntry) Validate() error {
	switch {
	case e.Editor == "" && e.Run == "" && e.Train == "":
		return errors.New("it needs editor, run or train")
	case e.Editor != "" && (e.Run != "" || e.Train != ""):
		return errors.New("editor goes neither with run nor with train")
	case e.Run != "" && e.Train == "" && len(e.Set) > 0:
		return errors.New("set changes nothing of a run that is there; leave it out, or name what to train")
	case strings.ContainsAny(e.label(), `/\`) || strings.HasPrefix(e.label(), "."):
		return fmt.Errorf("%q is no name for a file; give it a name of letters and digits", e.label())
	case e.Editor != "":
		if _, _, err := readEditor(e.Editor, e.Set); err != nil {
			return fmt.Errorf("%v", err) // its keys are not this file's
		}
	}
	return nil
}

// label is the entry's name in tables and files.
func (e comparedEntry) label() string {
	switch {
	case e.Name != "":
		return e.Name
	case e.Editor != "":
		return e.Editor
	case e.Run != "":
		return filepath.Base(filepath.Clean(e.Run))
	}
	return e.Train
}

// compared is the JSON of compare.
type compared struct {
	Editors map[string]*eval.Report `json:"editors"`
	Failed  map[string]string       `json:"failed,omitempty"` // editor → why it has no figures
	Files   []string                `json:"files,omitempty"`

	order []string
}

// comparer is a comparison in progress.
type comparer struct {
	comparison
	c      *cobra.Command
	dir    string
	set    *data.Set
	shared *workbench   // base model of the editors that need no training
	scorer *eval.Scorer // of shared
}

// run compares all editors and returns what came of each. An editor that fails
// does not stop the others.
func (m *comparer) run() (*compared, error) {
	var err error
	if m.set, err = m.load(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(m.dir, "editors"), 0o777); err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	out := &compared{Editors: map[string]*eval.Report{}, Failed: map[string]string{}}
	for _, e := range m.Editors {
		r, err := m.one(e)
		if stop := stopped(m.c); stop != nil {
			fmt.Fprintf(m.c.ErrOrStderr(), "what was evaluated is in %s; type the same command again to go on\n", m.dir)
			return nil, errorAfter(stop, m.close())
		}
		if err != nil {
			fmt.Fprintf(m.c.ErrOrStderr(), "%s has no figures: %v\n", e.label(), err)
			out.Failed[e.label()] = err.Error()
			continue
		}
		out.Editors[e.label()] = r
		out.order = append(out.order, e.label())
	}
	if err := m.close(); err != nil {
		return nil, err
	}
	if len(out.order) == 0 {
		return nil, fmt.Errorf("compare: no editor could be evaluated; the first says: %s", out.Failed[m.Editors[0].label()])
	}
	return out, out.comparable()
}

func (m *comparer) load() (*data.Set, error) {
	d := m.Data
	if d.Path == "" {
		d.Path = embeddedName
	}
	return loadData(d.Path, data.Options{Split: d.Split, Neighbors: d.Neighbors, Locality: d.Locality, SkipBad: d.SkipBad, SkipBadBy: "data.skip_bad: true"})
}

func (m *comparer) close() error {
	if m.shared == nil {
		return nil
	}
	b := m.shared
	m.shared = nil
	return b.close()
}

// one evaluates one editor.
func (m *comparer) one(e comparedEntry) (*eval.Report, error) {
	b, err := m.open(e)
	if err != nil {
		return nil, err
	}
	o := eval.Options{
		Set: m.set, Limit: m.Data.Limit, Protocol: protocols()[m.Protocol], Batch: m.Batch, Rounds: m.Rounds, MaxLen: m.MaxLen, Metrics: m.Metrics,
		Seed: m.Seed, Out: m.results(e.label()),
	}
	if o.Ability, err = abilityText(m.Ability); err != nil {
		return nil, err
	}
	if b == m.shared {
		if m.scorer == nil {
			m.scorer = eval.NewScorer(b.model, b.engine, 0)
		}
		o.Scorer = m.scorer
	}
	resident.ResetPeak() // so that each editor's is its own
	r, err := evaluate(m.c, b, o, fmt.Sprintf("%-10s", e.label()))
	if b != m.shared {
		err = errorAfter(err, b.close())
	}
	return r, err
}

// results is the file of an editor's results.
func (m *comparer) results(label string) string {
	return filepath.Join(m.dir, "editors", label+".jsonl")
}

// open loads or makes an entry's editor, and trains it first if need be.
func (m *comparer) open(e comparedEntry) (*workbench, error) {
	model := m.Model
	if model == "" {
		model = embeddedName
	}
	if e.Editor == "" {
		dir := e.Run
		if dir == "" {
			dir = filepath.Join(m.dir, "runs", e.label())
		}
		if e.Train != "" {
			if err := ensureTrained(m.c, e.Train, e.Set, dir); err != nil {
				return nil, err
			}
		}
		return openTrained(dir, model, m.Threads, false)
	}
	if m.shared == nil {
		b, err := openModelOnly(model, m.Threads)
		if err != nil {
			return nil, err
		}
		b.corpus, b.demos, b.w = m.Corpus, m.Demos, m.c.ErrOrStderr()
		m.shared = b
	}
	m.shared.set = e.Set
	return m.shared, m.shared.build(m.c.Context(), e.Editor)
}

// comparable refuses results that were not measured in the same way.
func (r *compared) comparable() error {
	var reports []*eval.Report
	for _, name := range r.order {
		reports = append(reports, r.Editors[name])
		first := reports[0]
		if x := r.Editors[name]; x.Model != first.Model {
			return fmt.Errorf("compare: %s was measured on the base model %.12s…, %s on %.12s…; compare editors of one model", r.order[0], first.Model, name, x.Model)
		}
	}
	if mixed := eval.Mixed(reports...); len(mixed) > 0 {
		return fmt.Errorf("compare: results that were measured differently are not comparable: %s", strings.Join(mixed, "; "))
	}
	return nil
}
