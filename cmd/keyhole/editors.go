package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"keyhole/configs"
	"keyhole/edit"
	"keyhole/edit/ft"
	"keyhole/edit/ike"
	"keyhole/edit/memit"
	"keyhole/edit/mend"
	"keyhole/edit/rome"
	"keyhole/edit/stats"
	"keyhole/internal/kernel"
	"keyhole/lm"
	"keyhole/train"
)

// editorKind is an editor that needs no trained checkpoint.
type editorKind struct {
	name, about string
	fresh       func() any // pointer to its default config; nil if it has none
	build       func(ctx context.Context, b *workbench, config any) (edit.Editor, error)
}

// editorKinds lists them: the one place to register another.
func editorKinds() []editorKind {
	list := []editorKind{
		{"none", "changes nothing: what the base model answers", nil, func(context.Context, *workbench, any) (edit.Editor, error) {
			return unedited{}, nil
		}},
	}
	list = append(list, editorKind{"rome", "one layer's weight, where the fact is looked up", func() any { c := rome.Default(); return &c }, buildROME},
		editorKind{"memit", "ROME over several layers, for many edits at once", func() any { c := memit.Default(); return &c }, buildMEMIT})
	for _, v := range ft.Variants() {
		list = append(list, editorKind{v, "fine-tuning: " + ftAbout(v), func() any { c := ft.Default(v); return &c }, buildFT})
	}
	for _, v := range ike.Variants() {
		list = append(list, editorKind{v, ikeAbout(v), func() any { c := ike.Default(v); return &c }, buildIKE})
	}
	return list
}

func ikeAbout(variant string) string {
	switch variant {
	case ike.Prompt:
		return "the new fact alone before each question"
	case ike.EasyEdit:
		return "demonstrations before each question, as EasyEdit does it"
	}
	return "demonstrations before each question: copy, update, retain"
}

func buildROME(ctx context.Context, b *workbench, config any) (edit.Editor, error) {
	return rome.New(b.engine, *config.(*rome.Config), b.moments(ctx))
}

func buildMEMIT(ctx context.Context, b *workbench, config any) (edit.Editor, error) {
	return memit.New(b.engine, *config.(*memit.Config), b.moments(ctx))
}

// moments finds the statistics of a site: made before, or collected now. It
// remembers them.
func (b *workbench) moments(ctx context.Context) func(*lm.Model, lm.Site) (*stats.Moment, error) {
	have := map[string]*stats.Moment{}
	return func(_ *lm.Model, s lm.Site) (*stats.Moment, error) {
		if m := have[s.Name]; m != nil {
			return m, nil
		}
		list, err := collectStats(ctx, b, b.w, []lm.Site{s}, b.corpus, stats.Default(), "")
		if err != nil {
			return nil, err
		}
		have[s.Name] = list[0]
		return list[0], nil
	}
}

// buildIKE makes demonstrations from the file of --demos, or from the embedded
// training edits.
func buildIKE(ctx context.Context, b *workbench, config any) (edit.Editor, error) {
	cfg := *config.(*ike.Config)
	// in a short context, what is asked takes a third at most
	cfg.QueryTokens = min(cfg.QueryTokens, max(1, b.model.Limit()*5/16))
	cfg.AnswerTokens = min(cfg.AnswerTokens, max(1, b.model.Limit()/16))
	pool, err := b.demos.load()
	if err != nil {
		return nil, err
	}
	enc, err := cfg.OpenEncoder(b.engine)
	if err != nil {
		return nil, err
	}
	if enc != nil {
		b.closers = append(b.closers, enc.Close)
	}
	return ike.New(ctx, cfg, pool.Edits, enc)
}

func ftAbout(variant string) string {
	switch variant {
	case "ft-l":
		return "each weight stays near its old value"
	case "ft-m":
		return "the loss is on the target alone"
	case "lora":
		return "a change of low rank"
	}
	return "one layer, until the target is said"
}

func buildFT(_ context.Context, b *workbench, config any) (edit.Editor, error) {
	return ft.New(*config.(*ft.Config), b.engine)
}

// unedited is the editor none.
type unedited struct{}

func (unedited) Name() string { return "none" }

func (unedited) Apply(_ context.Context, _ *lm.Model, r []edit.Request) (*edit.Edited, error) {
	return &edit.Edited{Editor: "none", Requests: r}, nil
}

// workbench is a base model with an editor and what editors need beside it.
type workbench struct {
	model   *lm.Model
	engine  *kernel.Engine
	editor  edit.Editor
	text    train.Config // of a trained editor
	corpus  string       // text for statistics; "": the embedded one
	demos   demoSource
	closers []func() error
	set     []string  // overrides of the editor's config
	w       io.Writer // for progress
}

func (b *workbench) close() error {
	var errs []error
	for _, f := range b.closers {
		errs = append(errs, f())
	}
	return errors.Join(append(errs, b.model.Close())...)
}

// editorNames are the names of editors that need no checkpoint.
func editorNames() []string {
	var names []string
	for _, k := range editorKinds() {
		names = append(names, k.name)
	}
	return names
}

// build makes an editor of the bench's model by name.
func (b *workbench) build(ctx context.Context, name string) error {
	kinds := editorKinds()
	i := slices.IndexFunc(kinds, func(k editorKind) bool { return k.name == name })
	switch {
	case name == "mend" || name == "rates":
		return wrongUse("editor %s has to be trained: give its run folder instead of --editor (keyhole train makes one)", name)
	case i < 0:
		return wrongUse("there is no editor %q; it is one of %s, or a run folder", name, strings.Join(editorNames(), ", "))
	}
	var config any
	if fresh := kinds[i].fresh; fresh != nil {
		config = fresh()
		if _, err := configs.Read("editor "+name, nil, config, configs.Options{Set: b.set}); err != nil {
			return err
		}
	} else if len(b.set) > 0 {
		return wrongUse("editor %s has nothing to be set", name)
	}
	var err error
	b.editor, err = kinds[i].build(ctx, b, config)
	return err
}

// canForce reports whether an editor's config has the key force.
func canForce(name string) bool {
	for _, k := range editorKinds() {
		if k.name != name || k.fresh == nil {
			continue
		}
		rows, err := configs.Explain(k.fresh())
		return err == nil && slices.ContainsFunc(rows, func(r configs.Row) bool { return r.Key == "force" })
	}
	return false
}

// openTrained loads a trained editor from a run or checkpoint folder. model, if
// not empty, is where its base model lies now.
func openTrained(path, model string, threads int) (*workbench, error) {
	e, _, err := train.OpenEditor(path, sources(), baseModel(model, threads))
	if err != nil {
		return nil, err
	}
	ed := mend.New(e.Objective, e.Config.Hypernet.Kind, e.TextOptions(), e.Model.Tokenizer)
	return &workbench{model: e.Model, engine: e.Engine, editor: ed, text: e.Config}, nil
}

// baseModel changes the config of a trained editor: where the base model is
// now, if model is not empty, and the threads, if not 0.
func baseModel(model string, threads int) func(*train.Config) {
	return func(c *train.Config) {
		switch model {
		case "":
		case embeddedName:
			c.Model.Path = ""
		default:
			c.Model.Path = model
		}
		if threads > 0 {
			c.Threads = threads
		}
	}
}

// openModelOnly loads a base model, without an editor yet.
func openModelOnly(model string, threads int) (*workbench, error) {
	m, err := openModel(model)
	if err != nil {
		return nil, err
	}
	e, err := newEngine(threads)
	if err != nil {
		return nil, errorAfter(err, m.Close())
	}
	return &workbench{model: m, engine: e}, nil
}
