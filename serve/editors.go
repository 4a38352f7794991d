package serve

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/edit/ike"
	"keyhole.example/keyhole/train"
	"keyhole.example/keyhole/workbench"
)

// How editors change what a model says.
const (
	weightsKind = "weights" // they change weights
	contextKind = "context" // they put a text in front of prompts
	storeKind   = "store"   // they keep a memory behind a layer
)

// offer is an editor that the server has, made when it is first asked for.
type offer struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Learned bool   `json:"learned"`
	Default bool   `json:"default"`
	About   string `json:"about"`
	subject bool
	open    func(ctx context.Context, set []string) (edit.Editor, catalog.Made, error)
	ready   map[string]opened // by its settings, once they are asked for
}

// opened is an editor that is made.
type opened struct {
	editor edit.Editor
	made   catalog.Made
}

// offers are the editors of a bench: the trained ones in runs by name, and those of
// the catalogue. Those that chosen names, or one of the folders that it names,
// are the default ones.
func offers(b *workbench.Bench, runs map[string]string, chosen []string, threads int) ([]*offer, error) {
	var out []*offer
	for _, name := range slices.Sorted(maps.Keys(runs)) {
		out = append(out, fromRun(b, name, runs[name], threads))
	}
	for _, e := range catalog.Entries() {
		if e.Name != catalog.None {
			out = append(out, fromCatalogue(b, e))
		}
	}
	for _, name := range chosen {
		at := slices.IndexFunc(out, func(o *offer) bool { return o.Name == name })
		if at < 0 {
			return nil, fmt.Errorf("there is no editor %q", name)
		}
		out[at].Default = true
	}
	if len(chosen) == 0 {
		at := slices.IndexFunc(out, func(o *offer) bool { return o.Learned || o.Name == "rome" })
		out[at].Default = true
	}
	return out, nil
}

func fromCatalogue(b *workbench.Bench, e catalog.Entry) *offer {
	o := &offer{Name: e.Name, Kind: weightsKind, About: e.About, subject: e.Subject, ready: map[string]opened{}}
	var own []string
	switch {
	case e.InContext:
		o.Kind = contextKind
		if e.Has("memory") { // a context stands in front of the prompts that it is about
			own = []string{"memory=" + ike.StoreMemory}
		}
	case e.Memory:
		o.Kind = storeKind
	}
	o.open = func(ctx context.Context, set []string) (edit.Editor, catalog.Made, error) {
		if err := b.Use(ctx, e.Name, append(slices.Clone(own), set...)); err != nil {
			return nil, catalog.Made{}, err
		}
		return b.Editor, b.Made, nil
	}
	return o
}

func fromRun(b *workbench.Bench, name, dir string, threads int) *offer {
	o := &offer{Name: name, Kind: weightsKind, Learned: true, About: "trained: run " + filepath.Base(dir), ready: map[string]opened{}}
	o.open = func(context.Context, []string) (edit.Editor, catalog.Made, error) {
		e, err := b.TrainedHere(dir, threads)
		return e, catalog.Made{}, err
	}
	return o
}

// RunName is by what name the editor of a run folder is offered.
func RunName(dir string) (string, error) {
	learner, err := train.LearnerOf(dir)
	switch {
	case err != nil:
		return "", err
	case learner == train.LearnSERAC:
		return "", fmt.Errorf("the edits of run %s (%s) are answered by a model of their own, which serve cannot put beside others; make them with keyhole edit", dir, learner)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	name := filepath.Base(abs)
	if slices.Contains(catalog.Names(), name) {
		return "", fmt.Errorf("the run folder %s has the name of an editor; rename it", dir)
	}
	return name, nil
}

// offered is the editor of a name.
func (d *desk) offered(name string) (*offer, error) {
	at := slices.IndexFunc(d.offers, func(o *offer) bool { return o.Name == name })
	if at < 0 {
		return nil, wrong("editor", "there is no editor %q here; GET /api/v1/status lists them", name)
	}
	return d.offers[at], nil
}

// use makes an offered editor, with settings, the bench's. The model is the base
// meanwhile: what editors learn of it when they are made is of that.
func (d *desk) use(ctx context.Context, name string, set []string) (*offer, error) {
	o, err := d.offered(name)
	if err != nil {
		return nil, err
	}
	d.base()
	key := strings.Join(set, " ")
	x, ok := o.ready[key]
	if !ok {
		if x.editor, x.made, err = o.open(ctx, set); err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return nil, fmt.Errorf("editor %s: %w", name, err)
		}
		o.ready[key] = x
	}
	d.bench.Editor, d.bench.Made = x.editor, x.made
	return o, nil
}
