package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/presets"
)

func configCommand(o *options) *cobra.Command {
	return group("config", "Look at configurations",
		"  keyhole config show quickstart --set train.lr=1e-5\n  keyhole config check my.yaml\n  keyhole config explain train.lr\n  keyhole config editor rome --model embedded",
		configShowCommand(o), configCheckCommand(o), configExplainCommand(o), configEditorCommand(o), configSchemaCommand(o))
}

// kindOf is the kind of that name, or else that of a file or preset.
func kindOf(kind, name string) (presets.Kind, error) {
	if kind == "" {
		return presets.Of(name), nil
	}
	k, err := presets.Find(kind)
	if err != nil {
		err = wrongUse("--%v", err)
	}
	return k, err
}

// configFlags are what the three commands have in common.
type configFlags struct {
	kind string
	set  []string
}

func (f *configFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.kind, "kind", "", "what it configures: train, pretrain or compare; found out by default")
	c.Flags().StringArrayVar(&f.set, "set", nil, "override a key: `key=value`")
}

func (f *configFlags) read(name string) (*configs.Resolved, error) {
	k, err := kindOf(f.kind, name)
	if err != nil {
		return nil, err
	}
	return presets.Read(name, k.Fresh(), f.set)
}

func configShowCommand(o *options) *cobra.Command {
	var f configFlags
	c := &cobra.Command{
		Use:     "show CONFIG",
		Short:   "Print every value with where it comes from",
		Example: "  keyhole config show quickstart\n  KEYHOLE_TRAIN_STEPS=5 keyhole config show my.yaml --set seed=3",
		Args:    exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := f.read(args[0])
			if err != nil {
				return err
			}
			return showConfig(c, o, r)
		},
	}
	f.add(c)
	return c
}

// showConfig prints every value with where it comes from.
func showConfig(c *cobra.Command, o *options, r *configs.Resolved) error {
	values, err := r.Told()
	if err != nil {
		return err
	}
	return o.show(c, values, saying("%s", r.Bytes()))
}

func configCheckCommand(o *options) *cobra.Command {
	var f configFlags
	c := &cobra.Command{
		Use:     "check CONFIG",
		Short:   "Validate a configuration without running it",
		Example: "  keyhole config check my.yaml",
		Args:    exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := f.read(args[0])
			if err != nil {
				return err
			}
			return o.show(c, map[string]any{"valid": true, "sha256": r.Hash(), "values": len(r.Values())},
				saying("%s is valid (%d values, hash %.12s)\n", args[0], len(r.Values()), r.Hash()))
		},
	}
	f.add(c)
	return c
}

func configExplainCommand(o *options) *cobra.Command {
	kind := "train"
	c := &cobra.Command{
		Use:     "explain [KEY…]",
		Short:   "Explain the keys of a configuration",
		Example: "  keyhole config explain\n  keyhole config explain hypernet.rank train\n  keyhole config explain --kind compare",
		RunE: func(c *cobra.Command, args []string) error {
			k, err := kindOf(kind, "")
			if err != nil {
				return err
			}
			rows, err := configs.Explain(k.Fresh())
			if err != nil {
				return err
			}
			picked := configs.Pick(rows, args)
			if len(picked) == 0 {
				return fmt.Errorf("a %s configuration has no key %s; keyhole config explain --kind %s lists them all", k.Name, strings.Join(args, ", "), k.Name)
			}
			return o.show(c, explained(picked), func(w io.Writer) error { return configs.PrintRows(w, picked) })
		},
	}
	c.Flags().StringVar(&kind, "kind", kind, "train, pretrain or compare")
	return c
}

func configSchemaCommand(_ *options) *cobra.Command {
	kind := "train"
	c := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of a configuration, for editors",
		Long: `Print the JSON Schema of a configuration. An editor that speaks the YAML language
server's protocol checks and completes a file that begins with

  # yaml-language-server: $schema=keyhole.schema.json`,
		Example: "  keyhole config schema > keyhole.schema.json\n  keyhole config schema --kind compare > compare.schema.json",
		Args:    nothing,
		RunE: func(c *cobra.Command, _ []string) error {
			k, err := kindOf(kind, "")
			if err != nil {
				return err
			}
			s, err := configs.JSONSchema(k.Fresh(), "keyhole "+k.Name)
			if err != nil {
				return err
			}
			return printJSON(c.OutOrStdout(), s)
		},
	}
	c.Flags().StringVar(&kind, "kind", kind, "train, pretrain or compare")
	return c
}

// explained is the JSON of config explain.
func explained(rows []configs.Row) []map[string]string {
	var out []map[string]string
	for _, r := range rows {
		out = append(out, map[string]string{"key": r.Key, "type": r.Type, "default": r.Default, "env": r.Env, "doc": r.Doc})
	}
	return out
}
