package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/ike"
	"keyhole.example/keyhole/edit/kept"
	"keyhole.example/keyhole/edit/saved"
	"keyhole.example/keyhole/internal/lock"
	"keyhole.example/keyhole/internal/regular"
)

func editsCommand(o *options) *cobra.Command {
	return group("edits", "List, apply and remove edit files",
		`  keyhole edits list store
  keyhole edits apply models/gpt2 store/a.safetensors store/b.safetensors --save edited
  keyhole edits remove edited a.safetensors
  keyhole edits remove store.json 1`,
		editsListCommand(o), editsApplyCommand(o), editsRemoveCommand(o))
}

func editsListCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "list PATH…",
		Short:   "List edit files, those of a folder or an edited model, or an edit store",
		Example: "  keyhole edits list store\n  keyhole edits list edited --json",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 && kept.IsStore(args[0]) {
				s, err := kept.OpenStore(args[0])
				if err != nil {
					return err
				}
				return showStore(c, o, s)
			}
			list, err := kept.Read(args)
			if err != nil {
				return err
			}
			return showEdits(c, o, list...)
		},
	}
}

func showStore(c *cobra.Command, o *options, s *ike.Store) error {
	i := kept.StoreInfoOf(s)
	return o.show(c, i, i.Print)
}

func showEdits(c *cobra.Command, o *options, list ...*edit.Kept) error {
	return o.show(c, map[string]any{"edits": kept.InfoOf(list...)}, func(w io.Writer) error { return kept.Print(w, list...) })
}

// applied is the JSON of edits apply and edits remove.
type applied struct {
	Saved string      `json:"saved"`
	Edits []kept.Info `json:"edits"`
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
			list, err := kept.Read(args[1:])
			if err != nil {
				return err
			}
			if len(list) == 0 {
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
			if err := kept.Own(c.ErrOrStderr(), b.Model, list...); err != nil {
				return errorAfter(err, b.Close())
			}
			s := w.model(args[0])
			if err := errorAfter(s.Write(b.Model, b.Engine, list), b.Close()); err != nil {
				return err
			}
			return showApplied(c, o, s, list)
		},
	}
	load.add(c)
	w.add(c)
	return c
}

func showApplied(c *cobra.Command, o *options, s *saved.Model, list []*edit.Kept) error {
	return o.show(c, applied{s.Dir, kept.InfoOf(list...)}, saying("%s holds the base model with %d edit(s)\n", s.Dir, len(list)))
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
Edits of a sequence whose values were found beside one that goes (by an editor that
looks twice) are said to keep what they saw of it.
Edits of a store of in-context edits (.json), or of a memory in an edit file
(.safetensors, such as grace's codebook), go by their ids.`,
		Example: "  keyhole edits remove edited 001-a.safetensors\n  keyhole edits remove edited a.safetensors --model models/gpt2",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) (err error) {
			switch {
			case kept.IsStore(args[0]):
				s, err := kept.RemoveStored(args[0], args[1:])
				if err != nil {
					return err
				}
				return showStore(c, o, s)
			case kept.IsFile(args[0]) && !regular.IsDir(args[0]):
				k, err := kept.Forget(args[0], args[1:])
				if err != nil {
					return err
				}
				return showEdits(c, o, k)
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
			list, saw, err := kept.Without(s, args[1:])
			if err != nil {
				return err
			}
			if saw > 0 {
				fmt.Fprintf(c.ErrOrStderr(), "note: %d of the edits that are left were found in the model with those taken out, and keep what they saw; make them anew for a model that never had them\n", saw)
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
			s.Base = model
			if err := s.Own(c.ErrOrStderr(), b.Model); err != nil {
				return errorAfter(err, b.Close())
			}
			if err := errorAfter(s.Rewrite(b.Model, b.Engine, list), b.Close()); err != nil {
				return err
			}
			return showApplied(c, o, s, list)
		},
	}
	load.add(c)
	c.Flags().StringVar(&model, "model", "", "where the base model is now")
	return c
}
