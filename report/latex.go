package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// lineWidth is the width of a column of text in LaTeX's article class at 10 pt, in
// points. Other classes have wider ones.
const lineWidth = 345

// WriteLaTeX writes the table for the booktabs package, with a caption and a label
// such as tab:editors. A table that is wider than a column of text goes on in further
// tables below it, each with the first column again.
func (t *Table) WriteLaTeX(w io.Writer, caption, label string) error {
	var b strings.Builder
	b.WriteString("% in the preamble: \\usepackage{booktabs}\n\\begin{table}\n\\centering\n\\small\n\\setlength{\\tabcolsep}{4pt}\n")
	for i, columns := range t.parts(lineWidth) {
		if i > 0 {
			b.WriteString("\n\\medskip\n\n")
		}
		t.tabular(&b, columns)
	}
	fmt.Fprintf(&b, "\\caption{%s}\n\\label{%s}\n", escapeLaTeX(caption), label)
	if t.Note != "" {
		fmt.Fprintf(&b, "\\par\\smallskip{\\footnotesize %s\\par}\n", escapeLaTeX(t.Note))
	}
	b.WriteString("\\end{table}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// tabular writes some of the columns.
func (t *Table) tabular(b *strings.Builder, columns []int) {
	b.WriteString("\\begin{tabular}{@{}")
	var cells []string
	for _, c := range columns {
		b.WriteByte(map[bool]byte{true: 'r', false: 'l'}[t.Columns[c].Right])
		cells = append(cells, escapeLaTeX(t.Columns[c].Name))
	}
	fmt.Fprintf(b, "@{}}\n\\toprule\n%s \\\\\n\\midrule\n", strings.Join(cells, " & "))
	for _, row := range t.Rows {
		cells = cells[:0]
		for _, c := range columns {
			value, band := row[c].banded()
			text := escapeLaTeX(value)
			if row[c].Best {
				text = "\\textbf{" + text + "}"
			}
			if band != "" {
				text += " {\\scriptsize$\\pm$" + escapeLaTeX(band) + "}"
			}
			cells = append(cells, text)
		}
		b.WriteString(strings.Join(cells, " & ") + " \\\\\n")
	}
	b.WriteString("\\bottomrule\n\\end{tabular}\n")
}

// banded is a cell's text without its band, and the band; "": it has none.
func (c Cell) banded() (value, band string) {
	if value, band, ok := strings.Cut(c.Text, " ±"); ok && c.Band > 0 {
		return value, band
	}
	return c.Text, ""
}

// parts divides the columns, by number, so that none is wider than limit points where
// that can be. All have the first column, and about the same width.
func (t *Table) parts(limit float64) [][]int {
	const between = 8 // points
	widths := make([]float64, len(t.Columns))
	total := 0.0
	for c := range t.Columns {
		widths[c] = t.points(c)
		if c > 0 {
			widths[c] += between
			total += widths[c]
		}
	}
	share := total / max(1, math.Ceil(total/max(1, limit-widths[0])))
	var out [][]int
	var part []int
	used := 0.0
	for c := 1; c < len(widths); c++ {
		room := limit - widths[0]
		if len(part) > 1 && (used+widths[c] > room || used >= share) {
			out, part, used = append(out, part), nil, 0
		}
		if part == nil {
			part = []int{0}
		}
		part, used = append(part, c), used+widths[c]
	}
	if part == nil {
		part = []int{0}
	}
	return append(out, part)
}

// points is about how wide a column is in LaTeX's \small, bands in \scriptsize.
func (t *Table) points(column int) float64 {
	const letter, bold, small = 4.7, 5.4, 3.9 // a figure and a letter of the middle
	width := letter * float64(utf8.RuneCountInString(t.Columns[column].Name))
	for _, row := range t.Rows {
		value, band := row[column].banded()
		w := letter * float64(utf8.RuneCountInString(value))
		if row[column].Best {
			w *= bold / letter
		}
		if band != "" {
			w += small * float64(utf8.RuneCountInString(band)+3) // a space and ±
		}
		width = max(width, w)
	}
	return width
}

// escapeLaTeX makes s stand for itself in a line of text.
func escapeLaTeX(s string) string {
	return strings.NewReplacer(
		`\`, `\textbackslash{}`, "{", `\{`, "}", `\}`, "$", `\$`, "&", `\&`, "#", `\#`, "%", `\%`, "_", `\_`,
		"^", `\textasciicircum{}`, "~", `\textasciitilde{}`, "<", `\textless{}`, ">", `\textgreater{}`, "|", `\textbar{}`,
		"±", `$\pm$`, "–", "--", "−", `$-$`, "×", `$\times$`, "…", `\ldots{}`, "‖", `$\|$`, "\n", " ", "\r", " ",
	).Replace(s)
}

// WriteCSV writes the table with all digits; a column with bands is followed by
// one of them.
func (t *Table) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	banded := make([]bool, len(t.Columns))
	var line []string
	for c, col := range t.Columns {
		name := col.Name
		if col.Unit != "" {
			name += " (" + col.Unit + ")"
		}
		line = append(line, name)
		for _, row := range t.Rows {
			banded[c] = banded[c] || row[c].Band > 0
		}
		if banded[c] {
			line = append(line, name+" ±95 %")
		}
	}
	if err := out.Write(line); err != nil {
		return err
	}
	for _, row := range t.Rows {
		line = line[:0]
		for c, cell := range row {
			line = append(line, cell.exact())
			switch {
			case banded[c] && cell.number:
				line = append(line, strconv.FormatFloat(cell.Band, 'g', -1, 64))
			case banded[c]:
				line = append(line, "")
			}
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// exact is the cell with all its digits.
func (c Cell) exact() string {
	switch {
	case c.number:
		return strconv.FormatFloat(c.Value, 'g', -1, 64)
	case c.Text == "–":
		return ""
	}
	return c.Text
}
