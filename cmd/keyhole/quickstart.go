package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/checkpoints"
	"keyhole.example/keyhole/compare"
	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/embedded"
	"keyhole.example/keyhole/internal/console"
	"keyhole.example/keyhole/presets"
	"keyhole.example/keyhole/progress"
	"keyhole.example/keyhole/workbench"
)

// quickstarted is the JSON of quickstart.
type quickstarted struct {
	Run     string `json:"run"`
	Learned string `json:"learned"` // the editor among editors that was trained in Run
	*compare.Result
	Checkpoints int               `json:"checkpoints_verified"`
	Edit        *workbench.Result `json:"edit"`
}

// learned is the label, in compare-quickstart, of the editor that quickstart
// trains.
const learned = "keyhole"

func quickstartCommand(o *options) *cobra.Command {
	var out string
	var limit, steps int
	c := &cobra.Command{
		Use:   "quickstart",
		Short: "See the whole of it in about five minutes, with nothing else at hand",
		Long: `Train an editor on the embedded model and edits, save and verify its checkpoints,
evaluate it on held-out edits beside fine-tuning and the other editors, and make
one edit before your eyes. About five minutes on two cores.

What is done is kept in RUN; the same command goes on where it was.`,
		Example: `  keyhole quickstart
  keyhole quickstart --out runs/mine --json`,
		Args: nothing,
		RunE: func(c *cobra.Command, _ []string) error {
			q := &quick{c: c, o: o, run: out, limit: limit, steps: steps}
			return q.all()
		},
	}
	c.Flags().StringVar(&out, "out", filepath.Join("runs", "quickstart"), "run `folder`")
	c.Flags().IntVar(&limit, "limit", 0, "held-out edits for each editor; 0: as configs/compare-quickstart.yaml says")
	c.Flags().IntVar(&steps, "steps", 0, "train each editor for so many steps, for a shorter look; 0: as the configs say")
	return c
}

// quick is a quickstart in progress.
type quick struct {
	c     *cobra.Command
	o     *options
	run   string
	limit int
	steps int
}

// set are the overrides of a training config.
func (q *quick) set() []string {
	if q.steps == 0 {
		return nil
	}
	return []string{fmt.Sprintf("train.steps=%d", q.steps)}
}

func (q *quick) say(format string, args ...any) { fmt.Fprintf(q.c.ErrOrStderr(), format+"\n", args...) }

func (q *quick) all() error {
	q.say("1. Train the editor: a network that turns the gradient of one edit into a small change of the model.")
	if err := q.train(); err != nil {
		return err
	}
	q.say("\n2. Verify the checkpoints.")
	n, err := checkpoints.Verify(filepath.Join(q.run, "checkpoints"))
	if err != nil {
		return err
	}
	q.say("%d checkpoint(s) in %s: every byte is what was saved.", n, q.run)
	q.say("\n3. Evaluate on held-out edits, beside the other editors.")
	r, err := q.compare()
	if err != nil {
		return err
	}
	if !q.o.json {
		if err := r.Table().Show(q.c.OutOrStdout()); err != nil {
			return err
		}
	}
	q.say("\n4. Make one edit.")
	record, err := shownRecord()
	if err != nil {
		return err
	}
	e, err := q.edit(record)
	if err != nil {
		return err
	}
	if q.o.json {
		return printJSON(q.c.OutOrStdout(), quickstarted{q.run, learned, r, n, e})
	}
	return q.print(e, record.Subject)
}

// train makes sure that the run folder holds a trained editor.
func (q *quick) train() error {
	m := &compare.Runner{Read: presets.Read, Watcher: progress.On(q.c.ErrOrStderr())}
	err := m.Train(q.c.Context(), "quickstart", q.set(), q.run)
	var stop *interrupted
	if errors.As(err, &stop) {
		q.say("the training is saved; type the same command again to go on, or: keyhole resume %s", shell(q.run))
	}
	return err
}

// compare evaluates the editors of the preset compare-quickstart; the trained
// one of the quickstart is that of the run.
func (q *quick) compare() (*compare.Result, error) {
	cfg := compare.Default()
	if _, err := presets.Read("compare-quickstart", &cfg, nil); err != nil {
		return nil, err
	}
	if q.limit > 0 {
		cfg.Data.Limit = q.limit
	}
	for i := range cfg.Editors {
		e := &cfg.Editors[i]
		switch {
		case e.Run != "": // the learned editor, alone and behind a gate
			e.Run, e.Train = q.run, ""
		case e.Train != "":
			e.Set = append(e.Set, q.set()...)
		}
	}
	return runComparison(q.c, q.o, cfg, filepath.Join(q.run, "compare"))
}

// edit makes one held-out edit with the trained editor.
func (q *quick) edit(record *data.Edit) (*workbench.Result, error) {
	b, err := workbench.OpenTrained(q.run, "", 0)
	if err != nil {
		return nil, err
	}
	r, err := b.Do(q.c.Context(), workbench.Shown(record), q.c.ErrOrStderr())
	return r, errorAfter(err, b.Close())
}

// shownRecord is the first held-out edit that has a paraphrase and an unrelated
// prompt.
func shownRecord() (*data.Edit, error) {
	set, err := embedded.Test()
	if err != nil {
		return nil, err
	}
	for i := range set.Edits {
		if e := &set.Edits[i]; len(e.Paraphrases) > 0 && len(e.Locality[data.Unrelated]) > 0 {
			return e, nil
		}
	}
	return nil, errors.New("the embedded edits have no paraphrase with an unrelated prompt")
}

func (q *quick) print(e *workbench.Result, subject string) error {
	w := q.c.OutOrStdout()
	console.Of(w).Fold()
	if _, err := fmt.Fprintf(w, "%q shall be answered with %q.\n", e.Prompt, e.Target); err != nil {
		return err
	}
	if err := e.Print(w, false); err != nil {
		return err
	}
	_, err := fmt.Fprintf(hinted(q.c), `
Next:
  keyhole edit %[1]s --prompt %[2]s --target %[3]s --save edited
      write the edited model as a Hugging Face folder
  keyhole eval %[1]s --data embedded --all
      every figure behind the table's first row
  keyhole trace embedded --prompt %[2]s --subject %[4]s --out traced
      where the model keeps the fact
  keyhole inspect %[1]s
      what was trained
The table with plots: %[5]s
`, shell(q.run), shell(e.Prompt), shell(e.Target), shell(subject), filepath.Join(q.run, "compare", "report.html"))
	return err
}
