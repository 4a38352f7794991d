package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/edit/stats"
	"keyhole.example/keyhole/embedded"
	"keyhole.example/keyhole/lm"
)

// statsDir is where statistics are kept unless told otherwise.
func statsDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("folder of statistics: %w; name one with --out", err)
	}
	return filepath.Join(cache, "keyhole", "stats"), nil
}

// corpusOf is a text file, or the embedded text.
func corpusOf(path string) (stats.Corpus, error) {
	if path != "" && path != embeddedName {
		return stats.FileCorpus(path), nil
	}
	text, err := embedded.Text()
	if err != nil {
		return stats.Corpus{}, err
	}
	return stats.TextCorpus("the embedded text", text), nil
}

// momentInfo is the JSON of one site's statistics.
type momentInfo struct {
	Site   string `json:"site"`
	Tokens int    `json:"tokens"`
	Width  int    `json:"width"`
	Texts  int    `json:"texts"`
	Model  string `json:"model"`
	Corpus string `json:"corpus_sha256"`
}

func statsCommand(o *options) *cobra.Command {
	var corpus, out string
	var sites []string
	cfg := stats.Default()
	c := &cobra.Command{
		Use:   "stats MODEL",
		Short: "Collect what ROME must leave alone, from a text",
		Long: `Go over a text and collect the second moments of what enters the MLPs' second
layers: the measure of what an edit by ROME or MEMIT must not change. Files are
named by model and site; what is there already is not collected again, and an
interrupted collection goes on.`,
		Example: `  keyhole stats models/gpt2 --corpus wikitext.txt.gz --tokens 100000
  keyhole stats embedded --sites mlp.down@3 --out stats`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			if cfg.Tokens < 0 {
				return wrongUse("--tokens %d is negative", cfg.Tokens)
			}
			b, err := openModelOnly(args[0], 0)
			if err != nil {
				return err
			}
			defer b.close()
			found, err := b.model.FindSites(sites)
			if err != nil {
				return err
			}
			moments, err := collectStats(c.Context(), b, c.ErrOrStderr(), found, corpus, cfg, out)
			if stop := stopped(c); stop != nil {
				fmt.Fprintln(c.ErrOrStderr(), "what is done is saved; type the same command again to go on")
				return stop
			}
			if err != nil {
				return err
			}
			var list []momentInfo
			for _, m := range moments {
				list = append(list, momentInfo{m.Site, m.Tokens, m.Width, m.Texts, m.Model, m.Corpus})
			}
			if o.json {
				return printJSON(c.OutOrStdout(), map[string]any{"statistics": list})
			}
			for _, m := range list {
				if _, err := fmt.Fprintf(c.OutOrStdout(), "%s: %d tokens of %d texts, width %d\n", m.Site, m.Tokens, m.Texts, m.Width); err != nil {
					return err
				}
			}
			return nil
		},
	}
	fs := c.Flags()
	fs.StringVar(&corpus, "corpus", "", "text `file`, plain or gzip (default: the embedded text)")
	fs.StringSliceVar(&sites, "sites", []string{lm.RoleDown}, "layers, by name or pattern")
	fs.StringVar(&out, "out", "", "`folder` to keep them in (default: the user's cache)")
	fs.IntVar(&cfg.Tokens, "tokens", 0, "tokens to go over; 0: the recommended number")
	fs.Uint64Var(&cfg.Seed, "seed", cfg.Seed, "seed of the sample of lines")
	fs.IntVar(&cfg.Context, "context", 0, "tokens at which a line is cut; 0: the model's context")
	return c
}

// collectStats collects or loads the statistics of sites, with a progress bar.
func collectStats(ctx context.Context, b *workbench, w io.Writer, sites []lm.Site, corpus string, cfg stats.Config, dir string) ([]*stats.Moment, error) {
	text, err := corpusOf(corpus)
	if err != nil {
		return nil, err
	}
	if dir == "" {
		if dir, err = statsDir(); err != nil {
			return nil, err
		}
	}
	var bar *bar
	moments, err := stats.Collect(ctx, b.model, b.engine, sites, text, cfg, stats.Options{Dir: dir, Progress: func(done, total int) {
		if bar == nil {
			fmt.Fprintf(w, "collecting statistics from %s\n", text.Name)
			bar = newBar(w, "tokens", total)
		}
		bar.set(done, "")
	}})
	bar.finish()
	if err != nil {
		return nil, err
	}
	for _, m := range moments {
		fmt.Fprintf(w, "statistics of %s: %d tokens of %s\n", m.Site, m.Tokens, text.Name)
	}
	return moments, nil
}
