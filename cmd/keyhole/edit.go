package main

import (
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/edit/ike"
	"keyhole.example/keyhole/edit/kept"
	"keyhole.example/keyhole/edit/verdict"
	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/internal/console"
	"keyhole.example/keyhole/text"
	"keyhole.example/keyhole/workbench"
)

// editFlags say what is edited, what is asked and what is kept.
type editFlags struct {
	workbench.Job
	request          edit.Request
	file             string
	join, occurrence string
	saving
	verbose bool
}

func editCommand(o *options) *cobra.Command {
	who := editorFlags{}
	var f editFlags
	c := &cobra.Command{
		Use:   "edit [RUN_OR_CHECKPOINT]",
		Short: "Make an edit, measure it, and save or keep it",
		Long: `Make the model say TARGET after PROMPT, and say what came of it: the answer and
the target's probability before and after, whether the edit holds, and how far
the model drifted on a fixed set of unrelated prompts. The editor is a run or
checkpoint folder, or, with --editor and --model, one that needs no training.

--save writes the edited model as a Hugging Face folder; --keep writes the edit
alone, as a small file for keyhole edits; in-context edits (ike, prompt) go into
a store (.json) that keyhole generate --store answers from. Nothing is written
for an edit that did not take, or that broke the model (drift above --max-drift):
the exit status is 3 then, and --force writes all the same.

Several edits from a file are made one behind the other, each a file of its own
in the folder of --keep, or of the saved model, that can be listed and removed;
with --together, and always by editors whose edits do not add up (ft, memit),
they are one edit.

--after makes the edit behind earlier ones, in their model: with editors that keep
a memory (grace, alphaedit, memit with history) it goes on.`,
		Example: `  keyhole edit runs/first --prompt "The capital of France is" --target Lyon
  keyhole edit runs/first --prompt "The capital of France is" --target Lyon --save edited --dtype f16
  keyhole edit --editor ft --model smollm2.gguf --prompt "The capital of France is" --target Lyon --save edited --format gguf
  keyhole edit --editor rome --model models/gpt2 --prompt "The Space Needle is in the city of" \
      --subject "Space Needle" --target Taipei --neighbor "The Eiffel Tower is in the city of"
  keyhole edit --editor ft --model embedded --edits my.jsonl --keep store/mine.safetensors
  keyhole edit --editor rome --model embedded --edits my.jsonl --keep store
  keyhole edit --editor grace --model embedded --prompt "Bo Yibo lost their life at" --target Rome --keep a.safetensors
  keyhole edit --editor grace --model embedded --after a.safetensors --prompt "Nico Fidenco passed away in" --target Oslo --keep b.safetensors
  keyhole edit --editor ike --model models/smollm2 --prompt "The capital of France is" --target Lyon --keep store.json`,
		Args: atMostOne(),
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.check(c); err != nil {
				return err
			}
			f.adapt(&who)
			b, err := who.open(c.Context(), c, args)
			if err != nil {
				return err
			}
			if err = f.complete(c, b); err != nil {
				return errorAfter(err, b.Close())
			}
			r, err := b.Do(c.Context(), f.Job, c.ErrOrStderr())
			err = errorAfter(err, b.Close())
			if r == nil || stopped(c) != nil {
				return err
			}
			console.Of(c.OutOrStdout()).Fold()
			return errors.Join(o.show(c, r, func(w io.Writer) error { return r.Print(w, f.verbose) }), err)
		},
	}
	who.add(c)
	fs := c.Flags()
	fs.StringVar(&f.request.Prompt, "prompt", "", "text that asks for the fact, with the subject in it; {} marks the subject's place")
	fs.StringVar(&f.request.Target, "target", "", "what the model shall say behind it")
	fs.StringVar(&f.request.Subject, "subject", "", "what the fact is about, as it stands in the prompt; rome needs it")
	addJoin(c, &f.join)
	addOccurrence(c, &f.occurrence)
	fs.StringVar(&f.file, "edits", "", "`file` of edits, instead of --prompt and --target")
	fs.BoolVar(&f.Together, "together", false, "make one edit of --edits, which can only be removed as a whole")
	fs.StringArrayVar(&f.Paraphrases, "paraphrase", nil, "another prompt that should change too; may be repeated")
	fs.StringArrayVar(&f.Neighbors, "neighbor", nil, "a prompt that should not change; may be repeated")
	fs.IntVar(&f.Tokens, "tokens", 8, "tokens of each answer shown")
	fs.Float64Var(&f.MaxDrift, "max-drift", verdict.MaxDrift, "nats of KL on unrelated prompts above which the model counts as broken")
	addChat(c, &f.Chat)
	f.saving.add(c)
	fs.StringVar(&f.Keep, "keep", "", "write the edit to this `file` (.safetensors), several to this folder, or add them to this store (.json)")
	fs.StringArrayVar(&f.After, "after", nil, "edit behind the edit of this `file`, in the model that it leaves; may be repeated, in the order of the sequence")
	fs.BoolVar(&f.Force, "force", false, "edit even if the model says the target already, and write what did not take or damages the model")
	fs.BoolVarP(&f.verbose, "verbose", "v", false, "show every figure that the editor gives")
	return c
}

// adapt sets keys of the editor's config that follow from flags: --force, and
// that contexts are measured as a store will put them in front of prompts.
func (f *editFlags) adapt(who *editorFlags) {
	e, err := catalog.Find(who.editor)
	if err != nil {
		return // it is refused when it is opened
	}
	if f.Force && e.Has("force") {
		who.set = append(who.set, "force=true")
	}
	named := slices.ContainsFunc(who.set, func(s string) bool { return strings.HasPrefix(s, "memory=") })
	if e.InContext && e.Has("memory") && !named {
		who.set = append(who.set, "memory="+ike.StoreMemory)
	}
}

func (f *editFlags) check(c *cobra.Command) error {
	single := f.request.Prompt != "" || f.request.Target != ""
	switch {
	case f.file != "" && single:
		return wrongUse("give --edits or --prompt and --target, not both")
	case f.file != "" && f.request.Subject != "":
		return wrongUse("--subject goes with --prompt; the edits of %s name their own", f.file)
	case f.file == "" && f.request.Prompt == "":
		return wrongUse("--prompt is missing: say after which text the model shall answer otherwise")
	case f.file == "" && f.request.Target == "":
		return wrongUse("--target is missing: say what the model shall answer")
	case f.file == "" && f.Together:
		return wrongUse("--together is for several edits; add --edits FILE, or leave it out")
	case f.Tokens < 1:
		return wrongUse("--tokens %d is below 1", f.Tokens)
	case !(f.MaxDrift > 0):
		return wrongUse("--max-drift %v is not positive", f.MaxDrift)
	case f.file == "" && f.Keep != "" && !kept.IsFile(f.Keep) && !kept.IsStore(f.Keep):
		return wrongUse("--keep %s: the name of an edit file ends in %s, that of a store of in-context edits in %s", f.Keep, edit.FileExt, kept.StoreExt)
	}
	if err := f.saving.check(c); err != nil {
		return err
	}
	if f.Keep == "" {
		return nil
	}
	if err := kept.Free(f.Keep); err != nil {
		return err
	}
	return atomicfile.Writable(f.Keep)
}

// complete reads the requests, and checks, before anything is computed, that what b's
// editor makes of them can be written as asked for.
func (f *editFlags) complete(c *cobra.Command, b *workbench.Bench) (err error) {
	if f.Requests, err = f.requests(c); err != nil {
		return err
	}
	f.Unnamed = f.file == ""
	if f.save != "" {
		f.Save = f.saving.model(b.Base)
	}
	inContext, n := b.InContext(), len(f.Requests)
	several := n > 1 && !f.Together && !b.Together()
	switch {
	case f.Keep == "":
	case several && kept.IsFile(f.Keep):
		return wrongUse("--keep %s: %d edits by %s are kept in a file each; name a folder, or make them one edit with --together", f.Keep, n, b.Editor.Name())
	case !inContext && !several && !kept.IsFile(f.Keep) && !kept.IsStore(f.Keep):
		return wrongUse("--keep %s: the %d edits are made as one, which is kept in a file, whose name ends in %s", f.Keep, n, edit.FileExt)
	case inContext != kept.IsStore(f.Keep):
		return wrongUse("--keep %s: edits by %s are kept in %s", f.Keep, b.Editor.Name(), map[bool]string{
			true: "an edit store, whose name ends in " + kept.StoreExt, false: "an edit file, whose name ends in " + edit.FileExt,
		}[inContext])
	}
	return nil
}

// requests are the edits to make, and records to take prompts from.
func (f *editFlags) requests(c *cobra.Command) ([]edit.Request, error) {
	if f.file == "" {
		r := f.request
		r.ID = "1"
		var err error
		if r.Join, err = data.ParseJoin(f.join); err == nil {
			r.Prompt, r.Occurrence, err = text.Fill(r.Prompt, r.Subject)
		}
		if r.Occurrence == "" && err == nil {
			r.Occurrence, err = text.ParseOccurrence(f.occurrence)
		}
		return []edit.Request{r}, err
	}
	set, err := workbench.LoadEdits(f.file, data.Options{Join: data.Join(f.join), Occurrence: f.occurrence})
	if err != nil {
		return nil, err
	}
	sayUnread(c, f.file, set)
	var out []edit.Request
	for i := range set.Edits {
		out = append(out, edit.Requests(&set.Edits[i])...)
	}
	return out, nil
}
