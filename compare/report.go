package compare

import (
	"encoding/json"
	"io"
	"maps"
	"path/filepath"
	"slices"

	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/report"
)

// Write puts the results, the reports and their plots into the comparison's
// folder: results.jsonl, report.html and report.md, the table as report.tex and
// report.csv, and each plot as SVG and PNG.
func (m *Runner) Write(r *Result) error {
	figures, err := m.figures(r)
	if err != nil {
		return err
	}
	page, table := m.page(r, figures), r.Table()
	type file struct {
		name string
		fill func(io.Writer) error
	}
	files := []file{
		{"results.jsonl", r.writeLines}, {"report.md", page.WriteMarkdown}, {"report.html", page.WriteHTML}, {"report.csv", table.WriteCSV},
		{"report.tex", func(w io.Writer) error { return table.WriteLaTeX(w, m.caption(r), "tab:editors") }},
	}
	for _, f := range figures {
		files = append(files, file{f.name + ".svg", f.figure.WriteSVG}, file{f.name + ".png", f.figure.WritePNG})
	}
	for _, f := range files {
		path := filepath.Join(m.Dir, f.name)
		if err := atomicfile.Write(path, f.fill); err != nil {
			return err
		}
		r.Files = append(r.Files, path)
	}
	return nil
}

// writeLines writes one JSON line for each editor.
func (r *Result) writeLines(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, name := range r.Order {
		line := struct {
			Name string `json:"name"`
			*eval.Report
		}{name, r.Editors[name]}
		if err := e.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// Palette gives editors the styles that they have in every plot, whatever else is
// compared; further names have those that are left.
func Palette(names ...string) *report.Palette {
	all := []string{"keyhole", "mend", "rome", "memit", "ft", "alphaedit", "ike", "grace", "wise", "prompt", catalog.None} // of a colour each
	for _, e := range catalog.Entries() {
		all = append(all, e.Name)
	}
	return report.NewPalette(append(all, names...)...)
}

// Print writes the table for people, and where the reports are.
func (r *Result) Print(w io.Writer) error {
	p := report.To(w)
	p.Table(r.Table())
	for _, name := range slices.Sorted(maps.Keys(r.Failed)) {
		p.Say("%s has no figures: %s", name, r.Failed[name])
	}
	for _, f := range r.Files {
		if slices.Contains([]string{".html", ".md", ".tex", ".csv"}, filepath.Ext(f)) {
			p.Say("written: %s", f)
		}
	}
	return p.Err()
}
