package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"keyhole.example/keyhole/compare"
	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/internal/regular"
	"keyhole.example/keyhole/pretrain"
	"keyhole.example/keyhole/train"
)

// reservedEnv are KEYHOLE_ variables that are no keys of the configuration into:
// those that are none at all, and the keys of other kinds.
func reservedEnv(into any) ([]string, error) {
	own, err := configs.Explain(into)
	if err != nil {
		return nil, err
	}
	out := []string{"KEYHOLE_SHARED", "KEYHOLE_DATA", mpi.LibraryVariable}
	for _, k := range configKinds() {
		rows, err := configs.Explain(k.fresh())
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if r.Env != "" && !slices.ContainsFunc(own, func(o configs.Row) bool { return o.Env == r.Env }) {
				out = append(out, r.Env)
			}
		}
	}
	return out, nil
}

// configKind is what a YAML file can be the configuration of.
type configKind struct {
	name  string
	fresh func() any // pointer to the defaults
	mark  string     // top-level key that no other kind has; "" for the kind that is meant else
}

func configKinds() []configKind {
	return []configKind{
		{"pretrain", func() any { c := pretrain.Default(); return &c }, "relations"},

		{"compare", func() any { c := compare.Default(); return &c }, "editors"},
		{"train", func() any { c := train.Default(); return &c }, ""},
	}
}

// readConfig reads a YAML file, or a preset by name.
func readConfig(name string, into any, set []string) (*configs.Resolved, error) {
	reserved, err := reservedEnv(into)
	if err != nil {
		return nil, err
	}
	opt := configs.Options{Set: set, Env: os.Environ(), ReservedEnv: reserved}
	if _, err := os.Stat(name); err != nil {
		if text, ok := configs.Preset(name); ok {
			return configs.Read(name, text, into, opt)
		}
		if !strings.ContainsAny(name, "./\\") {
			return nil, fmt.Errorf("there is no file and no preset %q; presets are %s", name, strings.Join(configs.Presets(), ", "))
		}
	}
	return configs.Load(name, into, opt)
}

// kindOf finds out what a file or preset configures, or takes the kind named.
func kindOf(kind, name string) (configKind, error) {
	kinds := configKinds()
	if kind != "" {
		i := slices.IndexFunc(kinds, func(k configKind) bool { return k.name == kind })
		if i < 0 {
			return configKind{}, wrongUse("--kind %q is none of train, pretrain, compare", kind)
		}
		return kinds[i], nil
	}
	text, err := regular.ReadFile(name, 1<<20)
	if err != nil {
		text, _ = configs.Preset(name)
	}
	var keys map[string]any
	_ = yaml.Unmarshal(text, &keys) // a file that is no YAML is refused, with its line, when it is read
	for _, k := range kinds {
		if _, ok := keys[k.mark]; ok {
			return k, nil
		}
	}
	return kinds[len(kinds)-1], nil
}

func configCommand(o *options) *cobra.Command {
	return group("config", "Look at configurations",
		"  keyhole config show quickstart --set train.lr=1e-5\n  keyhole config check my.yaml\n  keyhole config explain train.lr\n  keyhole config editor rome --model embedded",
		configShowCommand(o), configCheckCommand(o), configExplainCommand(o), configEditorCommand(o), configSchemaCommand(o))
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
	return readConfig(name, k.fresh(), f.set)
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
			return showConfig(c.OutOrStdout(), o.json, r)
		},
	}
	f.add(c)
	return c
}

// showConfig prints every value with where it comes from.
func showConfig(w io.Writer, asJSON bool, r *configs.Resolved) error {
	if !asJSON {
		_, err := w.Write(r.Bytes())
		return err
	}
	type value struct {
		Value  any    `json:"value"`
		Origin string `json:"origin"`
	}
	all := map[string]value{}
	for _, v := range r.Values() {
		var x any
		if err := yaml.Unmarshal([]byte(v.Text), &x); err != nil {
			return fmt.Errorf("%s: %w", v.Key, err)
		}
		all[v.Key] = value{x, v.Origin.String()}
	}
	return printJSON(w, all)
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
			if o.json {
				return printJSON(c.OutOrStdout(), map[string]any{"valid": true, "sha256": r.Hash(), "values": len(r.Values())})
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s is valid (%d values, hash %.12s)\n", args[0], len(r.Values()), r.Hash())
			return err
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
			rows, err := configs.Explain(k.fresh())
			if err != nil {
				return err
			}
			picked := pickRows(rows, args)
			if len(picked) == 0 {
				return fmt.Errorf("a %s configuration has no key %s; keyhole config explain --kind %s lists them all", k.name, strings.Join(args, ", "), k.name)
			}
			if o.json {
				return printJSON(c.OutOrStdout(), explained(picked))
			}
			return printRows(c.OutOrStdout(), picked)
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
			s, err := configs.JSONSchema(k.fresh(), "keyhole "+k.name)
			if err != nil {
				return err
			}
			return printJSON(c.OutOrStdout(), s)
		},
	}
	c.Flags().StringVar(&kind, "kind", kind, "train, pretrain or compare")
	return c
}

// pickRows keeps the keys and sections named, or all if none is.
func pickRows(rows []configs.Row, names []string) []configs.Row {
	var out []configs.Row
	for _, r := range rows {
		wanted := len(names) == 0 || slices.ContainsFunc(names, func(n string) bool {
			return r.Key == n || strings.HasPrefix(r.Key, n+".") || strings.HasPrefix(r.Key, n+"[")
		})
		if wanted {
			out = append(out, r)
		}
	}
	return out
}

// explained is the JSON of config explain.
func explained(rows []configs.Row) []map[string]string {
	var out []map[string]string
	for _, r := range rows {
		out = append(out, map[string]string{"key": r.Key, "type": r.Type, "default": r.Default, "env": r.Env, "doc": r.Doc})
	}
	return out
}

func printRows(w io.Writer, rows []configs.Row) error {
	for _, r := range rows {
		if _, err := fmt.Fprintf(w, "%s: %s (%s)\n    %s\n", r.Key, r.Default, r.Type, r.Doc); err != nil {
			return err
		}
	}
	return nil
}
