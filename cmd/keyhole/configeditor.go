package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/edit/family"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/workbench"
)

func configEditorCommand(o *options) *cobra.Command {
	var model string
	var set []string
	c := &cobra.Command{
		Use:   "editor [NAME]",
		Short: "Print an editor's settings for a model with where each comes from",
		Long: `Print every key of an editor that needs no training, with its value and where
that comes from: "default" is the published value; for some models there is a
file of settings that were traced or swept, which is named then; --set
overrides. Without a name: the editors there are.`,
		Example: "  keyhole config editor\n  keyhole config editor rome --model embedded\n  keyhole config editor ft --model embedded --set lr=1e-3 --json",
		Args:    atMostOne(),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listEditors(c, o)
			}
			e, err := catalog.Find(args[0])
			if err != nil {
				return err
			}
			var m *lm.Model
			if model != "" {
				if model, err = findModel(c, model); err != nil {
					return err
				}
				if m, err = workbench.LoadModel(model, lm.LoadOptions{}); err != nil {
					return err
				}
				defer m.Close()
			}
			_, r, err := e.Config(m, set)
			if err != nil {
				return err
			}
			if r == nil {
				return fmt.Errorf("editor %s has nothing to be set", e.Name)
			}
			if err := showConfig(c, o, r); err != nil || o.json {
				return err
			}
			known, err := family.Of(m)
			if err != nil {
				return err
			}
			s, ok, err := known.Setting(e.Name)
			if err != nil || !ok {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "# %s: %s\n", s.File, strings.ReplaceAll(s.From, "\n", " "))
			return err
		},
	}
	c.Flags().StringVar(&model, "model", "", `model that is to be edited: folder, GGUF file or "embedded"`)
	c.Flags().StringArrayVar(&set, "set", nil, "override a key: `key=value`")
	c.ValidArgs = catalog.Names()
	return c
}

func listEditors(c *cobra.Command, o *options) error {
	var list []named
	for _, e := range catalog.Entries() {
		list = append(list, named{e.Name, e.About})
	}
	return o.showNamed(c, list, 14)
}
