package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
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
			if err := errorAfter(findData(c, &path), findCompanions(c, opts)); err != nil {
				return err
			}
			set, err := workbench.LoadEdits(path, *opts)
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(c.OutOrStdout(), set.Summary())
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), set.Summary())
			return err
		},
	}
	opts = dataFlags(c)
	return c
}

// checked is the JSON of data check.
type checked struct {
	Good    int         `json:"good"`
	Bad     int         `json:"bad"`
	Format  string      `json:"format"`
	Reasons []data.Drop `json:"reasons"`
	Unread  []string    `json:"unread,omitempty"` // keys that the format does not use
	// Conflicts are records of which only one can hold where all are edited.
	Conflicts []edit.Conflict `json:"conflicts,omitempty"`
}

func dataCheckCommand(o *options) *cobra.Command {
	var opts *data.Options
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Find the bad records of a file",
		Long: `Read a file of edits and list what is wrong in it, by reason with the line of the
first such record, and records that contradict each other: the same prompt with
different targets, of which one edit alone can hold. The exit status is 1 if
there is a bad record.`,
		Example: "  keyhole data check my-edits.jsonl",
		Args:    exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			opts.SkipBad = true
			path := args[0]
			if err := errorAfter(findData(c, &path), findCompanions(c, opts)); err != nil {
				return err
			}
			set, err := workbench.LoadEdits(path, *opts)
			if err != nil {
				return err
			}
			r := checked{Good: len(set.Edits), Format: set.Format, Reasons: append([]data.Drop{}, set.Dropped...), Unread: set.Unread}
			var requests []edit.Request
			for i := range set.Edits {
				requests = append(requests, edit.Requests(&set.Edits[i])...)
			}
			r.Conflicts = edit.Conflicts(requests)
			for _, d := range set.Dropped {
				if d.Bad {
					r.Bad += d.Count
				}
			}
			if err := printChecked(c.OutOrStdout(), o.json, r); err != nil {
				return err
			}
			if r.Bad > 0 {
				return fmt.Errorf("%s: %d of %d records are bad; mend them, or leave them out: eval --skip-bad, in a config data.skip_bad: true", args[0], r.Bad, set.Records)
			}
			return nil
		},
	}
	opts = dataFlags(c)
	return c
}

func printChecked(w io.Writer, asJSON bool, r checked) error {
	if asJSON {
		return printJSON(w, r)
	}
	for _, d := range r.Reasons {
		kind := "left out"
		if d.Bad {
			kind = "bad"
		}
		if _, err := fmt.Fprintf(w, "%s: %d, first at line %d: %s\n", kind, d.Count, d.Line, d.Reason); err != nil {
			return err
		}
	}
	if len(r.Unread) > 0 {
		if _, err := fmt.Fprintf(w, "not used: %s\n", strings.Join(r.Unread, ", ")); err != nil {
			return err
		}
	}
	const shown = 5
	for _, c := range r.Conflicts[:min(len(r.Conflicts), shown)] {
		if _, err := fmt.Fprintf(w, "conflict: records %v\n", c); err != nil {
			return err
		}
	}
	if n := len(r.Conflicts) - shown; n > 0 {
		if _, err := fmt.Fprintf(w, "and %d further conflicts; --json has them\n", n); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%d good records (format %s), %d bad\n", r.Good, r.Format, r.Bad)
	return err
}

func dataFormatsCommand(o *options) *cobra.Command {
	type format struct {
		Name  string `json:"name"`
		About string `json:"about"`
	}
	return &cobra.Command{
		Use:     "formats",
		Short:   "List the formats that can be read",
		Example: "  keyhole data formats",
		Args:    nothing,
		RunE: func(c *cobra.Command, _ []string) error {
			var list []format
			for _, f := range data.Formats() {
				list = append(list, format{f.Name, f.About})
			}
			if o.json {
				return printJSON(c.OutOrStdout(), list)
			}
			for _, f := range list {
				if _, err := fmt.Fprintf(c.OutOrStdout(), "%-22s %s\n", f.Name, f.About); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
