package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"keyhole.example/keyhole/internal/printable"
)

// Column is a column of a table.
type Column struct {
	Name   string
	Right  bool // aligned to the right, as numbers are
	Better int  // 1: the largest value is the best; -1: the smallest; 0: none is
}

// Cell is one entry of a table.
type Cell struct {
	Text  string
	Value float64 // of a number; ties in what is shown are ties
	Plain bool    // a text, or a number that does not compete
	Best  bool    // set by MarkBest
}

// Text is a cell that is no number.
func Text(s string) Cell { return Cell{Text: s, Plain: true} }

// Number is a value with its digits behind the point, and half its 95 % band
// if that is positive.
func Number(v, band float64, digits int) Cell {
	text := fmt.Sprintf("%.*f", digits, v)
	if band > 0 {
		text += fmt.Sprintf(" ±%.*f", digits, band)
	}
	return Cell{Text: text, Value: v, Plain: math.IsNaN(v) || math.IsInf(v, 0)}
}

// Scaled is a value shown as text, such as "1.2 GiB".
func Scaled(v float64, text string) Cell { return Cell{Text: text, Value: v} }

// Table is columns and rows of the same length.
type Table struct {
	Columns []Column
	Rows    [][]Cell
	Note    string // a line below
}

// Add appends a row.
func (t *Table) Add(cells ...Cell) { t.Rows = append(t.Rows, cells) }

// MarkBest marks the best cells of each column that has a better and a worse.
// Cells that show the same number are equally good.
func (t *Table) MarkBest() {
	for c, col := range t.Columns {
		if col.Better == 0 {
			continue
		}
		best := -1
		for r := range t.Rows {
			cell := &t.Rows[r][c]
			if !cell.Plain && (best < 0 || float64(col.Better)*(cell.Value-t.Rows[best][c].Value) > 0) {
				best = r
			}
		}
		if best < 0 {
			continue
		}
		shown := leading(t.Rows[best][c].Text)
		for r := range t.Rows {
			cell := &t.Rows[r][c]
			cell.Best = !cell.Plain && leading(cell.Text) == shown
		}
	}
}

// leading is a number's text without its band.
func leading(s string) string {
	first, _, _ := strings.Cut(s, " ±")
	return first
}

// WriteText writes the table in aligned columns; with bold, the best cells are
// bold on a terminal. Control characters are shown, and do nothing.
func (t *Table) WriteText(w io.Writer, bold bool) error {
	t = t.printable()
	widths := t.widths()
	var b strings.Builder
	for c, col := range t.Columns {
		b.WriteString(pad(col.Name, widths[c], col.Right, c == len(widths)-1))
	}
	b.WriteByte('\n')
	for _, row := range t.Rows {
		for c, cell := range row {
			text := pad(cell.Text, widths[c], t.Columns[c].Right, c == len(widths)-1)
			if bold && cell.Best {
				text = strings.Replace(text, cell.Text, "\x1b[1m"+cell.Text+"\x1b[0m", 1)
			}
			b.WriteString(text)
		}
		b.WriteByte('\n')
	}
	if t.Note != "" {
		b.WriteString(t.Note + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printable is the table with its texts as a terminal may see them.
func (t *Table) printable() *Table {
	out := &Table{Columns: slices.Clone(t.Columns), Note: printable.Escape(t.Note)}
	for i := range out.Columns {
		out.Columns[i].Name = printable.Escape(out.Columns[i].Name)
	}
	for _, row := range t.Rows {
		row = slices.Clone(row)
		for i := range row {
			row[i].Text = printable.Escape(row[i].Text)
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}

func (t *Table) widths() []int {
	widths := make([]int, len(t.Columns))
	for c, col := range t.Columns {
		widths[c] = utf8.RuneCountInString(col.Name)
		for _, row := range t.Rows {
			widths[c] = max(widths[c], utf8.RuneCountInString(row[c].Text))
		}
	}
	return widths
}

func pad(s string, width int, right, last bool) string {
	space := strings.Repeat(" ", width-utf8.RuneCountInString(s))
	switch {
	case right && last:
		return space + s
	case right:
		return space + s + "  "
	case last:
		return s
	}
	return s + space + "  "
}

// markdown writes the table as GitHub's Markdown.
func (t *Table) markdown(b *strings.Builder) {
	for _, col := range t.Columns {
		fmt.Fprintf(b, "| %s ", escapeMarkdown(col.Name))
	}
	b.WriteString("|\n")
	for _, col := range t.Columns {
		if col.Right {
			b.WriteString("|---:")
		} else {
			b.WriteString("|---")
		}
	}
	b.WriteString("|\n")
	for _, row := range t.Rows {
		for _, cell := range row {
			text := escapeMarkdown(cell.Text)
			if cell.Best {
				text = "**" + text + "**"
			}
			fmt.Fprintf(b, "| %s ", text)
		}
		b.WriteString("|\n")
	}
	if t.Note != "" {
		fmt.Fprintf(b, "\n%s\n", escapeMarkdown(t.Note))
	}
}

// escapeMarkdown makes s stand for itself in a line of a table.
func escapeMarkdown(s string) string {
	return strings.NewReplacer("\\", "\\\\", "|", "\\|", "*", "\\*", "_", "\\_", "<", "&lt;", "`", "\\`", "[", "\\[", "\n", " ", "\r", " ").Replace(s)
}
