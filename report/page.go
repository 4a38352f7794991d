package report

import (
	"fmt"
	"io"
	"strings"
)

// Page is a report: a title and parts in their order.
type Page struct {
	Title string
	parts []part
}

// part is one of these.
type part struct {
	heading, text string
	table         *Table
	figure        *Figure
	file          string // of the figure, for Markdown
	terms         []Term
	facts         [][2]string
}

// Term is an entry of a glossary: a metric's name and what it asks.
type Term struct {
	Name, About   string
	Range, Source string
	Better        int // 1: more is better; -1: less is; 0: neither
}

// Direction says which values are better.
func (t Term) Direction() string {
	switch t.Better {
	case 1:
		return "more"
	case -1:
		return "less"
	}
	return "–"
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

// Glossary adds a table of terms.
func (p *Page) Glossary(terms []Term) { p.parts = append(p.parts, part{terms: terms}) }

// Facts adds names with what is said of them.
func (p *Page) Facts(facts [][2]string) { p.parts = append(p.parts, part{facts: facts}) }

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
		case x.terms != nil:
			t := &Table{Columns: []Column{{Name: "name"}, {Name: "what it asks"}, {Name: "range"}, {Name: "better"}, {Name: "source"}}}
			for _, m := range x.terms {
				t.Add(Text(m.Name), Text(m.About), Text(m.Range), Text(m.Direction()), Text(m.Source))
			}
			t.markdown(&b)
		case x.facts != nil:
			t := &Table{Columns: []Column{{Name: "of"}, {Name: "is"}}}
			for _, f := range x.facts {
				t.Add(Text(f[0]), Text(f[1]))
			}
			t.markdown(&b)
		case x.heading != "":
			fmt.Fprintf(&b, "## %s\n", escapeMarkdown(x.heading))
		default:
			fmt.Fprintf(&b, "%s\n", escapeMarkdown(x.text))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
