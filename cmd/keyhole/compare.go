package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/compare"
	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/presets"
	"keyhole.example/keyhole/progress"
)

func compareCommand(o *options) *cobra.Command {
	var out, pre string
	var set []string
	var chat bool
	c := &cobra.Command{
		Use:   "compare CONFIG",
		Short: "Compare editors on the same model, edits and metrics",
		Long: `Evaluate every editor of CONFIG (a YAML file, or the name of a preset) on the
same base model and edits, and write one table with 95 % bands: as HTML and
Markdown with plots, as LaTeX (booktabs) and CSV. Editors that are not trained yet are trained first. What is
done already is not done again, so an interrupted comparison goes on; results
that were measured differently are refused.`,
		Example: `  keyhole compare compare-quickstart
  keyhole compare compare-smollm2 --out runs/table --json
  keyhole compare my.yaml --set data.limit=50`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg := compare.Default()
			if chat {
				set = append(set, "data.template=chat")
			}
			if pre != "" {
				set = append(set, "pre="+pre)
			}
			if _, err := presets.Read(args[0], &cfg, set); err != nil {
				return err
			}
			if err := findConfig(c, &cfg); err != nil {
				return err
			}
			if out == "" {
				out = filepath.Join("runs", strings.TrimSuffix(filepath.Base(args[0]), filepath.Ext(args[0])))
			}
			r, err := runComparison(c, o, cfg, out)
			if err != nil {
				return err
			}
			err = o.show(c, r, r.Print)
			if err == nil && len(r.Failed) > 0 {
				err = fmt.Errorf("compare: %d of %d editors have no figures", len(r.Failed), len(cfg.Editors))
			}
			return err
		},
	}
	c.Flags().StringVar(&out, "out", "", "`folder` for results and reports (default runs/NAME)")
	c.Flags().StringArrayVar(&set, "set", nil, "override a key of the config: `key=value`")
	c.Flags().StringVar(&pre, "pre", "", "pre-tokenizer of a GGUF file, in place of the one that it names: `name` such as llama-bpe or qwen2")
	addChat(c, &chat)
	return c
}

// runComparison compares, in a folder, and writes the reports.
func runComparison(c *cobra.Command, o *options, cfg compare.Config, dir string) (*compare.Result, error) {
	shown := progress.On(c.ErrOrStderr())
	shown.Kept = dir
	cfg.Threads = o.threadsFor(cfg.Threads)
	m := &compare.Runner{Config: cfg, Dir: dir, Read: readLocated(c), Watcher: shown, Team: o.team(), Note: func(text string) { fmt.Fprintln(c.ErrOrStderr(), text) }}
	r, err := m.Run(c.Context())
	if stop := stopped(c); stop != nil {
		fmt.Fprintf(c.ErrOrStderr(), "what was done is in %s; type the same command again to go on\n", dir)
		return nil, stop
	}
	if err != nil {
		return nil, err
	}
	if mpi.Leads(m.Team) {
		err = m.Write(r)
	}
	return r, mpi.Agree(m.Team, err)
}
