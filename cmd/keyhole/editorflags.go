package main

import (
	"context"

	"github.com/spf13/cobra"
)

// editorFlags choose an editor: a trained one by its folder, or another by
// name together with a model.
type editorFlags struct {
	editor, model, corpus string
	whole                 bool // a trained editor does not cut prompts
	demos                 demoSource
	set                   []string
	threads               *int
}

func (f *editorFlags) add(c *cobra.Command) {
	fs := c.Flags()
	fs.StringVar(&f.editor, "editor", "", "editor that needs no checkpoint; needs --model")
	fs.StringVar(&f.model, "model", "", `base model: folder, GGUF file or "embedded"; with a run, where its base model is now`)
	fs.StringVar(&f.corpus, "corpus", "", "text `file` for the editor's statistics (default: the embedded text)")
	f.demos.add(c)
	fs.StringArrayVar(&f.set, "set", nil, "override a key of the editor's config: `key=value`")
	f.threads = threadsFlag(c)
	_ = c.RegisterFlagCompletionFunc("editor", cobra.FixedCompletions(editorNames(), cobra.ShellCompDirectiveNoFileComp))
}

// open loads what the arguments and flags choose.
func (f *editorFlags) open(ctx context.Context, c *cobra.Command, args []string) (*workbench, error) {
	switch {
	case len(args) == 0 && f.editor == "":
		return nil, wrongUse("name a run or checkpoint folder, or an editor with --editor NAME --model MODEL")
	case len(args) > 0 && f.editor != "":
		return nil, wrongUse("%s holds an editor already; leave out --editor, or the folder", args[0])
	case len(args) > 0 && len(f.set) > 0:
		return nil, wrongUse("--set is for editors chosen by --editor; %s has its own config", args[0])
	case len(args) > 0 && (f.corpus != "" || f.demos.named()):
		return nil, wrongUse("--corpus and --demos are for editors chosen by --editor; %s needs neither", args[0])
	case len(args) > 0:
		return openTrained(args[0], f.model, *f.threads, f.whole)
	case f.model == "":
		return nil, wrongUse("--editor %s needs --model: a folder, a GGUF file or %q", f.editor, embeddedName)
	}
	b, err := openModelOnly(f.model, *f.threads)
	if err != nil {
		return nil, err
	}
	b.corpus, b.demos, b.set, b.w = f.corpus, f.demos, f.set, c.ErrOrStderr()
	if err := b.build(ctx, f.editor); err != nil {
		return nil, errorAfter(err, b.close())
	}
	for _, x := range []struct {
		flag, used string
		given      bool
	}{{"--corpus", b.made.Corpus, f.corpus != ""}, {"--demos", b.made.Demos, f.demos.named()}} {
		if x.given && x.used == "" {
			return nil, errorAfter(wrongUse("editor %s does not use %s; leave it out", f.editor, x.flag), b.close())
		}
	}
	return b, nil
}

// atMostOne allows one argument or none.
func atMostOne() cobra.PositionalArgs { return cobra.MaximumNArgs(1) }
