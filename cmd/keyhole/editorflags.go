package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/progress"
	"keyhole.example/keyhole/train"
	"keyhole.example/keyhole/workbench"
)

// editorFlags choose an editor: a trained one by its folder, or another by
// name together with a model.
type editorFlags struct {
	editor, model, corpus string
	demos                 workbench.Demos
	set                   []string
	threads               *int
	load                  loading
}

func (f *editorFlags) add(c *cobra.Command) {
	fs := c.Flags()
	fs.StringVar(&f.editor, "editor", "", "editor that needs no checkpoint; needs --model, or, where it keeps another's edits (gated), a run")
	fs.StringVar(&f.model, "model", "", `base model: folder, GGUF file or "embedded"; with a run, where its base model is now`)
	fs.StringVar(&f.corpus, "corpus", "", "text `file` for the editor's statistics (default: the embedded text)")
	demosFlags(c, &f.demos)
	fs.StringArrayVar(&f.set, "set", nil, "override a key of the editor's config: `key=value`")
	f.load.add(c)
	f.threads = threadsFlag(c)
}

// open loads what the arguments and flags choose.
func (f *editorFlags) open(ctx context.Context, c *cobra.Command, args []string) (*workbench.Bench, error) {
	if len(args) > 0 && f.editor != "" {
		if err := f.keeps(c, args[0]); err != nil {
			return nil, err
		}
		args = nil
	}
	switch {
	case *f.threads < 0:
		return nil, wrongUse("--threads %d is negative; 0 means all cores", *f.threads)
	case len(args) == 0 && f.editor == "":
		return nil, wrongUse("name a run or checkpoint folder, or an editor with --editor NAME --model MODEL")
	case len(args) > 0 && len(f.set) > 0:
		return nil, wrongUse("--set is for editors chosen by --editor; %s has its own config", args[0])
	case len(args) > 0 && (f.corpus != "" || f.demos.Named()):
		return nil, wrongUse("--corpus and --demos are for editors chosen by --editor; %s needs neither", args[0])
	case len(args) > 0 && f.load.opts.Pre != "":
		return nil, wrongUse("--pre is for editors chosen by --editor; %s was trained with model.pre of its own config", args[0])
	case len(args) > 0:
		model, err := findBase(c, args[0], f.model)
		if err != nil {
			return nil, err
		}
		b, err := workbench.OpenTrained(args[0], model, *f.threads)
		if err == nil {
			printNotes(c.ErrOrStderr(), b.Model)
			for _, note := range b.Notes {
				fmt.Fprintf(c.ErrOrStderr(), "note: %s\n", note)
			}
		}
		return b, err
	case f.model == "":
		return nil, wrongUse("--editor %s needs --model: a folder, a GGUF file or %q", f.editor, workbench.Embedded)
	}
	if err := f.exists(); err != nil {
		return nil, err
	}
	if err := f.find(c); err != nil {
		return nil, err
	}
	b, err := f.load.open(c, f.model, *f.threads)
	if err != nil {
		return nil, err
	}
	b.Corpus, b.Demos, b.Watcher = f.corpus, f.demos, progress.On(c.ErrOrStderr())
	if err := b.Use(ctx, f.editor, f.set); err != nil {
		return nil, errorAfter(err, b.Close())
	}
	for _, x := range []struct {
		flag, used string
		given      bool
	}{{"--corpus", b.Made.Corpus, f.corpus != ""}, {"--demos", b.Made.Demos, f.demos.Named()}} {
		if x.given && x.used == "" {
			return nil, errorAfter(wrongUse("editor %s does not use %s; leave it out", f.editor, x.flag), b.Close())
		}
	}
	return b, nil
}

// keeps makes the chosen editor one that keeps the edits of a run's.
func (f *editorFlags) keeps(c *cobra.Command, run string) error {
	e, err := catalog.Find(f.editor)
	if err != nil {
		return err
	}
	if !e.Has(catalog.Kept) {
		return wrongUse("%s holds an editor already, and %s keeps no other editor's edits; leave out --editor, or the folder", run, f.editor)
	}
	model, err := findBase(c, run, f.model)
	if err != nil {
		return err
	}
	if model == "" {
		if model, err = train.BaseModel(run); err != nil {
			return err
		}
	}
	f.model, f.set = cmp.Or(model, workbench.Embedded), append(slices.Clone(f.set), catalog.Kept+"="+run)
	return nil
}

// find replaces the names of models and data by paths.
func (f *editorFlags) find(c *cobra.Command) error {
	at, err := newFinder(c)
	if err != nil {
		return err
	}
	if f.model, err = at.Model(c.Context(), f.model); err != nil {
		return err
	}
	if f.set, err = at.Settings(c.Context(), f.set); err != nil {
		return err
	}
	return at.Data(c.Context(), append(f.demos.Files(), &f.corpus)...)
}

// exists refuses names and overrides that fit no editor, before a model is
// loaded for them.
func (f *editorFlags) exists() error {
	e, err := catalog.Find(f.editor)
	if err == nil {
		_, _, err = e.Config(nil, f.set)
	}
	return err
}

// demosFlags adds the flags that name the edits of demonstrations.
func demosFlags(c *cobra.Command, d *workbench.Demos) {
	fs := c.Flags()
	fs.StringVar(&d.Path, "demos", "", "`file` of edits for ike's demonstrations (default: the embedded training edits)")
	fs.StringVar(&d.Split, "demos-split", "", "split of --demos, where it names splits")
}

// atMostOne allows one argument or none.
func atMostOne() cobra.PositionalArgs { return cobra.MaximumNArgs(1) }
