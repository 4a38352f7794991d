package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// WriteLaTeX writes the table for the booktabs package, with a caption and a label
// such as tab:editors.
func (t *Table) WriteLaTeX(w io.Writer, caption, label string) error {
	var b strings.Builder
	b.WriteString("% in the preamble: \\usepackage{booktabs}\n\\begin{table}\n\\centering\n\\begin{tabular}{")
	var names []string
	for _, c := range t.Columns {
		b.WriteByte(map[bool]byte{true: 'r', false: 'l'}[c.Right])
		names = append(names, escapeLaTeX(c.Name))
	}
	fmt.Fprintf(&b, "}\n\\toprule\n%s \\\\\n\\midrule\n", strings.Join(names, " & "))
	for _, row := range t.Rows {
		var cells []string
		for _, c := range row {
			text, behind := escapeLaTeX(c.Text), ""
			if value, band, ok := strings.Cut(c.Text, " ±"); ok && c.Band > 0 {
				text, behind = escapeLaTeX(value), " {\\scriptsize$\\pm$"+escapeLaTeX(band)+"}"
			}
			if c.Best {
				text = "\\textbf{" + text + "}"
			}
			cells = append(cells, text+behind)
		}
		b.WriteString(strings.Join(cells, " & ") + " \\\\\n")
	}
	b.WriteString("\\bottomrule\n\\end{tabular}\n")
	fmt.Fprintf(&b, "\\caption{%s}\n\\label{%s}\n", escapeLaTeX(caption), label)
	if t.Note != "" {
		fmt.Fprintf(&b, "\\par\\smallskip{\\footnotesize %s\\par}\n", escapeLaTeX(t.Note))
	}
	b.WriteString("\\end{table}\n")
	_, err := io.WriteString(w, b.String())
	return err
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
