package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/edit/ike"
	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/report"
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
	saving
	keep  string
	after []string
	force bool
}

// shownEdits is how many edits of a file are asked about.
const shownEdits = 10

// asked is one prompt with the model's greedy answers.
type asked struct {
	Kind   string `json:"kind"` // prompt, paraphrase or neighbor
	Prompt string `json:"prompt"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// editResult is the JSON of edit.
type editResult struct {
	Editor   string         `json:"editor"`
	Model    string         `json:"model"` // hash of the base model
	Requests int            `json:"requests"`
	Prompt   string         `json:"prompt"`
	Target   string         `json:"target"`
	Before   string         `json:"before"`
	After    string         `json:"after"`
	Answers  []asked        `json:"answers"`
	Report   map[string]any `json:"report"`
	Seconds  float64        `json:"edit_seconds"`
	Saved    string         `json:"saved,omitempty"`
	DType    string         `json:"dtype,omitempty"`
	Format   string         `json:"format,omitempty"` // gguf or peft; missing for a Hugging Face folder
	Kept     string         `json:"kept,omitempty"`
}

func editCommand(o *options) *cobra.Command {
	who := editorFlags{}
	var f editFlags
	c := &cobra.Command{
		Use:   "edit [RUN_OR_CHECKPOINT]",
		Short: "Make an edit and see, save or keep it",
		Long: `Make the model say TARGET after PROMPT, and show its answers before and after.
The editor is a run or checkpoint folder, or, with --editor and --model, one
that needs no training.

--save writes the edited model as a Hugging Face folder; --keep writes the edit
alone, as a small file for keyhole edits; in-context edits (ike, prompt) go into
a store (.json) that keyhole generate --store answers from. Several edits from
a file are made together, as one.

--after makes the edit behind earlier ones, in their model: with editors that keep
a memory (grace, alphaedit, memit with history) it goes on.`,
		Example: `  keyhole edit runs/first --prompt "The capital of France is" --target Lyon
  keyhole edit runs/first --prompt "The capital of France is" --target Lyon --save edited --dtype f16
  keyhole edit --editor ft --model smollm2.gguf --prompt "The capital of France is" --target Lyon --save edited --format gguf
  keyhole edit --editor rome --model models/gpt2 --prompt "The Space Needle is in the city of" \
      --subject "Space Needle" --target Taipei --neighbor "The Eiffel Tower is in the city of"
  keyhole edit --editor ft --model embedded --edits my.jsonl --keep store/mine.safetensors
  keyhole edit --editor grace --model embedded --prompt "Bo Yibo lost their life at" --target Rome --keep a.safetensors
  keyhole edit --editor grace --model embedded --after a.safetensors --prompt "Nico Fidenco passed away in" --target Oslo --keep b.safetensors
  keyhole edit --editor ike --model models/smollm2 --prompt "The capital of France is" --target Lyon --keep store.json`,
		Args: atMostOne(),
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.check(c); err != nil {
				return err
			}
			if e, err := catalog.Find(who.editor); err == nil && f.force && e.Has("force") {
				who.set = append(who.set, "force=true")
			}
			b, err := who.open(c.Context(), c, args)
			if err != nil {
				return err
			}
			r, err := f.run(c, b)
			if err := errorAfter(err, b.Close()); err != nil {
				return err
			}
			if o.json {
				return printJSON(c.OutOrStdout(), r)
			}
			return printEdit(c.OutOrStdout(), r)
		},
	}
	who.add(c)
	fs := c.Flags()
	fs.StringVar(&f.request.Prompt, "prompt", "", "text that asks for the fact, with the subject in it; {} marks the subject's place")
	fs.StringVar(&f.request.Target, "target", "", "what the model shall say behind it")
	fs.StringVar(&f.request.Subject, "subject", "", "what the fact is about, as it stands in the prompt; rome needs it")
	addJoin(c, &f.join)
	addOccurrence(c, &f.occurrence)
	fs.StringVar(&f.file, "edits", "", "`file` of edits to be made together, instead of --prompt and --target")
	fs.StringArrayVar(&f.paraphrases, "paraphrase", nil, "another prompt that should change too; may be repeated")
	fs.StringArrayVar(&f.neighbors, "neighbor", nil, "a prompt that should not change; may be repeated")
	fs.IntVar(&f.tokens, "tokens", 8, "tokens of each answer shown")
	f.saving.add(c)
	fs.StringVar(&f.keep, "keep", "", "write the edit to this `file` (.safetensors), or add it to this store (.json)")
	fs.StringArrayVar(&f.after, "after", nil, "edit behind the edit of this `file`, in the model that it leaves; may be repeated, in the order of the sequence")
	fs.BoolVar(&f.force, "force", false, "edit even if the model says the target already, or if the edit would damage it")
	return c
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
	case f.tokens < 1:
		return wrongUse("--tokens %d is below 1", f.tokens)
	case f.keep != "" && !strings.HasSuffix(f.keep, edit.FileExt) && !isStore(f.keep):
		return wrongUse("--keep %s: the name of an edit file ends in %s, that of a store of in-context edits in %s", f.keep, edit.FileExt, storeExt)
	}
	if err := f.saving.check(c); err != nil {
		return err
	}
	if f.keep == "" {
		return nil
	}
	if err := f.keepIsFree(); err != nil {
		return err
	}
	return atomicfile.Writable(f.keep)
}

// keepIsFree refuses to write an edit over another; a store takes more edits.
func (f *editFlags) keepIsFree() error {
	if _, err := os.Lstat(f.keep); !isStore(f.keep) && !errors.Is(err, fs.ErrNotExist) {
		return errorAfter(err, fmt.Errorf("%s is there already; choose a new name, or delete it", f.keep))
	}
	return nil
}

// fits checks, before anything is computed, that what b's editor makes of the
// requests can be written as asked for.
func (f *editFlags) fits(b *workbench.Bench, requests []edit.Request) error {
	inContext := b.InContext()
	switch {
	case f.keep != "" && inContext != isStore(f.keep):
		return wrongUse("--keep %s: edits by %s are kept in %s", f.keep, b.Editor.Name(), map[bool]string{
			true: "an edit store, whose name ends in " + storeExt, false: "an edit file, whose name ends in " + edit.FileExt,
		}[inContext])
	case f.save != "" && inContext:
		return errNoWeights(b.Editor.Name())
	case f.keep != "" && inContext:
		_, err := storeWith(f.keep, requests)
		return err
	}
	return nil
}

func errNoWeights(editor string) error {
	return fmt.Errorf("editor %s changes no weights, so there is no edited model to save; keep the edit with --keep", editor)
}

// requests are the edits to make, and records to take prompts from.
func (f *editFlags) requests() ([]edit.Request, error) {
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
	var out []edit.Request
	for i := range set.Edits {
		out = append(out, edit.Requests(&set.Edits[i])...)
	}
	return out, nil
}

// questions are the prompts to show answers to.
func (f *editFlags) questions(requests []edit.Request) []asked {
	var out []asked
	for i := range requests[:min(len(requests), shownEdits)] {
		out = append(out, asked{Kind: "prompt", Prompt: requests[i].Prompt})
	}
	for _, p := range f.paraphrases {
		out = append(out, asked{Kind: "paraphrase", Prompt: p})
	}
	for _, p := range f.neighbors {
		out = append(out, asked{Kind: "neighbor", Prompt: p})
	}
	return out
}

func (f *editFlags) run(c *cobra.Command, b *workbench.Bench) (*editResult, error) {
	if err := findData(c, &f.file); err != nil {
		return nil, err
	}
	requests, err := f.requests()
	if err != nil {
		return nil, err
	}
	if err := f.fits(b, requests); err != nil {
		return nil, err
	}
	last, undo, err := goOn(c, b, f.after)
	if err != nil {
		return nil, err
	}
	defer undo()
	if list, ok := lastMemory(last).(edit.Lister); ok && f.file == "" {
		requests[0].ID = freeID(list)
	}
	questions := f.questions(requests)
	for i := range questions {
		q := &questions[i]
		if q.Before, err = workbench.Adapted(b.Model, b.Engine, last.AdapterOf(), q.Prompt, f.tokens); err != nil {
			return nil, err
		}
	}
	if f.file == "" && !f.force && text.Begins(questions[0].Before, f.request.Target) {
		return nil, fmt.Errorf("the model answers %q with %q already, so there is nothing to edit; choose another target, or add --force", f.request.Prompt, f.request.Target)
	}
	start := time.Now()
	e, err := edit.Continue(c.Context(), b.Editor, b.Model, last, requests)
	if stop := stopped(c); stop != nil {
		return nil, stop
	}
	if err != nil {
		return nil, err
	}
	seconds := time.Since(start).Seconds()
	if err := f.answersAfter(b, e, questions); err != nil {
		return nil, err
	}
	hash, err := b.Model.Hash()
	if err != nil {
		return nil, err
	}
	r := &editResult{
		Editor: b.Editor.Name(), Model: hash, Requests: len(requests), Prompt: requests[0].Prompt, Target: requests[0].Target,
		Before: questions[0].Before, After: questions[0].After, Answers: questions, Report: map[string]any{}, Seconds: seconds,
	}
	for _, figure := range e.Report {
		r.Report[figure.Name] = figure.Value
	}
	return r, f.write(b, e, hash, r)
}

// answersAfter asks the edited model.
func (f *editFlags) answersAfter(b *workbench.Bench, e *edit.Edited, questions []asked) error {
	undo, err := e.Install(b.Model, b.Engine)
	if err != nil {
		return err
	}
	defer undo()
	for i := range questions {
		q := &questions[i]
		context := ""
		if e.Context != nil {
			if context, err = e.Context(q.Prompt); err != nil {
				return err
			}
		}
		if q.After, err = workbench.Adapted(b.Model, b.Engine, e.AdapterOf(), context+q.Prompt, f.tokens); err != nil {
			return err
		}
	}
	return nil
}

// write saves the edited model and keeps the edit, as far as asked for: both or
// neither.
func (f *editFlags) write(b *workbench.Bench, e *edit.Edited, hash string, r *editResult) error {
	if f.save != "" {
		if len(e.Changes) == 0 {
			return errNoWeights(e.Editor)
		}
		kept := &edit.Kept{Path: "edit" + edit.FileExt, Model: hash, Edited: e}
		s := f.saving.model(b.Base)
		if err := s.Write(b.Model, b.Engine, []*edit.Kept{kept}); err != nil {
			return err
		}
		r.Saved, r.DType, r.Format = f.save, f.dtype, s.Format
	}
	if f.keep == "" {
		return nil
	}
	if err := f.writeKept(e, hash); err != nil {
		if f.save != "" {
			err = errors.Join(err, os.RemoveAll(f.save))
		}
		return err
	}
	r.Kept = f.keep
	return nil
}

func (f *editFlags) writeKept(e *edit.Edited, hash string) error {
	forget, err := atomicfile.MakeParent(f.keep)
	if err != nil {
		return err
	}
	if isStore(f.keep) {
		var s *ike.Store
		if s, err = storeWith(f.keep, e.Requests); err == nil {
			err = s.Save()
		}
	} else if err = f.keepIsFree(); err == nil { // it may be a file of the model just saved
		err = edit.WriteFile(f.keep, e, hash)
	}
	if err != nil {
		forget()
	}
	return err
}

func printEdit(w io.Writer, r *editResult) error {
	t := &report.Table{Columns: []report.Column{{Name: ""}, {Name: "prompt"}, {Name: "before"}, {Name: "after"}}}
	for _, a := range r.Answers {
		t.Add(report.Text(a.Kind), report.Text(oneLine(a.Prompt)), report.Text(oneLine(a.Before)), report.Text(oneLine(a.After)))
	}
	if err := t.WriteText(w, false); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "%s: %d edit(s) in %.2f s%s\n", r.Editor, r.Requests, r.Seconds, figuresText(r.Report)); err != nil {
		return err
	}
	if r.Saved != "" {
		if _, err := fmt.Fprintf(w, "saved the edited model in %s (%s)\n", r.Saved, r.DType); err != nil {
			return err
		}
	}
	if r.Kept != "" {
		if _, err := fmt.Fprintf(w, "kept the edit in %s; see: keyhole edits list %s\n", r.Kept, r.Kept); err != nil {
			return err
		}
	}
	return nil
}
