package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit/family"
	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/internal/console"
	"keyhole.example/keyhole/internal/lock"
	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/report"
	"keyhole.example/keyhole/text"
	"keyhole.example/keyhole/trace"
	"keyhole.example/keyhole/workbench"
)

// traceFlags say what is traced.
type traceFlags struct {
	query            trace.Query
	file             string
	limit            int
	join, occurrence string
	how              trace.Query // of each fact
	out, defaults    string
	restores         []string
	set              []string
	chat             bool
	ask              func(string) (string, error) // a prompt as it is put to the model
	team             mpi.Team
}

// traced is the JSON of trace: one entry for each kind of restored state.
type traced struct {
	Model     string           `json:"model"`
	Results   []*trace.Result  `json:"results,omitempty"` // of one prompt
	Summaries []*trace.Summary `json:"summaries,omitempty"`
	Unknown   int              `json:"unknown,omitempty"` // facts that the model does not know
	LeftOut   map[string]int   `json:"left_out,omitempty"`
	Files     []string         `json:"files"`
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
			if f.team = o.team(); !mpi.Alone(f.team) && f.file == "" {
				return wrongUse("one prompt is no work that processes share, but a launcher started %d; start it without one, or give --data", f.team.Size())
			}
			cfg, err := f.check()
			if err != nil {
				return err
			}
			model, err := findModel(c, args[0])
			if err != nil {
				return err
			}
			b, err := load.open(c, model, o.threadsFor(0))
			if err != nil {
				return err
			}
			t, err := f.run(c, b, cfg)
			if err := errorAfter(err, b.Close()); err != nil || !mpi.Leads(f.team) {
				return err
			}
			if o.json {
				return printJSON(c.OutOrStdout(), t)
			}
			return t.print(c.OutOrStdout())
		},
	}
	load.add(c)
	fs := c.Flags()
	fs.StringVar(&f.query.Prompt, "prompt", "", "text that asks for a fact")
	fs.StringVar(&f.query.Subject, "subject", "", "what the fact is about, as it stands in the prompt")
	addJoin(c, &f.join)
	addChat(c, &f.chat)
	addOccurrence(c, &f.occurrence)
	fs.StringVar(&f.query.Answer, "answer", "", "expected answer (default: whatever the model says)")
	fs.StringVar(&f.file, "data", "", "`file` of facts to average over, instead of --prompt")
	fs.IntVar(&f.limit, "limit", 100, "known facts of --data; 0: all")
	fs.StringVar(&f.out, "out", "", "write to this `folder`")
	fs.StringVar(&f.defaults, "write-defaults", "", "write what --data suggests for ROME, MEMIT and AlphaEdit into this YAML `file`")
	fs.StringSliceVar(&f.restores, "restore", []string{trace.Hidden, trace.MLP, trace.Attn}, "states to restore")
	fs.StringArrayVar(&f.set, "set", nil, "override a setting: `key=value` (noise, samples, seed, corrupt, mask, window, sever, …)")
	return c
}

func (f *traceFlags) check() (trace.Config, error) {
	cfg := trace.Default()
	switch {
	case f.out == "":
		return cfg, wrongUse("--out is missing: name a folder for tables and heat maps")
	case f.file == "" && (f.query.Prompt == "" || f.query.Subject == ""):
		return cfg, wrongUse("give --prompt and --subject, or --data")
	case f.file != "" && f.query != (trace.Query{}):
		return cfg, wrongUse("give --data, or --prompt and --subject, not both")
	case f.defaults != "" && f.file == "":
		return cfg, wrongUse("--write-defaults needs --data: one prompt suggests nothing for a model")
	case f.defaults != "" && filepath.Ext(f.defaults) != ".yaml":
		return cfg, wrongUse("--write-defaults %s: the name of a file of settings ends in .yaml", f.defaults)
	case len(f.restores) == 0:
		return cfg, wrongUse("--restore is empty: name hidden, mlp or attn")
	case f.limit < 0:
		return cfg, wrongUse("--limit %d is negative; 0 means all", f.limit)
	}
	var err error
	if f.how.Join, err = data.ParseJoin(f.join); err != nil {
		return cfg, wrongUse("--%v", err)
	}
	if f.how.Occurrence, err = text.ParseOccurrence(f.occurrence); err != nil {
		return cfg, wrongUse("--occurrence: %v", err)
	}
	for _, r := range f.restores {
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
	if cfg.Sever != trace.None && slices.ContainsFunc(f.restores, func(r string) bool { return r != trace.Hidden }) {
		return cfg, wrongUse("--set sever=%s goes with hidden states alone; add --restore %s", cfg.Sever, trace.Hidden)
	}
	if !mpi.Leads(f.team) {
		return cfg, nil
	}
	return cfg, atomicfile.Writable(filepath.Join(f.out, f.restores[0]+".json"))
}

func (f *traceFlags) run(c *cobra.Command, b *workbench.Bench, cfg trace.Config) (*traced, error) {
	hash, err := b.Model.Hash()
	if err != nil {
		return nil, err
	}
	out := &traced{Model: hash, LeftOut: map[string]int{}}
	if f.defaults != "" && mpi.Leads(f.team) {
		if err := atomicfile.Free(f.defaults); err != nil {
			return nil, err
		}
	}
	var facts *data.Collection[data.Fact]
	if f.file != "" {
		if err := findData(c, &f.file); err != nil {
			return nil, err
		}
		if facts, err = data.LoadFacts(f.file, data.Options{}); err != nil {
			return nil, err
		}
	}
	if f.ask, err = asker(b.Model, f.chat); err != nil {
		return nil, err
	}
	if f.chat {
		f.how.Join = data.JoinNone // the template says how answers begin
	}
	if err := f.compareTeam(hash, facts, cfg); err != nil {
		return nil, err
	}
	if !mpi.Leads(f.team) {
		return out, f.help(c, b, cfg, facts)
	}
	forget, err := atomicfile.MakeDir(f.out)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	defer forget() // if nothing was written
	held, err := lock.Folder(f.out)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	defer func() { _ = held.Unlock() }()
	for _, restore := range f.restores {
		cfg.Restore = restore
		var err error
		if f.file == "" {
			err = f.one(c, b, cfg, out)
		} else {
			err = f.average(c, b, cfg, facts, out)
		}
		if err != nil {
			return nil, err
		}
	}
	if f.defaults != "" {
		return out, f.writeDefaults(b.Model, out)
	}
	return out, nil
}

// writeDefaults writes the block that the averages suggest: of MLP outputs, which
// is what the editors change, or else of what was restored.
func (f *traceFlags) writeDefaults(m *lm.Model, out *traced) error {
	best := out.Summaries[0]
	for _, s := range out.Summaries {
		if s.Restore == trace.MLP {
			best = s
		}
	}
	from := fmt.Sprintf("traced: %s restored over %d facts of %s, total effect %.4f; most at the last subject token in block %d",
		best.Restore, best.Facts, filepath.Base(f.file), best.Total.Mean, best.Suggested)
	err := atomicfile.Write(f.defaults, func(w io.Writer) error {
		_, err := w.Write(family.Traced(m, best.Suggested, from, nil))
		return err
	})
	out.Files = append(out.Files, f.defaults)
	return err
}

// one traces the prompt of the flags.
func (f *traceFlags) one(c *cobra.Command, b *workbench.Bench, cfg trace.Config, out *traced) error {
	t, err := trace.New(b.Model, b.Engine, cfg, nil)
	if err != nil {
		return err
	}
	task := console.Of(c.ErrOrStderr()).Begin("trace "+cfg.Restore, 0, b.Model.Config.Layers)
	t.Progress = func(done, _ int) { task.Set(done) }
	q := f.query
	q.Join, q.Occurrence = f.how.Join, f.how.Occurrence
	var marked text.Occurrence
	if q.Prompt, marked, err = text.Fill(q.Prompt, q.Subject); err != nil {
		return err
	}
	if marked != "" {
		q.Occurrence = marked
	}
	if q.Prompt, err = f.ask(q.Prompt); err != nil {
		return err
	}
	r, err := t.Trace(c.Context(), q)
	task.End()
	if stop := stopped(c); stop != nil {
		return stop
	}
	if err != nil {
		return err
	}
	out.Results = append(out.Results, r)
	return f.write(cfg.Restore, r, r.Rows(), r.WriteHeatMap, out)
}

// average traces the facts that the model knows.
func (f *traceFlags) average(c *cobra.Command, b *workbench.Bench, cfg trace.Config, facts *data.Collection[data.Fact], out *traced) error {
	t, err := tracerOf(b, cfg, facts)
	if err != nil {
		return err
	}
	limit := len(facts.Items)
	if f.limit > 0 {
		limit = min(f.limit, limit)
	}
	log, err := openTraceLog(filepath.Join(f.out, cfg.Restore+".facts.jsonl"), traceHead{Version: 1, Model: out.Model, Facts: facts.SHA256, Config: cfg, Known: "answer", Join: f.how.Join, Occurrence: f.how.Occurrence, Chat: f.chat})
	if err != nil {
		return err
	}
	var mean trace.Average
	task := console.Of(c.ErrOrStderr()).Begin("trace "+cfg.Restore, 0, limit)
	task.Loses(func() string { return "the fact in progress; those before are in " + f.out })
	err = f.traceAll(c, t, log, facts.Items, limit, func(r *trace.Result) error {
		task.Set(mean.N()+1, fmt.Sprintf("%d unknown", out.Unknown))
		return mean.Add(r)
	}, out)
	task.End()
	if err := errorAfter(err, log.close()); err != nil {
		if stopped(c) != nil && log.file != nil {
			fmt.Fprintf(c.ErrOrStderr(), "what was traced is in %s; type the same command again to go on\n", f.out)
		}
		return err
	}
	s, err := mean.Summary()
	if err != nil {
		return fmt.Errorf("%s: %w", f.file, err)
	}
	out.Summaries = append(out.Summaries, s)
	return f.write(cfg.Restore, s, s.Rows(), s.WriteHeatMap, out)
}

// write puts one kind's JSON, table and heat maps into the folder.
func (f *traceFlags) write(name string, v any, rows [][]string, draw func(path string) error, out *traced) error {
	base := filepath.Join(f.out, name)
	err := atomicfile.Write(base+".json", func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(v)
	})
	if err != nil {
		return err
	}
	if err := atomicfile.Write(base+".txt", func(w io.Writer) error { return tableOf(rows).WriteText(w, report.Layout{}) }); err != nil {
		return err
	}
	for _, ext := range []string{".png", ".svg"} {
		if err := draw(base + ext); err != nil {
			return err
		}
	}
	for _, ext := range []string{".json", ".txt", ".png", ".svg"} {
		out.Files = append(out.Files, base+ext)
	}
	return nil
}

// tableOf is a table of texts whose first row is its head.
func tableOf(rows [][]string) *report.Table {
	t := &report.Table{}
	for i, name := range rows[0] {
		t.Columns = append(t.Columns, report.Column{Name: name, Right: i > 0})
	}
	for _, row := range rows[1:] {
		var cells []report.Cell
		for _, s := range row {
			cells = append(cells, report.Text(s))
		}
		t.Add(cells...)
	}
	return t
}

func (t *traced) print(w io.Writer) error {
	var b strings.Builder
	for _, r := range t.Results {
		token, block := r.Best()
		fmt.Fprintf(&b, "\n%s: p(%s) is %.4f, corrupted %.4f; best restored by token %q in block %d\n", r.Restore, oneLine(r.Answer), r.Clean, r.Corrupted, r.Label(token), block)
		if err := tableOf(bestOnly(r)).WriteText(&b, layoutOf(w)); err != nil {
			return err
		}
	}
	for _, s := range t.Summaries {
		fmt.Fprintf(&b, "\n%s: %d facts, total effect %.4f ± %.4f; suggested block for ROME: %d\n", s.Restore, s.Facts, s.Total.Mean, s.Total.Band, s.Suggested)
		rows := [][]string{{"token", "best block", "effect"}}
		for _, e := range s.Effects {
			best := 0
			for l := range e.Blocks {
				if e.Blocks[l].Mean > e.Blocks[best].Mean {
					best = l
				}
			}
			rows = append(rows, []string{e.Tokens, fmt.Sprint(best), fmt.Sprintf("%+.4f ± %.4f", e.Blocks[best].Mean, e.Blocks[best].Band)})
		}
		if err := tableOf(rows).WriteText(&b, layoutOf(w)); err != nil {
			return err
		}
	}
	if len(t.Summaries) > 0 {
		fmt.Fprintf(&b, "%d facts are not known to the model\n", t.Unknown)
		for _, reason := range slices.Sorted(maps.Keys(t.LeftOut)) {
			fmt.Fprintf(&b, "left out %d: %s\n", t.LeftOut[reason], reason)
		}
	}
	fmt.Fprintf(&b, "\nwritten: %s\n", strings.Join(t.Files, " "))
	if last := t.Files[len(t.Files)-1]; filepath.Ext(last) == ".yaml" {
		fmt.Fprintf(&b, "to use it for this model from now on, put %s into %s\n", last, family.UserFolder())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// bestOnly are the first columns of a result's table: token, best block, effect.
func bestOnly(r *trace.Result) [][]string {
	var rows [][]string
	for _, row := range r.Rows() {
		rows = append(rows, row[:3])
	}
	return rows
}
