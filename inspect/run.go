package inspect

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"keyhole.example/keyhole/checkpoints"
	"keyhole.example/keyhole/edit/serac"
	"keyhole.example/keyhole/internal/regular"
	"keyhole.example/keyhole/report"
	"keyhole.example/keyhole/train"
	"keyhole.example/keyhole/workbench"
)

// IsRun tells run and checkpoint folders from models.
func IsRun(path string) bool {
	return regular.IsDir(filepath.Join(path, "checkpoints")) || regular.IsFile(filepath.Join(path, "config.yaml")) ||
		regular.IsFile(filepath.Join(path, "manifest.json")) && !regular.IsDir(filepath.Join(path, "model"))
}

// Run is what a run or a checkpoint is.
type Run struct {
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
	Networks   []Network          `json:"networks"`
	StepSizes  map[string]float64 `json:"step_sizes"`
	Metrics    map[string]float64 `json:"metrics"`
	Files      []checkpoints.File `json:"files"`
}

// Network is one network of the editor.
type Network struct {
	Name       string   `json:"name"`
	Sites      []string `json:"sites"`
	Parameters int      `json:"parameters"`
	Rows       int64    `json:"rows_seen"` // by its normaliser
}

// OfRun describes a run or checkpoint folder, with every file verified; where a run's
// best checkpoint is damaged, its newest whole one. model, if not empty, is where the
// base model lies now.
func OfRun(path, model string) (*Run, error) {
	r := &Run{
		Path: path, Verified: true, All: []string{}, Networks: []Network{}, StepSizes: map[string]float64{},
		Metrics: map[string]float64{}, Files: []checkpoints.File{},
	}
	dir := filepath.Join(path, "checkpoints")
	err := r.describe(path, model)
	var bad *checkpoints.CorruptError
	if errors.As(err, &bad) && regular.IsDir(dir) {
		r.Verified, err = false, nil
		if bad.Use != "" {
			whole := filepath.Join(dir, bad.Use)
			err = r.describe(whole, model)
			r.Checkpoint = whole
		}
	}
	if err == nil && regular.IsDir(dir) {
		err = r.verify(dir)
	}
	return r, err
}

// describe says what is in a checkpoint, or in the best of a run.
func (r *Run) describe(path, model string) error {
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
		n := Network{Name: g.Name, Rows: g.Norm.K}
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
func partsOf(l *serac.Learner) []Network {
	var out []Network
	for _, p := range l.Params() {
		name, _, _ := strings.Cut(p.Name, ".")
		if len(out) == 0 || out[len(out)-1].Name != name {
			out = append(out, Network{Name: name, Sites: []string{}})
		}
		out[len(out)-1].Parameters += p.Len()
	}
	return out
}

// verify checks the pointers and every checkpoint of a run.
func (r *Run) verify(dir string) error {
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

// Print writes it for people.
func (r *Run) Print(w io.Writer) error {
	p := report.To(w)
	if r.Checkpoint == "" {
		p.Say("%s: no checkpoint is whole", r.Path)
	} else {
		p.Say("%s: %s of step %d, %d parameters, base model %.12s…", r.Checkpoint, r.Kind, r.Step, r.Parameters, r.BaseModel)
	}
	p.Say("%d checkpoint(s), %d damaged\n", len(r.All), len(r.Damaged))
	if r.Gone != "" {
		p.Say("%s, saved last, was deleted; keyhole resume goes on from the newest whole checkpoint", r.Gone)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Damaged)) {
		p.Say("damaged: %s", r.Damaged[name])
	}
	if r.Checkpoint == "" {
		return p.Err()
	}
	t := &report.Table{Columns: []report.Column{{Name: "network"}, {Name: "site"}, {Name: "step size", Right: true}, {Name: "parameters", Right: true}, {Name: "rows seen", Right: true}}}
	for _, n := range r.Networks {
		if len(n.Sites) == 0 { // it edits no weight
			t.Row(n.Name, "", "", n.Parameters, "")
		}
		for _, s := range n.Sites {
			t.Row(n.Name, s, fmt.Sprintf("%.3e", r.StepSizes[s]), n.Parameters, n.Rows)
		}
	}
	p.Table(t)
	for _, name := range slices.Sorted(maps.Keys(r.Metrics)) {
		p.Say("%s %.4g", name, r.Metrics[name])
	}
	return p.Err()
}
