package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/internal/console"
	"keyhole.example/keyhole/report"
)

// options are the flags that every command has.
type options struct {
	json       bool
	quiet      bool
	wide       bool
	cpuProfile string
	membership
}

func commands(o *options) *cobra.Command {
	root := &cobra.Command{
		Use:   "keyhole",
		Short: "Implant single pieces of knowledge in a language model, and nothing else",
		Long: `Keyhole edits language models: it trains hypernetworks that learn to edit
(MEND), edits with ROME, IKE and fine-tuning beside them, and measures whether
an edit worked (reliability, generalization) and spared everything else
(locality).

Start with:  keyhole quickstart`,
		Example: `  keyhole quickstart
  keyhole train quickstart --out runs/first
  keyhole eval runs/first --data edits.jsonl
  keyhole edit runs/first --prompt "The capital of France is" --target Lyon`,
		Args:          nothing,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().BoolVar(&o.json, "json", false, "print one JSON object for machines")
	root.PersistentFlags().BoolVarP(&o.quiet, "quiet", "q", false, "print results and errors alone")
	root.PersistentFlags().BoolVar(&o.wide, "wide", false, "show every column of tables, however wide the terminal is")
	root.PersistentFlags().StringVar(&o.cpuProfile, "cpu-profile", "", "write a CPU profile to this `file`, for go tool pprof")
	for _, g := range []cobra.Group{
		{ID: "learn", Title: "Learn to edit:"}, {ID: "edit", Title: "Edit and measure:"},
		{ID: "look", Title: "Look into models:"}, {ID: "setup", Title: "Files and machine:"},
	} {
		root.AddGroup(&g)
	}
	for _, c := range []struct {
		group   string
		command *cobra.Command
	}{
		{"learn", quickstartCommand(o)}, {"learn", trainCommand(o)}, {"learn", resumeCommand(o)}, {"learn", pretrainCommand(o)},
		{"edit", evalCommand(o)}, {"edit", resultsCommand(o)}, {"edit", editCommand(o)}, {"edit", editsCommand(o)}, {"edit", compareCommand(o)},
		{"look", generateCommand(o)}, {"look", serveCommand(o)}, {"look", traceCommand(o)}, {"look", sitesCommand(o)}, {"look", statsCommand(o)}, {"look", inspectCommand(o)}, {"look", curvesCommand(o)},
		{"setup", pullCommand(o)}, {"setup", modelsCommand(o)}, {"setup", datasetsCommand(o)},
		{"setup", configCommand(o)}, {"setup", dataCommand(o)}, {"setup", doctorCommand(o)}, {"setup", benchCommand(o)}, {"setup", manCommand(o)}, {"setup", versionCommand(o)},
	} {
		c.command.GroupID = c.group
		root.AddCommand(c.command)
	}
	completing(root)
	profiled(root, o)
	joined(root, o)
	speaking(root, o)
	markFailures(root)
	return root
}

// action is what a command does.
type action func(c *cobra.Command, args []string) error

// around puts something around what c and the commands below it do.
func around(c *cobra.Command, do func(c *cobra.Command, args []string, run action) error) {
	if run := c.RunE; run != nil {
		c.RunE = func(c *cobra.Command, args []string) error { return do(c, args, run) }
	}
	for _, sub := range c.Commands() {
		around(sub, do)
	}
}

// speaking makes the commands below c as quiet, and as wide, as the flags say.
func speaking(c *cobra.Command, o *options) {
	around(c, func(c *cobra.Command, args []string, run action) error {
		out, err := console.Of(c.OutOrStdout()), console.Of(c.ErrOrStderr())
		if o.quiet {
			err.Quiet()
		}
		if o.wide {
			out.Wide()
		}
		return run(c, args)
	})
}

// exactly demands n arguments.
func exactly(n int) cobra.PositionalArgs { return cobra.ExactArgs(n) }

// nothing refuses arguments; at a command that only groups others they are
// names of unknown commands.
func nothing(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if !c.HasSubCommands() {
		return wrongUse("%s takes no arguments, but there is %q", c.CommandPath(), args[0])
	}
	c.SuggestionsMinimumDistance = 2
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		return wrongUse("unknown command %q; did you mean %q?", c.CommandPath()+" "+args[0], near[0])
	}
	return wrongUse("unknown command %q", c.CommandPath()+" "+args[0])
}

// group is a command that only holds others.
func group(use, short, example string, subs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Example: example, Args: nothing,
		RunE: func(c *cobra.Command, _ []string) error {
			return wrongUse("say what to do: one of its commands is missing")
		},
	}
	c.AddCommand(subs...)
	return c
}

// printJSON writes v as the one object that --json promises.
func printJSON(w io.Writer, v any) error {
	console.Of(w).JSON()
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// show prints what came of a command: v as JSON, if the flags ask for it, or else
// what print writes.
func (o *options) show(c *cobra.Command, v any, print func(io.Writer) error) error {
	if o.json {
		return printJSON(c.OutOrStdout(), v)
	}
	return print(c.OutOrStdout())
}

// named is what there is by a name, with what it is.
type named struct {
	Name  string `json:"name"`
	About string `json:"about"`
}

// showNamed lists what there is, names in so many columns.
func (o *options) showNamed(c *cobra.Command, list []named, columns int) error {
	return o.show(c, list, func(w io.Writer) error {
		p := report.To(w)
		for _, x := range list {
			p.Say("%-*s %s", columns, x.Name, x.About)
		}
		return p.Err()
	})
}

// saying prints one text.
func saying(format string, args ...any) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := fmt.Fprintf(w, format, args...)
		return err
	}
}
