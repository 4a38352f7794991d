package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/workbench"
)

func dataCommand(o *options) *cobra.Command {
	return group("data", "Look at data sets",
		"  keyhole data new facts.yaml\n  keyhole data info zsre\n  keyhole data check my-edits.jsonl\n  keyhole data formats",
		dataNewCommand(o), dataInfoCommand(o), dataCheckCommand(o), dataFormatsCommand(o))
}

// dataFlags are the flags that say how a data file is read.
func dataFlags(c *cobra.Command) *data.Options {
	d := &data.Options{SkipBadBy: "--skip-bad"}
	f := c.Flags()
	f.StringVar(&d.Format, "format", "", "read the file as this format instead of finding out")
	f.StringVar(&d.Split, "split", "", "keep one split, where the file names splits")
	f.StringVar(&d.Neighbors, "neighbors", "", "`file` of CounterFact neighbours to merge")
	f.StringVar(&d.Locality, "locality", "", "`file` of unrelated questions to borrow where edits have none")
	addJoin(c, (*string)(&d.Join))
	addOccurrence(c, &d.Occurrence)
	f.StringSliceVar(&d.Exclude, "exclude", nil, "leave out edits about subjects of this `file`")
	f.BoolVar(&d.Distinct, "distinct", false, "keep the first edit about each subject")
	return d
}

// addJoin adds --join.
func addJoin(c *cobra.Command, to *string) {
	c.Flags().StringVar(to, "join", "auto", "how an answer follows its prompt: auto, a space where the writing has one; space; none")
}

// addOccurrence adds --occurrence.
func addOccurrence(c *cobra.Command, to *string) {
	c.Flags().StringVar(to, "occurrence", "", "which one is meant where the subject stands in the prompt more than once: first or last")
}

func dataNewCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "new FILE",
		Short: "Write an example of a file of facts, to be changed",
		Long: `Write a file with five facts, to be changed into your own. A name that ends in
.csv gives a table, .json or .jsonl the facts as JSON, any other YAML with comments
that explain every key. A file that is there is not overwritten.`,
		Example: "  keyhole data new facts.yaml\n  keyhole data new facts.csv",
		Args:    exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			n, err := data.WriteExample(args[0])
			if err != nil {
				return err
			}
			return o.show(c, map[string]any{"file": args[0], "bytes": n}, func(io.Writer) error {
				return saying("wrote %s; change it, then: keyhole data check %s\n", args[0], shell(args[0]))(hinted(c))
			})
		},
	}
}

func dataInfoCommand(o *options) *cobra.Command {
	var opts *data.Options
	c := &cobra.Command{
		Use:   "info FILE",
		Short: "Summarise a file of edits",
		Long: `Read a file of edits, plain or gzip, in any known format, and say what it holds.
Bad records are counted, not fatal. FILE may be "embedded".`,
		Example: "  keyhole data info counterfact.jsonl.gz --split train\n  keyhole data info embedded --json",
		Args:    exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			opts.SkipBad = true
			path := args[0]
			if err := findData(c, append(opts.Companions(), &path)...); err != nil {
				return err
			}
			set, err := workbench.LoadEdits(path, *opts)
			if err != nil {
				return err
			}
			return o.show(c, set.Summary(), saying("%s\n", set.Summary()))
		},
	}
	opts = dataFlags(c)
	return c
}

func dataCheckCommand(o *options) *cobra.Command {
	var opts *data.Options
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Find the bad records of a file",
		Long: `Read a file of edits and list what is wrong in it, by reason with the line of the
first such record, and records that contradict each other: the same prompt with
different targets, of which one edit alone can hold. Edits of one fact in other
words are counted (the same subject and true answer, another target); --distinct
keeps one edit of a subject. The exit status is 1 if there is a bad record.`,
		Example: "  keyhole data check my-edits.jsonl",
		Args:    exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			path := args[0]
			if err := findData(c, append(opts.Companions(), &path)...); err != nil {
				return err
			}
			r, err := workbench.CheckEdits(path, *opts)
			if err != nil {
				return err
			}
			if err := o.show(c, r, r.Print); err != nil {
				return err
			}
			if r.Bad > 0 {
				return fmt.Errorf("%s: %d of %d records are bad; mend them, or leave them out: eval --skip-bad, in a config data.skip_bad: true", args[0], r.Bad, r.Records)
			}
			return nil
		},
	}
	opts = dataFlags(c)
	return c
}

func dataFormatsCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "formats",
		Short:   "List the formats that can be read",
		Example: "  keyhole data formats",
		Args:    nothing,
		RunE: func(c *cobra.Command, _ []string) error {
			var list []named
			for _, f := range data.Formats() {
				list = append(list, named{f.Name, f.About})
			}
			return o.showNamed(c, list, 22)
		},
	}
}
