package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/checkpoints"
	"keyhole.example/keyhole/edit/kept"
	"keyhole.example/keyhole/edit/saved"
	"keyhole.example/keyhole/edit/serac"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/report"
	"keyhole.example/keyhole/train"
	"keyhole.example/keyhole/workbench"
)

func inspectCommand(o *options) *cobra.Command {
	var model string
	var opts lm.LoadOptions
	c := &cobra.Command{
		Use:   "inspect MODEL|RUN|CHECKPOINT",
		Short: "Say what a model, a run or a checkpoint is",
		Long: `Of a model: architecture, parameters, tokenizer, the edits that it was saved
with, and the layers that can be edited. Of a run or a checkpoint: every file verified, its metrics, and its
networks with their parameters and step sizes. Where a run's best checkpoint is
damaged, its newest whole one is shown.`,
		Example: `  keyhole inspect embedded
  keyhole inspect models/smollm2.gguf --json
  keyhole inspect runs/first
  keyhole inspect runs/first/checkpoints/step-000100`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			if isRun(args[0]) {
				model, err := findBase(c, args[0], model)
				if err != nil {
					return err
				}
				r, err := inspectCheckpoint(args[0], model)
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(c.OutOrStdout(), r)
				}
				return r.print(c.OutOrStdout())
			}
			if model != "" {
				return wrongUse("--model is for runs and checkpoints, and %s is none; leave it out", args[0])
			}
			path, err := findModel(c, args[0])
			if err != nil {
				return err
			}
			r, err := inspectModel(path, opts)
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(c.OutOrStdout(), r)
			}
			return r.print(c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&opts.Pre, "pre", "", "of a GGUF file: pre-tokenizer in place of the one that it names")
	c.Flags().StringVar(&model, "model", "", "of a run: where its base model is now")
	return c
}

// isRun tells run and checkpoint folders from models.
func isRun(path string) bool {
	return isDir(filepath.Join(path, "checkpoints")) || isFile(filepath.Join(path, "config.yaml")) ||
		isFile(filepath.Join(path, "manifest.json")) && !isDir(filepath.Join(path, "model"))
}

// modelInfo is the JSON of inspect for a model.
type modelInfo struct {
	Path         string         `json:"path"`
	Architecture string         `json:"architecture"`
	ModelType    string         `json:"model_type"`
	Parameters   int            `json:"parameters"`
	Hash         string         `json:"sha256"`
	Layers       int            `json:"layers"`
	Width        int            `json:"width"`
	Heads        int            `json:"heads"`
	KVHeads      int            `json:"kv_heads"`
	FFN          int            `json:"ffn"`
	Vocab        int            `json:"vocab"`
	Context      int            `json:"context"`
	Tied         bool           `json:"tied"`
	Tokenizer    *tokenizerInfo `json:"tokenizer"`       // null: the model came without
	Notes        []string       `json:"notes,omitempty"` // what its files leave open and was assumed
	Edits        []kept.Info    `json:"edits,omitempty"` // of a model that keyhole edit saved
	EditedFrom   string         `json:"edited_from_sha256,omitempty"`
	Sites        []siteInfo     `json:"sites"`
}

type tokenizerInfo struct {
	Kind string `json:"kind"`
	Size int    `json:"size"`
}

type siteInfo struct {
	Name  string `json:"name"`
	Block int    `json:"block"`
	Role  string `json:"role"`
	In    int    `json:"in"`
	Out   int    `json:"out"`
}

func inspectModel(path string, opts lm.LoadOptions) (*modelInfo, error) {
	m, err := workbench.LoadModel(path, opts)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	hash, err := m.Hash()
	if err != nil {
		return nil, err
	}
	c := m.Config
	r := &modelInfo{
		Path: path, Architecture: m.Architecture(), ModelType: c.ModelType, Parameters: m.Parameters(), Hash: hash,
		Layers: c.Layers, Width: c.Width, Heads: c.Heads, KVHeads: c.KVHeads, FFN: c.FFN, Vocab: c.Vocab, Context: c.Context, Tied: c.Tied,
		Sites: []siteInfo{}, Notes: m.Notes(),
	}
	if t := m.Tokenizer; t != nil {
		r.Tokenizer = &tokenizerInfo{t.Kind(), t.Size()}
	}
	for _, s := range m.Sites() {
		r.Sites = append(r.Sites, siteInfo{s.Name, s.Block, s.Role, s.Linear.In, s.Linear.Out})
	}
	return r, r.addEdits()
}

// addEdits lists the edits of a folder that keyhole edit saved.
func (r *modelInfo) addEdits() error {
	saved, err := saved.Open(r.Path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	list, err := kept.Read([]string{r.Path})
	if err != nil {
		return err
	}
	r.EditedFrom = saved.Model
	r.Edits = kept.InfoOf(list...)
	return nil
}

func (r *modelInfo) print(w io.Writer) error {
	tokens := "none"
	if r.Tokenizer != nil {
		tokens = fmt.Sprintf("%s, %d tokens", r.Tokenizer.Kind, r.Tokenizer.Size)
	}
	if _, err := fmt.Fprintf(w, "%s: %s, %d parameters, sha256 %.12s…\n%d blocks of width %d, %d heads (%d for keys and values), inner width %d, vocabulary %d, context %d\ntokenizer: %s\n\n",
		r.Path, r.Architecture, r.Parameters, r.Hash, r.Layers, r.Width, r.Heads, r.KVHeads, r.FFN, r.Vocab, r.Context, tokens); err != nil {
		return err
	}
	for _, note := range r.Notes {
		if _, err := fmt.Fprintf(w, "note: %s\n\n", note); err != nil {
			return err
		}
	}
	if r.EditedFrom != "" {
		if _, err := fmt.Fprintf(w, "edits: %d, made to the model with sha256 %.12s…; keyhole edits list %s shows the edits\n\n", len(r.Edits), r.EditedFrom, shell(r.Path)); err != nil {
			return err
		}
	}
	t := &report.Table{Columns: []report.Column{{Name: "site"}, {Name: "block", Right: true}, {Name: "role"}, {Name: "in", Right: true}, {Name: "out", Right: true}}}
	for _, s := range r.Sites {
		t.Add(report.Text(s.Name), report.Text(fmt.Sprint(s.Block)), report.Text(s.Role), report.Text(fmt.Sprint(s.In)), report.Text(fmt.Sprint(s.Out)))
	}
	return showTable(w, t)
}

// checkpointInfo is the JSON of inspect for a run or checkpoint.
type checkpointInfo struct {
	Path       string             `json:"path"`
	Checkpoint string             `json:"checkpoint"`
	Step       int                `json:"step"`
	Verified   bool               `json:"verified"` // every byte of every checkpoint listed
	All        []string           `json:"checkpoints"`
	Damaged    map[string]string  `json:"damaged,omitempty"` // name → what is wrong
	Gone       string             `json:"gone,omitempty"`    // the last checkpoint, if it was deleted
	Kind       string             `json:"kind"`
	BaseModel  string             `json:"base_model_sha256"`
	Parameters int                `json:"parameters"`
	Networks   []networkInfo      `json:"networks"`
	StepSizes  map[string]float64 `json:"step_sizes"`
	Metrics    map[string]float64 `json:"metrics"`
	Files      []checkpoints.File `json:"files"`
}

// networkInfo is one network of the editor.
type networkInfo struct {
	Name       string   `json:"name"`
	Sites      []string `json:"sites"`
	Parameters int      `json:"parameters"`
	Rows       int64    `json:"rows_seen"` // by its normaliser
}

func inspectCheckpoint(path, model string) (*checkpointInfo, error) {
	r := &checkpointInfo{
		Path: path, Verified: true, All: []string{}, Networks: []networkInfo{}, StepSizes: map[string]float64{},
		Metrics: map[string]float64{}, Files: []checkpoints.File{},
	}
	dir := filepath.Join(path, "checkpoints")
	err := r.describe(path, model)
	var bad *checkpoints.CorruptError
	if errors.As(err, &bad) && isDir(dir) {
		r.Verified, err = false, nil
		if bad.Use != "" {
			whole := filepath.Join(dir, bad.Use)
			err = r.describe(whole, model)
			r.Checkpoint = whole
		}
	}
	if err == nil && isDir(dir) {
		err = r.verify(dir)
	}
	return r, err
}

// describe says what is in a checkpoint, or in the best of a run.
func (r *checkpointInfo) describe(path, model string) error {
	e, c, err := train.OpenEditor(path, workbench.Sources(), workbench.BaseModel(model, 0))
	if err != nil {
		return err
	}
	defer e.Model.Close()
	defer e.Close()
	r.Checkpoint, r.Step, r.All, r.Kind = c.Dir, c.Step, []string{c.Name()}, e.Config.Hypernet.Kind
	r.BaseModel, r.Parameters, r.Metrics, r.Files = c.BaseModel, len(e.Learner().Values()), c.Metrics, c.Files
	if e.SERAC != nil {
		r.Kind, r.Networks = e.Config.Learner, partsOf(e.SERAC)
		return nil
	}
	for _, g := range e.Net.Groups {
		n := networkInfo{Name: g.Name, Rows: g.Norm.K}
		for _, s := range g.Sites {
			n.Sites = append(n.Sites, e.Net.Sites[s].Name)
		}
		for _, p := range e.Net.Params() {
			if strings.HasPrefix(p.Name, g.Name+".") {
				n.Parameters += p.Len()
			}
		}
		r.Networks = append(r.Networks, n)
	}
	for i, p := range e.Net.Rates {
		v, err := p.Values()
		if err != nil {
			return err
		}
		r.StepSizes[e.Net.Sites[i].Name] = float64(v[0])
	}
	return nil
}

// partsOf are SERAC's trained networks.
func partsOf(l *serac.Learner) []networkInfo {
	var out []networkInfo
	for _, p := range l.Params() {
		name, _, _ := strings.Cut(p.Name, ".")
		if len(out) == 0 || out[len(out)-1].Name != name {
			out = append(out, networkInfo{Name: name, Sites: []string{}})
		}
		out[len(out)-1].Parameters += p.Len()
	}
	return out
}

// verify checks the pointers and every checkpoint of a run.
func (r *checkpointInfo) verify(dir string) error {
	s, err := checkpoints.View(dir)
	if err != nil {
		return err
	}
	defer s.Close()
	if r.All, err = s.List(); err != nil {
		return err
	}
	r.Gone = s.Gone()
	check := func(name string, err error) error {
		var bad *checkpoints.CorruptError
		if !errors.As(err, &bad) {
			return err
		}
		if r.Damaged == nil {
			r.Damaged = map[string]string{}
		}
		r.Verified, r.Damaged[name] = false, bad.Error()
		return nil
	}
	for pointer, follow := range map[string]func() (string, error){"last": s.Last, "best": s.Best} {
		if _, err := follow(); !errors.Is(err, checkpoints.ErrNone) {
			if err := check(pointer, err); err != nil {
				return err
			}
		}
	}
	for _, name := range r.All {
		_, err := s.Load(name)
		if err := check(name, err); err != nil {
			return err
		}
	}
	return nil
}

func (r *checkpointInfo) print(w io.Writer) error {
	head := fmt.Sprintf("%s: %s of step %d, %d parameters, base model %.12s…\n", r.Checkpoint, r.Kind, r.Step, r.Parameters, r.BaseModel)
	if r.Checkpoint == "" {
		head = r.Path + ": no checkpoint is whole\n"
	}
	if _, err := fmt.Fprintf(w, "%s%d checkpoint(s), %d damaged\n\n", head, len(r.All), len(r.Damaged)); err != nil {
		return err
	}
	if r.Gone != "" {
		if _, err := fmt.Fprintf(w, "%s, saved last, was deleted; keyhole resume goes on from the newest whole checkpoint\n", r.Gone); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Damaged)) {
		if _, err := fmt.Fprintf(w, "damaged: %s\n", r.Damaged[name]); err != nil {
			return err
		}
	}
	if r.Checkpoint == "" {
		return nil
	}
	t := &report.Table{Columns: []report.Column{{Name: "network"}, {Name: "site"}, {Name: "step size", Right: true}, {Name: "parameters", Right: true}, {Name: "rows seen", Right: true}}}
	for _, n := range r.Networks {
		if len(n.Sites) == 0 { // it edits no weight
			t.Add(report.Text(n.Name), report.Text(""), report.Text(""), report.Text(fmt.Sprint(n.Parameters)), report.Text(""))
		}
		for _, s := range n.Sites {
			t.Add(report.Text(n.Name), report.Text(s), report.Text(fmt.Sprintf("%.3e", r.StepSizes[s])), report.Text(fmt.Sprint(n.Parameters)), report.Text(fmt.Sprint(n.Rows)))
		}
	}
	if err := showTable(w, t); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(r.Metrics)) {
		if _, err := fmt.Fprintf(w, "%s %.4g\n", name, r.Metrics[name]); err != nil {
			return err
		}
	}
	return nil
}
