package main

import (
	"errors"
	"fmt"
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
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/text"
	"keyhole.example/keyhole/workbench"
)

// editFlags say what is edited, what is asked and what is kept.
type editFlags struct {
	request                edit.Request
	file                   string
	paraphrases, neighbors []string
	tokens                 int
	join, occurrence       string
	maxDrift               float64
	after                  []string
	saving
	keep           string
	together       bool
	force, verbose bool
	chat           bool
}

// editResult is the JSON of edit.
type editResult struct {
	Editor    string            `json:"editor"`
	Model     string            `json:"model"` // hash of the base model
	Requests  int               `json:"requests"`
	Batches   int               `json:"batches"` // edits that were made of them
	Held      bool              `json:"held"`    // every target is said at the end
	Success   bool              `json:"success"` // each was right after its own edit
	Edits     []verdict.Outcome `json:"edits"`   // one for each request
	Conflicts []edit.Conflict   `json:"conflicts,omitempty"`
	Drift     *verdict.Drift    `json:"drift"` // null: the editor refused
	Refused   string            `json:"refused,omitempty"`
	Prompt    string            `json:"prompt"`
	Target    string            `json:"target"`
	Before    string            `json:"before"`
	After     string            `json:"after"`
	Answers   []asked           `json:"answers"`
	Report    map[string]any    `json:"report"` // figures of the last edit
	Seconds   float64           `json:"edit_seconds"`
	Saved     string            `json:"saved,omitempty"`
	DType     string            `json:"dtype,omitempty"`
	Format    string            `json:"format,omitempty"` // gguf or peft; missing for a Hugging Face folder
	Kept      string            `json:"kept,omitempty"`

	verdict *verdict.Verdict
}

// asked is one prompt with the model's greedy answers.
type asked struct {
	Kind   string `json:"kind"` // prompt, paraphrase or neighbor
	Prompt string `json:"prompt"`
	Before string `json:"before"`
	After  string `json:"after"`
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
			r, err := f.run(c, b)
			err = errorAfter(err, b.Close())
			if r == nil || stopped(c) != nil {
				return err
			}
			if o.json {
				return errors.Join(printJSON(c.OutOrStdout(), r), err)
			}
			return errors.Join(f.print(c.OutOrStdout(), r), err)
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
	fs.BoolVar(&f.together, "together", false, "make one edit of --edits, which can only be removed as a whole")
	fs.StringArrayVar(&f.paraphrases, "paraphrase", nil, "another prompt that should change too; may be repeated")
	fs.StringArrayVar(&f.neighbors, "neighbor", nil, "a prompt that should not change; may be repeated")
	fs.IntVar(&f.tokens, "tokens", 8, "tokens of each answer shown")
	fs.Float64Var(&f.maxDrift, "max-drift", verdict.MaxDrift, "nats of KL on unrelated prompts above which the model counts as broken")
	addChat(c, &f.chat)
	f.saving.add(c)
	fs.StringVar(&f.keep, "keep", "", "write the edit to this `file` (.safetensors), several to this folder, or add them to this store (.json)")
	fs.StringArrayVar(&f.after, "after", nil, "edit behind the edit of this `file`, in the model that it leaves; may be repeated, in the order of the sequence")
	fs.BoolVar(&f.force, "force", false, "edit even if the model says the target already, and write what did not take or damages the model")
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
	if f.force && e.Has("force") {
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
	case f.file == "" && f.together:
		return wrongUse("--together is for several edits; add --edits FILE, or leave it out")
	case f.tokens < 1:
		return wrongUse("--tokens %d is below 1", f.tokens)
	case !(f.maxDrift > 0):
		return wrongUse("--max-drift %v is not positive", f.maxDrift)
	case f.file == "" && f.keep != "" && !kept.IsFile(f.keep) && !kept.IsStore(f.keep):
		return wrongUse("--keep %s: the name of an edit file ends in %s, that of a store of in-context edits in %s", f.keep, edit.FileExt, kept.StoreExt)
	}
	if err := f.saving.check(c); err != nil {
		return err
	}
	if f.keep == "" {
		return nil
	}
	if err := kept.Free(f.keep); err != nil {
		return err
	}
	return atomicfile.Writable(f.keep)
}

// fits checks, before anything is computed, that what b's editor makes of the
// requests can be written as asked for.
func (f *editFlags) fits(b *workbench.Bench, requests []edit.Request) error {
	inContext := b.InContext()
	several := len(requests) > 1 && !f.together && !b.Together()
	switch {
	case f.keep != "" && several && kept.IsFile(f.keep):
		return wrongUse("--keep %s: %d edits by %s are kept in a file each; name a folder, or make them one edit with --together", f.keep, len(requests), b.Editor.Name())
	case f.keep != "" && !inContext && !several && !kept.IsFile(f.keep) && !kept.IsStore(f.keep):
		return wrongUse("--keep %s: the %d edits are made as one, which is kept in a file, whose name ends in %s", f.keep, len(requests), edit.FileExt)
	case f.keep != "" && inContext != kept.IsStore(f.keep):
		return wrongUse("--keep %s: edits by %s are kept in %s", f.keep, b.Editor.Name(), map[bool]string{
			true: "an edit store, whose name ends in " + kept.StoreExt, false: "an edit file, whose name ends in " + edit.FileExt,
		}[inContext])
	case f.save != "" && inContext:
		return errNoWeights(b.Editor.Name())
	case f.keep != "" && inContext:
		_, err := kept.StoreWith(f.keep, requests)
		return err
	}
	return nil
}

func errNoWeights(editor string) error {
	return fmt.Errorf("editor %s changes no weights, so there is no edited model to save; keep the edit with --keep", editor)
}

// inChat puts all prompts into the model's chat template; answers follow without
// a space.
func (f *editFlags) inChat(m *lm.Model, requests []edit.Request) error {
	template, err := m.Chat()
	if err != nil {
		return err
	}
	prompts := make([]*string, 0, len(requests)+len(f.paraphrases)+len(f.neighbors))
	for i := range requests {
		requests[i].Join = data.JoinNone
		prompts = append(prompts, &requests[i].Prompt)
	}
	for _, list := range [][]string{f.paraphrases, f.neighbors} {
		for i := range list {
			prompts = append(prompts, &list[i])
		}
	}
	for _, p := range prompts {
		if *p, err = template.Ask(*p); err != nil {
			return err
		}
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
