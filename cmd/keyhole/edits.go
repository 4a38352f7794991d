package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/edit/saved"
	"keyhole.example/keyhole/internal/lock"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/report"
	"keyhole.example/keyhole/workbench"
)

func editsCommand(o *options) *cobra.Command {
	return group("edits", "List, apply and remove edit files",
		`  keyhole edits list store
  keyhole edits apply models/gpt2 store/a.safetensors store/b.safetensors --save edited
  keyhole edits remove edited a.safetensors
  keyhole edits remove store.json 1`,
		editsListCommand(o), editsApplyCommand(o), editsRemoveCommand(o))
}

// keptInfo is the JSON of an edit file.
type keptInfo struct {
	File    string         `json:"file"`
	Editor  string         `json:"editor"`
	Model   string         `json:"model"`
	IDs     []string       `json:"ids"`
	Prompts []string       `json:"prompts"`
	Targets []string       `json:"targets"`
	Weights []string       `json:"weights"`
	Report  map[string]any `json:"report"`
}

func infoOf(k *edit.Kept) keptInfo {
	i := keptInfo{File: k.Path, Editor: k.Edited.Editor, Model: k.Model, Weights: []string{}, Report: map[string]any{}}
	requests := k.Edited.Requests
	if list, err := catalog.Listed(k.Edited); err == nil { // all of a sequence
		requests = list.Requests()
	}
	for _, r := range requests {
		i.IDs = append(i.IDs, r.ID)
		i.Prompts, i.Targets = append(i.Prompts, r.Prompt), append(i.Targets, r.Target)
	}
	for _, c := range k.Edited.Changes {
		i.Weights = append(i.Weights, c.Weight)
	}
	for _, f := range k.Edited.Report {
		i.Report[f.Name] = f.Value
	}
	return i
}

func editsListCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "list PATH…",
		Short:   "List edit files, those of a folder or an edited model, or an edit store",
		Example: "  keyhole edits list store\n  keyhole edits list edited --json",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 && isStore(args[0]) {
				s, err := existingStore(args[0])
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(c.OutOrStdout(), storeOf(s))
				}
				return storeOf(s).print(c.OutOrStdout())
			}
			kept, err := readEdits(args)
			if err != nil {
				return err
			}
			if o.json {
				list := []keptInfo{}
				for _, k := range kept {
					list = append(list, infoOf(k))
				}
				return printJSON(c.OutOrStdout(), map[string]any{"edits": list})
			}
			return printEdits(c.OutOrStdout(), kept)
		},
	}
}

// readEdits reads edit files and those of folders.
func readEdits(paths []string) ([]*edit.Kept, error) {
	var out []*edit.Kept
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("edits: %w", err)
		}
		if isStore(p) && !info.IsDir() {
			return nil, fmt.Errorf("%s is an edit store (JSON), not an edit file: its edits change no weights; list it by itself with keyhole edits list %s, or answer from it with keyhole generate MODEL --store %s", p, p, p)
		}
		if !info.IsDir() {
			k, err := edit.ReadFile(p)
			if err != nil {
				return nil, err
			}
			out = append(out, k)
			continue
		}
		if inner := filepath.Join(p, saved.EditsFolder); isDir(inner) {
			p = inner
		}
		list, err := edit.ListFiles(p)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

func printEdits(w io.Writer, kept []*edit.Kept) error {
	if len(kept) == 0 {
		_, err := fmt.Fprintln(w, "no edits")
		return err
	}
	t := &report.Table{Columns: []report.Column{{Name: "file"}, {Name: "editor"}, {Name: "prompt"}, {Name: "target"}, {Name: "edits", Right: true}, {Name: "held", Right: true}, {Name: "weights", Right: true}, {Name: "model"}}}
	for _, k := range kept {
		requests, first, listed := k.Edited.Requests, edit.Request{}, []edit.Request(nil)
		if m, err := catalog.Listed(k.Edited); err == nil { // each can be taken out
			listed = m.Requests()
			requests = listed
		} else if len(requests) > 0 {
			first = requests[0]
		}
		t.Add(report.Text(k.Path), report.Text(k.Edited.Editor), report.Text(oneLine(first.Prompt)), report.Text(oneLine(first.Target)),
			report.Text(fmt.Sprint(len(requests))), report.Text(heldOf(k.Edited)), report.Text(fmt.Sprint(len(k.Edited.Changes))), report.Text(fmt.Sprintf("%.12s", k.Model)))
		for _, r := range listed {
			t.Add(report.Text(""), report.Text("edit "+r.ID), report.Text(oneLine(r.Prompt)), report.Text(oneLine(r.Target)), report.Text(""), report.Text(""), report.Text(""), report.Text(""))
		}
	}
	return showTable(w, t)
}

// heldOf is how many requests an edit held when it was made; "–" where nobody
// noted it.
func heldOf(e *edit.Edited) string {
	for _, f := range e.Report {
		if f.Name == workbench.HeldFigure {
			return fmt.Sprint(f.Value)
		}
	}
	return "–"
}

// applied is the JSON of edits apply and edits remove.
type applied struct {
	Saved string     `json:"saved"`
	Edits []keptInfo `json:"edits"`
}

func editsApplyCommand(o *options) *cobra.Command {
	var w saving
	var load loading
	c := &cobra.Command{
		Use:   "apply MODEL EDIT…",
		Short: "Apply edit files to a model and save it",
		Long: `Apply edit files, or those of a folder, to the base model that they were made
for, in order, and write the edited model. The folder keeps the edits.`,
		Example: "  keyhole edits apply embedded store/a.safetensors --save edited",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if w.save == "" {
				return wrongUse("--save is missing: name the folder for the edited model")
			}
			if err := w.check(c); err != nil {
				return err
			}
			kept, err := readEdits(args[1:])
			if err != nil {
				return err
			}
			if len(kept) == 0 {
				return fmt.Errorf("%s: there is no edit file", strings.Join(args[1:], ", "))
			}
			model, err := findModel(c, args[0])
			if err != nil {
				return err
			}
			b, err := load.open(c, model, 0)
			if err != nil {
				return err
			}
			if err := ownEdits(c.ErrOrStderr(), b.Model, kept...); err != nil {
				return errorAfter(err, b.Close())
			}
			s := w.model(args[0])
			if err := errorAfter(s.Write(b.Model, b.Engine, kept), b.Close()); err != nil {
				return err
			}
			return printApplied(c, o, s, kept)
		},
	}
	load.add(c)
	w.add(c)
	return c
}

func printApplied(c *cobra.Command, o *options, s *saved.Model, kept []*edit.Kept) error {
	if o.json {
		a := applied{Saved: s.Dir, Edits: []keptInfo{}}
		for _, k := range kept {
			a.Edits = append(a.Edits, infoOf(k))
		}
		return printJSON(c.OutOrStdout(), a)
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "%s holds the base model with %d edit(s)\n", s.Dir, len(kept))
	return err
}

func editsRemoveCommand(o *options) *cobra.Command {
	var model string
	var load loading
	c := &cobra.Command{
		Use:   "remove EDITED_MODEL|STORE|FILE EDIT…",
		Short: "Take edits out of an edited model or an edit store",
		Long: `Take edits, by the names that edits list shows, out of a model folder that
edits apply or edit --save wrote. The model is made anew from its base model
and the edits that are left: the same bytes as if these had been applied alone.
Edits of a store of in-context edits (.json), or of a memory in an edit file
(.safetensors, such as grace's codebook), go by their ids.`,
		Example: "  keyhole edits remove edited 001-a.safetensors\n  keyhole edits remove edited a.safetensors --model models/gpt2",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if isStore(args[0]) {
				s, err := unstore(args[0], args[1:])
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(c.OutOrStdout(), storeOf(s))
				}
				return storeOf(s).print(c.OutOrStdout())
			}
			if strings.HasSuffix(args[0], edit.FileExt) && !isDir(args[0]) {
				k, err := forget(args[0], args[1:])
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(c.OutOrStdout(), map[string]any{"edits": []keptInfo{infoOf(k)}})
				}
				return printEdits(c.OutOrStdout(), []*edit.Kept{k})
			}
			held, err := lock.Beside(args[0])
			if err != nil {
				return fmt.Errorf("edited model: %w", err)
			}
			defer func() { err = errorAfter(err, held.Unlock()) }()
			s, err := saved.Open(args[0])
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%s is no model that keyhole edited: it has no %s", args[0], filepath.Join(saved.EditsFolder, saved.BaseFile))
			}
			if err != nil {
				return err
			}
			kept, err := removeEdits(s.Dir, args[1:])
			if err != nil {
				return err
			}
			if model == "" {
				model = s.Base
			}
			if model, err = findModel(c, model); err != nil {
				return fmt.Errorf("the base model of %s: %w; say where it is with --model", s.Dir, err)
			}
			b, err := load.open(c, model, 0)
			if err != nil {
				return fmt.Errorf("the base model of %s: %w; say where it is with --model", s.Dir, err)
			}
			want := s.Model
			s.Base = model
			if err := ownSaved(c.ErrOrStderr(), b.Model, s.Dir, want); err != nil {
				return errorAfter(err, b.Close())
			}
			if err := errorAfter(s.Rewrite(b.Model, b.Engine, kept), b.Close()); err != nil {
				return err
			}
			return printApplied(c, o, s, kept)
		},
	}
	load.add(c)
	c.Flags().StringVar(&model, "model", "", "where the base model is now")
	return c
}

// ownSaved fails unless the base model that an edited model records is m.
func ownSaved(w io.Writer, m *lm.Model, dir, recorded string) error {
	note, err := m.Owns(recorded)
	if err != nil {
		return fmt.Errorf("%s was made from %w; give the model that it was made from with --model", dir, err)
	}
	if note != "" {
		fmt.Fprintf(w, "note: %s: %s\n", dir, note)
	}
	return nil
}

// removeEdits are the edits of an edited model without those named.
func removeEdits(dir string, names []string) ([]*edit.Kept, error) {
	kept, err := edit.ListFiles(filepath.Join(dir, saved.EditsFolder))
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		n = filepath.Base(n)
		i := slices.IndexFunc(kept, func(k *edit.Kept) bool { return filepath.Base(k.Path) == n || saved.PlainName(k.Path) == n })
		if i < 0 {
			return nil, fmt.Errorf("%s has no edit %s; see: keyhole edits list %s", dir, n, shell(dir))
		}
		kept = slices.Delete(kept, i, i+1)
	}
	return kept, nil
}
