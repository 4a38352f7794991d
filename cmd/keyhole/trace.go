package main

import (
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit/family"
	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/text"
	"keyhole.example/keyhole/trace"
	"keyhole.example/keyhole/trace/survey"
)

// traceFlags say what is traced.
type traceFlags struct {
	survey.Survey
	join, occurrence string
	defaults         string
	set              []string
}

func traceCommand(o *options) *cobra.Command {
	var f traceFlags
	var load loading
	c := &cobra.Command{
		Use:   "trace MODEL",
		Short: "Find the states that carry a fact, by causal tracing",
		Long: `Corrupt the subject's embeddings, restore one state after another, and see how
much of the answer's probability comes back: hidden states, MLP outputs and
attention outputs, for each token and block. With --data, averages over the
facts of a file that the model knows, with 95 % bands, and the block that
suggests itself for ROME. What is traced is kept there, fact by fact, so an
interrupted average goes on. Processes that mpirun or srun started share the facts,
and write the same bytes.

--write-defaults writes the suggested block into a file of settings; in the folder
that is named then, it is used for models of this shape from now on.

The folder of --out gets a JSON file, a table, and a heat map (PNG and SVG) for each kind.`,
		Example: `  keyhole trace embedded --prompt "The capital of Masovian Voivodeship is" --subject "Masovian Voivodeship" --out traced
  keyhole trace models/smollm2 --prompt "The Space Needle is in the city of" --subject "Space Needle" --out traced
  keyhole trace models/gpt2 --data known_facts.jsonl.gz --limit 100 --restore hidden --out traced
  keyhole trace models/gpt2 --prompt "The Space Needle is in" --subject "Space Needle" --set corrupt=mask --out masked
  keyhole trace models/gpt2 --data known_facts.jsonl.gz --out traced --write-defaults gpt2.yaml
  mpirun -n 4 keyhole trace models/gpt2 --data known_facts.jsonl.gz --out traced`,
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			if f.Team = o.team(); !mpi.Alone(f.Team) && f.File == "" {
				return wrongUse("one prompt is no work that processes share, but a launcher started %d; start it without one, or give --data", f.Team.Size())
			}
			cfg, err := f.check()
			if err != nil {
				return err
			}
			model, err := findModel(c, args[0])
			if err := errorAfter(err, findData(c, &f.File)); err != nil {
				return err
			}
			b, err := load.open(c, model, o.threadsFor(0))
			if err != nil {
				return err
			}
			f.Notes = c.ErrOrStderr()
			t, err := b.Trace(c.Context(), &f.Survey, cfg, f.defaults)
			if err := errorAfter(err, b.Close()); err != nil || !mpi.Leads(f.Team) {
				return err
			}
			return o.show(c, t, func(w io.Writer) error {
				if err := t.Print(w); err != nil || f.defaults == "" {
					return err
				}
				return saying("to use it for this model from now on, put %s into %s\n", f.defaults, family.UserFolder())(w)
			})
		},
	}
	load.add(c)
	fs := c.Flags()
	fs.StringVar(&f.Query.Prompt, "prompt", "", "text that asks for a fact")
	fs.StringVar(&f.Query.Subject, "subject", "", "what the fact is about, as it stands in the prompt")
	addJoin(c, &f.join)
	addChat(c, &f.Chat)
	addOccurrence(c, &f.occurrence)
	fs.StringVar(&f.Query.Answer, "answer", "", "expected answer (default: whatever the model says)")
	fs.StringVar(&f.File, "data", "", "`file` of facts to average over, instead of --prompt")
	fs.IntVar(&f.Limit, "limit", 100, "known facts of --data; 0: all")
	fs.StringVar(&f.Out, "out", "", "write to this `folder`")
	fs.StringVar(&f.defaults, "write-defaults", "", "write what --data suggests for ROME, MEMIT and AlphaEdit into this YAML `file`")
	fs.StringSliceVar(&f.Restores, "restore", []string{trace.Hidden, trace.MLP, trace.Attn}, "states to restore")
	fs.StringArrayVar(&f.set, "set", nil, "override a setting: `key=value` (noise, samples, seed, corrupt, mask, window, sever, …)")
	return c
}

func (f *traceFlags) check() (trace.Config, error) {
	cfg := trace.Default()
	switch {
	case f.Out == "":
		return cfg, wrongUse("--out is missing: name a folder for tables and heat maps")
	case f.File == "" && (f.Query.Prompt == "" || f.Query.Subject == ""):
		return cfg, wrongUse("give --prompt and --subject, or --data")
	case f.File != "" && f.Query != (trace.Query{}):
		return cfg, wrongUse("give --data, or --prompt and --subject, not both")
	case f.defaults != "" && f.File == "":
		return cfg, wrongUse("--write-defaults needs --data: one prompt suggests nothing for a model")
	case f.defaults != "" && filepath.Ext(f.defaults) != ".yaml":
		return cfg, wrongUse("--write-defaults %s: the name of a file of settings ends in .yaml", f.defaults)
	case len(f.Restores) == 0:
		return cfg, wrongUse("--restore is empty: name hidden, mlp or attn")
	case f.Limit < 0:
		return cfg, wrongUse("--limit %d is negative; 0 means all", f.Limit)
	}
	var err error
	if f.How.Join, err = data.ParseJoin(f.join); err != nil {
		return cfg, wrongUse("--%v", err)
	}
	if f.How.Occurrence, err = text.ParseOccurrence(f.occurrence); err != nil {
		return cfg, wrongUse("--occurrence: %v", err)
	}
	for _, r := range f.Restores {
		if !slices.Contains([]string{trace.Hidden, trace.MLP, trace.Attn}, r) {
			return cfg, wrongUse("--restore %q is none of hidden, mlp, attn", r)
		}
	}
	for _, s := range f.set {
		if key, value, _ := strings.Cut(s, "="); strings.TrimSpace(key) == "restore" {
			return cfg, wrongUse("--set %s: name the states with --restore %s instead", s, value)
		}
	}
	if _, err := configs.Read("trace", nil, &cfg, configs.Options{Set: f.set}); err != nil {
		return cfg, err
	}
	if cfg.Sever != trace.None && slices.ContainsFunc(f.Restores, func(r string) bool { return r != trace.Hidden }) {
		return cfg, wrongUse("--set sever=%s goes with hidden states alone; add --restore %s", cfg.Sever, trace.Hidden)
	}
	if !mpi.Leads(f.Team) {
		return cfg, nil
	}
	return cfg, atomicfile.Writable(filepath.Join(f.Out, f.Restores[0]+".json"))
}
