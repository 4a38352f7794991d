package report

import (
	"fmt"
	"strings"
)

// Column is a column of a table.
type Column struct {
	Name   string
	About  string // what it says, for readers of a page
	Unit   string // of the values, where cells show others
	Right  bool   // aligned to the right, as numbers are
	Better int    // 1: the largest value is the best; -1: the smallest; 0: none is
	Rank   int    // columns of the highest rank give way first where there is no room
}

// Cell is one entry of a table.
type Cell struct {
	Text  string
	Value float64 // of a number; ties in what is shown are ties
	Band  float64 // half the 95 % band of Value; 0: none
	Plain bool    // a text, or a number that does not compete
	Best  bool    // set by MarkBest

	number bool // Value is one
}

// Text is a cell that is no number.
func Text(s string) Cell { return Cell{Text: s, Plain: true} }

// Line is Text on one line.
func Line(s string) Cell {
	return Text(strings.NewReplacer("\n", "⏎", "\r", "", "\t", " ").Replace(strings.TrimSpace(s)))
}

// Number is a value with its digits behind the point, and half its 95 % band
// if that is positive.
func Number(v, band float64, digits int) Cell {
	text := fmt.Sprintf("%.*f", digits, v)
	if band > 0 {
		text += fmt.Sprintf(" ±%.*f", digits, band)
	}
	return Cell{Text: text, Value: v, Band: max(band, 0), Plain: !finite(v), number: true}
}

// Scaled is a value shown as text, such as "1.2 GiB".
func Scaled(v float64, text string) Cell { return Cell{Text: text, Value: v, number: true} }

// Table is columns and rows of the same length.
type Table struct {
	Columns []Column
	Rows    [][]Cell
	Note    string // a line below
}

// Add appends a row.
func (t *Table) Add(cells ...Cell) { t.Rows = append(t.Rows, cells) }

// Row appends a row of values: cells as they are, anything else as its text.
func (t *Table) Row(values ...any) {
	cells := make([]Cell, len(values))
	for i, v := range values {
		c, ok := v.(Cell)
		if !ok {
			c = Text(fmt.Sprint(v))
		}
		cells[i] = c
	}
	t.Add(cells...)
}

// Grid is a table of texts, the first row its head.
func Grid(rows [][]string) *Table {
	t := &Table{}
	for i, name := range rows[0] {
		t.Columns = append(t.Columns, Column{Name: name, Right: i > 0})
	}
	for _, row := range rows[1:] {
		cells := make([]Cell, len(row))
		for i, s := range row {
			cells[i] = Text(s)
		}
		t.Add(cells...)
	}
	return t
}

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
