package report

import (
	"fmt"
	"html/template"
	"io"
	"strings"
)

// Page is a report: a title and parts in their order.
type Page struct {
	Title string
	parts []part
}

// part is one of the four.
type part struct {
	heading, text string
	table         *Table
	figure        *Figure
	file          string // of the figure, for Markdown
}

// Heading adds a heading.
func (p *Page) Heading(s string) { p.parts = append(p.parts, part{heading: s}) }

// Paragraph adds a text.
func (p *Page) Paragraph(format string, args ...any) {
	p.parts = append(p.parts, part{text: fmt.Sprintf(format, args...)})
}

// Table adds a table.
func (p *Page) Table(t *Table) { p.parts = append(p.parts, part{table: t}) }

// Figure adds a figure. file is the name of its picture beside the Markdown,
// which the caller writes.
func (p *Page) Figure(f *Figure, file string) {
	p.parts = append(p.parts, part{figure: f, file: file})
}

// WriteMarkdown writes the page as Markdown that names the figures' files.
func (p *Page) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n", escapeMarkdown(p.Title))
	for _, x := range p.parts {
		b.WriteByte('\n')
		switch {
		case x.table != nil:
			x.table.markdown(&b)
		case x.figure != nil:
			fmt.Fprintf(&b, "![%s](%s)\n", escapeMarkdown(x.figure.Title), x.file)
		case x.heading != "":
			fmt.Fprintf(&b, "## %s\n", escapeMarkdown(x.heading))
		default:
			fmt.Fprintf(&b, "%s\n", escapeMarkdown(x.text))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const pageHTML = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{{.Title}}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .75rem; border-bottom: 1px solid #ddd; text-align: left; white-space: nowrap; }
.right { text-align: right; }
.best { font-weight: 700; }
.note { color: #666; font-size: .875rem; }
svg { max-width: 100%; height: auto; }
</style>
</head>
<body>
<h1>{{.Title}}</h1>
{{range .Parts}}{{if .Heading}}<h2>{{.Heading}}</h2>
{{else if .SVG}}<figure aria-label="{{.Label}}">{{.SVG}}</figure>
{{else if .Table}}<table>
<tr>{{range .Table.Columns}}<th{{if .Right}} class="right"{{end}}>{{.Name}}</th>{{end}}</tr>
{{$columns := .Table.Columns}}{{range .Table.Rows}}<tr>{{range $i, $cell := .}}<td class="{{if (index $columns $i).Right}}right{{end}}{{if $cell.Best}} best{{end}}">{{$cell.Text}}</td>{{end}}</tr>
{{end}}</table>
{{if .Table.Note}}<p class="note">{{.Table.Note}}</p>
{{end}}{{else}}<p>{{.Text}}</p>
{{end}}{{end}}</body>
</html>
`

// WriteHTML writes the page as one HTML file with its figures inside.
func (p *Page) WriteHTML(w io.Writer) error {
	type shown struct {
		Heading, Text, Label string
		SVG                  template.HTML
		Table                *Table
	}
	page := struct {
		Title string
		Parts []shown
	}{Title: p.Title}
	for _, x := range p.parts {
		s := shown{Heading: x.heading, Text: x.text, Table: x.table}
		if x.figure != nil {
			svg, err := x.figure.svg()
			if err != nil {
				return err
			}
			s.Label, s.SVG = x.figure.Title, template.HTML(svg) // made by gonum/plot, which escapes its texts
		}
		page.Parts = append(page.Parts, s)
	}
	t, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	if err := t.Execute(w, page); err != nil {
		return fmt.Errorf("page %q: %w", p.Title, err)
	}
	return nil
}
