package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/edit/stats"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/progress"
)

func statsCommand(o *options) *cobra.Command {
	var corpus, out string
	var sites []string
	cfg := stats.Default()
	var load loading
	c := &cobra.Command{
		Use:   "stats MODEL",
		Short: "Collect what ROME must leave alone, from a text",
		Long: `Go over a text and collect the second moments of what enters the MLPs' second
layers: the measure of what an edit by ROME or MEMIT must not change. Files are
named by model and site; what is there already is not collected again, and an
interrupted collection goes on. Processes that mpirun or srun started share the
work, and write the same bytes.`,
		Example: `  keyhole stats models/gpt2 --corpus wikitext.txt.gz --tokens 100000
  keyhole stats embedded --sites mlp.down@3 --out stats
  mpirun -n 4 keyhole stats models/gpt2 --corpus wikitext.txt.gz --out /shared/stats`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			if cfg.Tokens < 0 {
				return wrongUse("--tokens %d is negative", cfg.Tokens)
			}
			model, err := findModel(c, args[0])
			if err != nil {
				return err
			}
			if err := findData(c, &corpus); err != nil {
				return err
			}
			b, err := load.open(c, model, o.threadsFor(0))
			if err != nil {
				return err
			}
			defer b.Close()
			found, err := b.Model.FindSites(sites)
			if err != nil {
				return err
			}
			b.Corpus, b.Watcher = corpus, progress.On(c.ErrOrStderr())
			moments, err := b.CollectTogether(c.Context(), o.team(), found, cfg, out)
			if stop := stopped(c); stop != nil {
				fmt.Fprintln(c.ErrOrStderr(), "what is done is saved; type the same command again to go on")
				return stop
			}
			if err != nil {
				return err
			}
			var list []stats.Info
			for _, m := range moments {
				list = append(list, m.Info)
			}
			return o.show(c, map[string]any{"statistics": list}, func(w io.Writer) error { return stats.Print(w, list) })
		},
	}
	load.add(c)
	fs := c.Flags()
	fs.StringVar(&corpus, "corpus", "", "text `file`, plain or gzip (default: the embedded text)")
	fs.StringSliceVar(&sites, "sites", []string{lm.RoleDown}, "layers, by name or pattern")
	fs.StringVar(&out, "out", "", "`folder` to keep them in (default: the user's cache)")
	fs.IntVar(&cfg.Tokens, "tokens", 0, "tokens to go over; 0: the recommended number")
	fs.Uint64Var(&cfg.Seed, "seed", cfg.Seed, "seed of the sample of lines")
	fs.IntVar(&cfg.Context, "context", 0, "tokens at which a line is cut; 0: the model's context")
	return c
}
