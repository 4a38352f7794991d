package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/internal/console"
	"keyhole.example/keyhole/progress"
	"keyhole.example/keyhole/workbench"
)

// evalFlags say what is evaluated.
type evalFlags struct {
	file, out, protocol string
	ability, base       string
	data                *data.Options
	opts                eval.Options
	chat                bool
}

func evalCommand(o *options) *cobra.Command {
	var who editorFlags
	var f evalFlags
	var all bool
	c := &cobra.Command{
		Use:   "eval [RUN_OR_CHECKPOINT]",
		Short: "Measure an editor on held-out edits",
		Long: `Make the edits of a data file one by one, ask the edited model, and take each
back: reliability (the edit itself), generalization (its paraphrases), locality
(everything else), as fractions from 0 to 1, and the divergence on locality
prompts in nats. An editor is a run or checkpoint folder, or, with --editor and
--model, one that needs no training.

With --out each edit's result is a line of a file, and an evaluation that was
interrupted goes on where it was. With --texts every prompt is printed and kept
with the answers before and after the edit.

Sequential protocols leave the edits in the model: --batch at once, round after
round, asked after their own round, at the end, or both. They also print figures by
age, with --ability how the model predicts a text, and what it costs.`,
		Example: `  keyhole eval runs/first --data embedded
  keyhole eval runs/zsre --data zsre_eval.jsonl.gz --limit 200 --out zsre.jsonl --json
  keyhole eval --editor ft --model embedded --data embedded --set lr=1e-3 --limit 50
  keyhole eval runs/first --data edits.jsonl --protocol sequential
  keyhole eval --model edited --base models/gpt2 --data edits.jsonl
  keyhole eval --editor memit --model embedded --data embedded --protocol sequential-both --batch 10 --ability embedded`,
		Args: atMostOne(),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := f.run(c, o, &who, args)
			if err != nil {
				return err
			}
			console.Of(c.OutOrStdout()).Fold()
			return o.show(c, r, func(w io.Writer) error { return r.Print(w, all) })
		},
	}
	who.add(c)
	f.add(c)
	c.Flags().BoolVar(&all, "all", false, "show every figure, also by kind of prompt and before the edit")
	return c
}

func (f *evalFlags) add(c *cobra.Command) {
	fs := c.Flags()
	fs.StringVar(&f.file, "data", "", `edits to evaluate on: a file, or "embedded" (its held-out edits, or another --split: train, val)`)
	fs.StringVar(&f.out, "out", "", "results `file`, one line per edit; goes on if it is there")
	fs.StringVar(&f.protocol, "protocol", "single", "single, batch, sequential (asked at the end), sequential-immediate (after each round) or sequential-both")
	fs.StringVar(&f.base, "base", "", "`model` that the one of --model was edited from, by whatever method")
	fs.IntVar(&f.opts.Limit, "limit", 0, "evaluate so many first edits; 0: all")
	fs.IntVar(&f.opts.Batch, "batch", 0, "edits made together: for --protocol batch (default 10), and rounds of sequential protocols (default 1)")
	fs.IntVar(&f.opts.Rounds, "rounds", 0, "rounds in a row before the next sequence begins with the base model; 0: all")
	fs.StringVar(&f.ability, "ability", "", `text on which the model at the end of a sequence is compared with the base: a file, or "embedded"`)
	fs.IntVar(&f.opts.MaxLen, "max-len", 0, "cut prompts to their last and answers to their first so many tokens, for making and asking edits (default: never)")
	fs.StringSliceVar(&f.opts.Metrics, "metrics", nil, "families of metrics (default: those that the data allow)")
	fs.StringVar(&f.opts.Style, "style", "", "of prompts: plain, qa_instruction, or chat_template as --chat")
	addChat(c, &f.chat)
	fs.BoolVar(&f.opts.Texts, "texts", false, "print every prompt with the expected answer and those before and after the edit, and keep them in the results file")
	fs.Uint64Var(&f.opts.Seed, "seed", 0, "seed of borrowed prompts and sampled texts")
	f.data = dataFlags(c)
	fs.BoolVar(&f.data.SkipBad, "skip-bad", false, "count bad records instead of stopping")
}

// open loads the editor, or, with --base, the base model and as its edit what
// another model has.
func (f *evalFlags) open(c *cobra.Command, who *editorFlags, args []string) (*workbench.Bench, error) {
	switch {
	case f.base == "":
		return who.open(c.Context(), c, args)
	case len(args) > 0 || who.editor != "" && who.editor != catalog.None || len(who.set) > 0:
		return nil, wrongUse("--base is for a model that is edited already; name that with --model, and no editor")
	case who.model == "":
		return nil, wrongUse("--base needs --model: the edited model")
	case f.protocol != "single":
		return nil, wrongUse("--base is for --protocol single: the edits are all made already")
	}
	var err error
	if f.base, err = findModel(c, f.base); err != nil {
		return nil, err
	}
	if who.model, err = findModel(c, who.model); err != nil {
		return nil, err
	}
	return workbench.OpenEdited(f.base, who.model, *who.threads, who.load.opts)
}

func (f *evalFlags) run(c *cobra.Command, o *options, who *editorFlags, args []string) (*eval.Report, error) {
	protocol, unknown := eval.FindProtocol(f.protocol)
	switch {
	case f.file == "":
		return nil, wrongUse("--data is missing: name a file of edits, or %q", workbench.Embedded)
	case unknown != nil:
		return nil, wrongUse("--%v", unknown)
	case f.opts.Limit < 0 || f.opts.Batch < 0 || f.opts.Rounds < 0:
		return nil, wrongUse("--limit, --batch and --rounds must not be negative")
	case f.opts.Batch > 0 && protocol == "single_restore":
		return nil, wrongUse("--batch is for --protocol batch and the sequential ones")
	case !eval.InSequence(protocol) && (f.opts.Rounds > 0 || f.ability != ""):
		return nil, wrongUse("--rounds and --ability are for sequential protocols, not for --protocol %s", f.protocol)
	}
	var err error
	if err = findData(c, append(f.data.Companions(), &f.file, &f.ability)...); err != nil {
		return nil, err
	}
	if f.opts.Ability, err = workbench.AbilityText(f.ability); err != nil {
		return nil, err
	}
	set, err := workbench.LoadEdits(f.file, *f.data)
	if err != nil {
		return nil, err
	}
	*who.threads = o.threadsFor(*who.threads)
	sayUnread(c, f.file, set)
	b, err := f.open(c, who, args)
	if err != nil {
		return nil, err
	}
	if f.chat {
		f.opts.Style = eval.ChatStyle
	}
	if f.opts.Style == eval.ChatStyle {
		if err := inChat(b.Model, set); err != nil {
			return nil, errorAfter(err, b.Close())
		}
	}
	f.opts.Protocol, f.opts.Set, f.opts.Out, f.opts.Team = protocol, set, f.out, o.team()
	p := progress.On(c.ErrOrStderr())
	p.Kept = f.out
	f.opts.Progress = func(e eval.Progress) { p.Evaluating(b.Editor.Name(), e) }
	r, err := b.Evaluate(c.Context(), f.opts)
	p.Finish()
	if err == nil {
		r.Data = set.Name
	}
	err = errorAfter(err, b.Close())
	if stop := stopped(c); stop != nil {
		if f.out != "" {
			fmt.Fprintf(c.ErrOrStderr(), "what was evaluated is in %s; type the same command again to go on\n", f.out)
		}
		return nil, stop
	}
	return r, err
}
