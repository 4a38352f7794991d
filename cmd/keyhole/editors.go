package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/ft"
	"keyhole.example/keyhole/edit/ike"
	"keyhole.example/keyhole/edit/memit"
	"keyhole.example/keyhole/edit/mend"
	"keyhole.example/keyhole/edit/rome"
	"keyhole.example/keyhole/edit/stats"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/train"
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
	moments, err := b.moments(ctx)
	if err != nil {
		return nil, err
	}
	return rome.New(b.engine, *config.(*rome.Config), moments)
}

func buildMEMIT(ctx context.Context, b *workbench, config any) (edit.Editor, error) {
	moments, err := b.moments(ctx)
	if err != nil {
		return nil, err
	}
	return memit.New(b.engine, *config.(*memit.Config), moments)
}

// moments finds the statistics of a site: made before, or collected now. It
// remembers them.
func (b *workbench) moments(ctx context.Context) (stats.Source, error) {
	text, err := corpusOf(b.corpus)
	if err != nil {
		return nil, err
	}
	if b.made.Corpus, err = text.Hash(); err != nil {
		return nil, err
	}
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
	}, nil
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
	if b.made.Demos, err = pool.Hash(); err != nil {
		return nil, err
	}
	enc, err := cfg.OpenEncoder(b.engine)
	if err != nil {
		return nil, err
	}
	if enc != nil {
		b.closers = append(b.closers, enc.Close)
		b.made.Encoder = enc.Hash()
	}
	return ike.New(ctx, cfg, pool.Edits, enc)
}

func ftAbout(variant string) string {
	switch variant {
	case "ft-l":
		return "each weight stays near its old value"
	case "ft-m":
		return "the weight alone, without its bias, the loss on the target"
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
	made    ingredients
	closers []func() error
	set     []string  // overrides of the editor's config
	w       io.Writer // for progress
}

// ingredients are what an editor is made of, files by their content.
type ingredients struct {
	Editor                 string
	Config                 any
	Corpus, Demos, Encoder string // "": not used
}

// hash identifies them, or is empty for a trained editor, which does so itself.
func (i ingredients) hash() (string, error) {
	if i.Editor == "" {
		return "", nil
	}
	raw, err := configs.Identity(i)
	if err != nil {
		return "", fmt.Errorf("config of editor %s: %w", i.Editor, err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
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
	kind, config, err := readEditor(name, b.set)
	if err != nil {
		return err
	}
	b.made = ingredients{Editor: name, Config: config}
	if b.editor, err = kind.build(ctx, b, config); err != nil {
		return err
	}
	if c, ok := config.(*ike.Config); ok { // where its files lie changes no result
		c.Encoder, c.Cache = "", ""
	}
	return nil
}

// readEditor finds an editor by name and makes its config, nil if it has none,
// with the overrides of set.
func readEditor(name string, set []string) (kind editorKind, config any, err error) {
	kinds := editorKinds()
	i := slices.IndexFunc(kinds, func(k editorKind) bool { return k.name == name })
	switch {
	case name == "mend" || name == "rates":
		return kind, nil, wrongUse("editor %s has to be trained: give its run folder instead of its name (keyhole train makes one)", name)
	case i < 0:
		return kind, nil, wrongUse("there is no editor %q; it is one of %s, or a run folder", name, strings.Join(editorNames(), ", "))
	case kinds[i].fresh == nil && len(set) > 0:
		return kind, nil, wrongUse("editor %s has nothing to be set", name)
	case kinds[i].fresh == nil:
		return kinds[i], nil, nil
	}
	config = kinds[i].fresh()
	_, err = configs.Read("editor "+name, nil, config, configs.Options{Set: set})
	return kinds[i], config, err
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
// not empty, is where its base model lies now. whole: edits are of whole prompts,
// not cut as in training (data.max_len) and in evaluations.
func openTrained(path, model string, threads int, whole bool) (*workbench, error) {
	e, _, err := train.OpenEditor(path, sources(), baseModel(model, threads))
	if err != nil {
		return nil, err
	}
	text := e.TextOptions()
	if whole {
		text.MaxLen = 0
	}
	ed := mend.New(e.Objective, e.Config.Hypernet.Kind, text, e.Model.Tokenizer)
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
