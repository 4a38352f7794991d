// Command gates measures how well the keys of edits are found at layers of a model, as
// editor gated finds them: by paraphrases of their own prompts, by other edits', and by
// neighbours that no edit is about; with -text also by documents, of which a whole one
// is one text. Nothing is edited.
//
//	go run ./checks/gates -model MODEL -data counterfact.jsonl.gz -text wikitext.txt mlp.up@6 mlp.down@4
//
// Edits are the records behind the first ones (-skip), prompts of the records behind
// them are the unrelated ones.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"slices"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/byprompt"
	"keyhole.example/keyhole/edit/gated"
	"keyhole.example/keyhole/edit/scope"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/report"
	"keyhole.example/keyhole/workbench"
)

// counts say how many edits there are, and who is asked for them by which token.
type counts struct {
	skip, edits, every, neighbours, contexts int

	token string

	documents []string // general text
}

func main() {
	model := flag.String("model", workbench.Embedded, "base model")
	path := flag.String("data", "", "`file` of edits with paraphrases and neighbours")
	var n counts
	flag.IntVar(&n.skip, "skip", 200, "records that are left alone")
	flag.IntVar(&n.edits, "edits", 600, "edits whose keys are taken")
	flag.IntVar(&n.every, "every", 3, "ask with the texts of each so many-th edit")
	flag.IntVar(&n.neighbours, "neighbours", 4, "neighbours asked of each")
	flag.IntVar(&n.contexts, "contexts", 2, "keys beside the prompt's own")
	flag.StringVar(&n.token, "token", gated.Subject, "whose input is a key: subject or last")
	documents := flag.String("text", "", "`file` of general text; the embedded text is embedded")
	flag.Parse()
	if *documents != "" {
		general, err := workbench.AbilityText(*documents)
		if err != nil {
			fmt.Fprintln(os.Stderr, "gates:", err)
			os.Exit(1)
		}
		n.documents = general.Texts
	}
	if err := run(os.Stdout, *model, *path, n, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "gates:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, model, path string, n counts, patterns []string) error {
	m, err := workbench.OpenModel(model, lm.LoadOptions{})
	if err != nil {
		return err
	}
	defer m.Close()
	k, err := kernel.New(kernel.Options{})
	if err != nil {
		return err
	}
	defer k.Close()
	sites, err := m.FindSites(patterns)
	if err != nil {
		return err
	}
	set, err := workbench.LoadEdits(path, data.Options{})
	if err != nil {
		return err
	}
	if len(set.Edits) <= n.skip+n.edits {
		return fmt.Errorf("%s has %d edits; %d are wanted, and others behind them", path, len(set.Edits), n.skip+n.edits)
	}
	edits, pool := set.Edits[n.skip:n.skip+n.edits], set.Edits[n.skip+n.edits:]
	t := &report.Table{Columns: []report.Column{
		{Name: "gate"}, {Name: "keys", Right: true}, {Name: "margin", Right: true},
		{Name: "own paraphrases", Right: true}, {Name: "another's", Right: true}, {Name: "neighbours", Right: true}, {Name: "documents", Right: true},
	}}
	for i, pattern := range patterns {
		for _, contexts := range slices.Compact([]int{0, n.contexts}) {
			with := n
			with.contexts = contexts
			if err := measure(t, m, k, pattern, sites[i].Name, edits, pool, with); err != nil {
				return err
			}
		}
	}
	out := report.To(w)
	out.Table(t)
	return out.Err()
}

// Of general text so many documents are read, so many tokens of each, and shorter ones
// are left out.
const (
	documents      = 400
	documentTokens = 128
	leastTokens    = 20
)

// The texts that no edit is about.
const (
	neighbour = -1 - iota
	document
)

// probe is the gate's inputs in a text, and the edit that the text is about; negative:
// none.
type probe struct {
	x     kernel.Matrix
	about int
}

func margins() []float64 { return []float64{0.3, 0.5, 0.6, 0.7, 0.75, 0.8} }

// measure adds the rows of a gate.
func measure(t *report.Table, m *lm.Model, k *kernel.Engine, name, gate string, edits, pool []data.Edit, n counts) error {
	const margin = 0.5 // thresholds of all margins follow from those of one
	cfg := gated.DefaultSettings()
	cfg.Token, cfg.Contexts, cfg.Margin, cfg.Negatives = n.token, n.contexts, margin, len(pool)
	ed, err := gated.New(nil, cfg, k, pool)
	if err != nil {
		return err
	}
	rows, err := scope.New(k, pool, len(pool))
	if err != nil {
		return err
	}
	store := &gated.Store{Gate: gate, Last: n.token == gated.Last}
	var probes []probe
	for i := range edits {
		e := &edits[i]
		r := edit.Requests(e)[0]
		keys, thresholds, _, err := ed.Keys(m, gate, r)
		if err != nil {
			fmt.Fprintln(os.Stderr, "left out:", err)
			continue
		}
		store.Entries = append(store.Entries, gated.Entry{Fact: byprompt.Of(r), Keys: keys, Thresholds: thresholds})
		if i%n.every > 0 {
			continue
		}
		asked, err := n.texts(e, len(store.Entries)-1, func(prompt string) (kernel.Matrix, error) { return rows.Inputs(m, gate, prompt) })
		if err != nil {
			return err
		}
		probes = append(probes, asked...)
	}
	for _, d := range n.read(m) {
		x, err := rows.Inputs(m, gate, d)
		if err != nil {
			return err
		}
		probes = append(probes, probe{x, document})
	}
	for _, at := range margins() {
		t.Row(append([]any{name, fmt.Sprint(1 + n.contexts), fmt.Sprint(at)}, found(withMargin(store, margin, at), probes)...)...)
	}
	return nil
}

// texts are the probes of an edit at a place of the store.
func (n counts) texts(e *data.Edit, at int, inputs func(prompt string) (kernel.Matrix, error)) ([]probe, error) {
	var out []probe
	for _, p := range e.Paraphrases {
		x, err := inputs(p)
		if err != nil {
			return nil, err
		}
		out = append(out, probe{x, at})
	}
	near := e.Locality[data.Neighborhood]
	for _, p := range near[:min(len(near), n.neighbours)] {
		x, err := inputs(p.Prompt)
		if err != nil {
			return nil, err
		}
		out = append(out, probe{x, neighbour})
	}
	return out, nil
}

// read are the beginnings of the documents.
func (n counts) read(m *lm.Model) []string {
	var out []string
	for _, d := range n.documents {
		ids := m.Tokenizer.EncodeSpecial(d)
		if len(ids) >= leastTokens && len(out) < documents {
			out = append(out, m.Tokenizer.DecodeSkip(ids[:min(len(ids), documentTokens)]))
		}
	}
	return out
}

// found are the shares of probes that find their own edit or, of an edit's, another
// one, and of neighbours and documents that find any; – where there are none.
func found(s *gated.Store, probes []probe) []any {
	own, other := 0, 0
	var wrong, asked [3]int // of edits, neighbours, documents
	for _, p := range probes {
		at := s.Find(p.x)
		kind := max(0, -p.about)
		asked[kind]++
		switch {
		case kind > 0 && at >= 0:
			wrong[kind]++
		case kind == 0 && at == p.about:
			own++
		case kind == 0 && at >= 0:
			other++
		}
	}
	var out []any
	for _, x := range [][2]int{{own, asked[0]}, {other, asked[0]}, {wrong[1], asked[1]}, {wrong[2], asked[2]}} {
		share := "–"
		if x[1] > 0 {
			share = fmt.Sprintf("%.3f", float64(x[0])/float64(x[1]))
		}
		out = append(out, share)
	}
	return out
}

// withMargin is a store with the thresholds of another margin.
func withMargin(s *gated.Store, margin, at float64) *gated.Store {
	out := *s
	out.Entries = slices.Clone(s.Entries)
	for i := range out.Entries {
		e := &out.Entries[i]
		e.Thresholds = slices.Clone(e.Thresholds)
		for j, t := range e.Thresholds {
			nearest := (t - margin) / (1 - margin)
			e.Thresholds[j] = nearest + at*(1-nearest)
		}
	}
	return &out
}
