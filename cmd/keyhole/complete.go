package main

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/hub"
	"keyhole.example/keyhole/presets"
	"keyhole.example/keyhole/train"
	"keyhole.example/keyhole/workbench"
)

// proposals are what the shell offers behind a part of a word.
type proposals func(c *cobra.Command, args []string, part string) []string

// completing makes the commands below c complete what they know: presets,
// editors, protocols, metrics, config keys, cached models and data sets.
func completing(c *cobra.Command) {
	for flag, offer := range map[string]proposals{
		"editor": fixed(catalog.Names()), "protocol": fixed(eval.ProtocolNames()), "metrics": fixed(eval.FamilyNames()),
		"model": models, "set": settings,
		"data": datasets, "edits": datasets, "demos": datasets, "corpus": datasets, "locality": datasets, "neighbors": datasets, "exclude": datasets,
	} {
		if c.Flags().Lookup(flag) != nil {
			_ = c.RegisterFlagCompletionFunc(flag, offer.complete) // registered once for each flag
		}
	}
	_, args, _ := strings.Cut(c.Use, " ")
	switch {
	case strings.HasPrefix(args, "CONFIG"):
		c.ValidArgsFunction = proposals(first(fixed(configs.Presets()))).complete
	case strings.HasPrefix(strings.TrimPrefix(args, "["), "MODEL"):
		c.ValidArgsFunction = proposals(first(models)).complete
	case args == "NAME":
		c.ValidArgsFunction = proposals(first(names)).complete
	case args == "FILE":
		c.ValidArgsFunction = proposals(first(datasets)).complete
	case strings.HasPrefix(args, "[KEY"):
		c.ValidArgsFunction = proposals(keys).complete
	}
	for _, sub := range c.Commands() {
		completing(sub)
	}
}

// complete offers what begins with part; files may stand there too.
func (p proposals) complete(c *cobra.Command, args []string, part string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, s := range p(c, args, part) {
		if strings.HasPrefix(s, part) {
			out = append(out, s)
		}
	}
	directive := cobra.ShellCompDirectiveDefault
	if len(out) > 0 && strings.HasSuffix(out[0], "=") {
		directive |= cobra.ShellCompDirectiveNoSpace
	}
	return out, directive
}

func fixed(list []string) proposals {
	return func(*cobra.Command, []string, string) []string { return list }
}

// first offers for the first argument alone.
func first(p proposals) proposals {
	return func(c *cobra.Command, args []string, part string) []string {
		if len(args) > 0 {
			return nil
		}
		return p(c, args, part)
	}
}

// models are the embedded one and those in the cache.
func models(*cobra.Command, []string, string) []string {
	return append([]string{workbench.Embedded}, offered(hub.ModelKind)...)
}

// datasets are the embedded edits, those with short names, and those in the cache.
func datasets(*cobra.Command, []string, string) []string {
	return append([]string{workbench.Embedded}, offered(hub.DatasetKind)...)
}

// names are what pull may be asked for.
func names(*cobra.Command, []string, string) []string {
	var out []string
	for _, m := range hub.Models() {
		out = append(out, m.Name)
	}
	return slices.Concat(out, offered(hub.ModelKind), offered(hub.DatasetKind))
}

// offered is what the hub's table and cache have; a shell is no place for errors.
func offered(kind hub.Kind) []string { return hub.Offered(os.Getenv, kind) }

// settings are the keys that --set may name: those of the command's config, or of
// the editor that --editor names.
func settings(c *cobra.Command, args []string, _ string) []string {
	var into any
	switch {
	case c.Flags().Lookup("editor") != nil:
		name, _ := c.Flags().GetString("editor") // a flag of this command
		e, err := catalog.Find(name)
		if err != nil {
			return nil
		}
		if into, _, err = e.Config(nil, nil); err != nil {
			return nil
		}
	case len(args) > 0:
		into = presets.Of(args[0]).Fresh()
	default:
		d := train.Default()
		into = &d
	}
	list, _ := configs.Keys(into)
	for i := range list {
		list[i] += "="
	}
	return list
}

// keys are those of the config that --kind names.
func keys(c *cobra.Command, _ []string, _ string) []string {
	kind, _ := c.Flags().GetString("kind") // a flag of this command
	k, err := presets.Find(kind)
	if err != nil {
		return nil
	}
	list, _ := configs.Keys(k.Fresh())
	return list
}
