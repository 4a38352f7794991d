// Package kept is what stays of edits on disk, in its three forms: an edit file, or a
// folder of them; a store of in-context edits; an edited model, which has its edits in
// a folder. It lists and describes them, adds edits, and takes single ones out.
//
// Read kept.go (edit files), store.go (stores), write.go (new edits), remove.go.
package kept

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/edit/saved"
	"keyhole.example/keyhole/edit/verdict"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/report"
)

// Info describes an edit file.
type Info struct {
	File    string         `json:"file"`
	Editor  string         `json:"editor"`
	Model   string         `json:"model"`
	IDs     []string       `json:"ids"`
	Prompts []string       `json:"prompts"`
	Targets []string       `json:"targets"`
	Weights []string       `json:"weights"`
	Report  map[string]any `json:"report"`
}

// InfoOf describes edits, each with all requests of the sequence that its memory holds.
func InfoOf(list ...*edit.Kept) []Info {
	out := []Info{}
	for _, k := range list {
		i := Info{File: k.Path, Editor: k.Edited.Editor, Model: k.Model, Weights: []string{}, Report: map[string]any{}}
		requests, _ := requestsOf(k.Edited)
		for _, r := range requests {
			i.IDs = append(i.IDs, r.ID)
			i.Prompts, i.Targets = append(i.Prompts, r.Prompt), append(i.Targets, r.Target)
		}
		for _, c := range k.Edited.Changes {
			i.Weights = append(i.Weights, c.Weight)
		}
		for _, f := range k.Edited.Report {
			i.Report[f.Name] = f.Value
		}
		out = append(out, i)
	}
	return out
}

// requestsOf are the requests of an edit, or of its whole sequence, and whether each
// can be taken out.
func requestsOf(e *edit.Edited) (list []edit.Request, single bool) {
	if m, err := catalog.Listed(e); err == nil {
		return m.Requests(), true
	}
	return e.Requests, false
}

// Read reads edit files and those of folders, or of edited models.
func Read(paths []string) ([]*edit.Kept, error) {
	var out []*edit.Kept
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("edits: %w", err)
		}
		if IsStore(p) && !info.IsDir() {
			return nil, fmt.Errorf("%s is an edit store (JSON), not an edit file: its edits change no weights; list it by itself with keyhole edits list %s, or answer from it with keyhole generate MODEL --store %s", p, p, p)
		}
		if !info.IsDir() {
			k, err := edit.ReadFile(p)
			if err != nil {
				return nil, err
			}
			out = append(out, k)
			continue
		}
		inner := filepath.Join(p, saved.EditsFolder)
		if info, err := os.Stat(inner); err == nil && info.IsDir() {
			p = inner
		}
		list, err := edit.ListFiles(p)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// Print writes a table of edits.
func Print(w io.Writer, list ...*edit.Kept) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "no edits")
		return err
	}
	t := &report.Table{Columns: []report.Column{{Name: "file"}, {Name: "editor"}, {Name: "prompt"}, {Name: "target"}, {Name: "edits", Right: true}, {Name: "held", Right: true}, {Name: "weights", Right: true}, {Name: "model"}}}
	for _, k := range list {
		requests, single := requestsOf(k.Edited)
		first := edit.Request{}
		if !single && len(requests) > 0 {
			first = requests[0]
		}
		t.Row(k.Path, k.Edited.Editor, report.Line(first.Prompt), report.Line(first.Target), len(requests), heldOf(k.Edited), len(k.Edited.Changes), fmt.Sprintf("%.12s", k.Model))
		for _, r := range requests {
			if single {
				t.Row("", "edit "+r.ID, report.Line(r.Prompt), report.Line(r.Target), "", "", "", "")
			}
		}
	}
	return t.Show(w)
}

// heldOf is how many requests an edit held when it was made; "–" where nobody
// noted it.
func heldOf(e *edit.Edited) any {
	for _, f := range e.Report {
		if f.Name == verdict.HeldFigure {
			return f.Value
		}
	}
	return "–"
}

// Own fails unless edits are those of a base model; w takes notes.
func Own(w io.Writer, m *lm.Model, list ...*edit.Kept) error {
	for _, k := range list {
		note, err := k.IsOf(m)
		if err != nil {
			return err
		}
		if note != "" {
			fmt.Fprintf(w, "note: %s: %s\n", k.Path, note)
		}
	}
	return nil
}
