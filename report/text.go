package report

import (
	"io"
	"slices"
	"strings"

	"github.com/rivo/uniseg"

	"keyhole.example/keyhole/internal/console"
	"keyhole.example/keyhole/internal/printable"
)

// Layout says how a table is written as text.
type Layout struct {
	Width int    // columns of the terminal; 0: as many as it takes
	Bold  bool   // the best cells are bold
	Wide  string // how to see the columns that had to give way, such as "--wide shows them"
}

const (
	between  = 2  // columns between columns
	narrow   = 12 // no text is folded to fewer
	word     = 24 // nor to fewer than its longest word, if that has no more
	smallest = 4  // but where nothing else helps
)

// WriteText writes the table in aligned columns. Where it is wider than the
// layout, texts go on below, bands stand below their values, and columns of the
// highest rank are left out, which a line says. Control characters are shown, and
// do nothing.
func (t *Table) WriteText(w io.Writer, l Layout) error {
	t = t.printable()
	f := t.fold(l.Width)
	var b strings.Builder
	head := make([]Cell, len(t.Columns))
	for c, col := range t.Columns {
		head[c] = Cell{Text: col.Name}
	}
	f.row(&b, head, false)
	for _, row := range t.Rows {
		f.row(&b, row, l.Bold)
	}
	if len(f.left) > 0 {
		note := "not shown for want of room: " + strings.Join(f.left, ", ")
		if l.Wide != "" {
			note += "; " + l.Wide
		}
		f.note(&b, note)
	}
	if t.Note != "" {
		f.note(&b, t.Note)
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

// folded is a table cut to a width.
type folded struct {
	*Table
	width  int
	shown  []int // columns, in their order
	widths []int // of each column
	tight  bool  // bands stand below their values
	left   []string
}

// fold chooses columns and their widths.
func (t *Table) fold(width int) *folded {
	f := &folded{Table: t, width: width}
	for c := range t.Columns {
		f.shown = append(f.shown, c)
	}
	f.measure()
	if width <= 0 || f.total() <= width {
		return f
	}
	f.tight = true
	for f.measure(); f.total() > width && !f.squeeze(false) && len(f.shown) > 1; f.measure() {
		f.leave()
	}
	if f.total() > width {
		f.squeeze(true)
	}
	return f
}

// measure gives every column the width that it takes.
func (f *folded) measure() {
	f.widths = make([]int, len(f.Columns))
	for c, col := range f.Columns {
		for _, line := range f.lines(Cell{Text: col.Name}, c) {
			f.widths[c] = max(f.widths[c], uniseg.StringWidth(line))
		}
		for _, row := range f.Rows {
			for _, line := range f.lines(row[c], c) {
				f.widths[c] = max(f.widths[c], uniseg.StringWidth(line))
			}
		}
	}
}

// lines are those of a cell before its column is squeezed.
func (f *folded) lines(cell Cell, c int) []string {
	if !f.tight || !f.Columns[c].Right {
		return []string{cell.Text}
	}
	return strings.Fields(cell.Text)
}

func (f *folded) total() int {
	n := between * (len(f.shown) - 1)
	for _, c := range f.shown {
		n += f.widths[c]
	}
	return n
}

// least is how narrow a column of texts may become.
func (f *folded) least(c int) int {
	longest := 0
	for _, row := range f.Rows {
		for rest, state := row[c].Text, -1; rest != ""; {
			var w string
			w, rest, _, state = uniseg.FirstLineSegmentInString(rest, state)
			longest = max(longest, uniseg.StringWidth(strings.TrimRight(w, " ")))
		}
	}
	return max(narrow, min(longest, word))
}

// squeeze narrows the columns of texts, the widest first, until all fits; false
// if it does not though none can be narrower. hard: every column, whatever breaks.
func (f *folded) squeeze(hard bool) bool {
	least := make([]int, len(f.Columns))
	for _, c := range f.shown {
		switch {
		case hard:
			least[c] = smallest
		case f.Columns[c].Right:
			least[c] = f.widths[c]
		default:
			least[c] = f.least(c)
		}
	}
	for over := f.total() - f.width; over > 0; over-- {
		widest := -1
		for _, c := range f.shown {
			if f.widths[c] > least[c] && (widest < 0 || f.widths[c] > f.widths[widest]) {
				widest = c
			}
		}
		if widest < 0 {
			return false
		}
		f.widths[widest]--
	}
	return true
}

// leave leaves out the column that is needed least: never the first.
func (f *folded) leave() {
	at := len(f.shown) - 1
	for i := at; i > 0; i-- {
		if f.Columns[f.shown[i]].Rank > f.Columns[f.shown[at]].Rank {
			at = i
		}
	}
	f.left = append([]string{f.Columns[f.shown[at]].Name}, f.left...)
	f.shown = slices.Delete(f.shown, at, at+1)
}

// row writes a row, on as many lines as its longest cell takes.
func (f *folded) row(b *strings.Builder, row []Cell, bold bool) {
	cells := make([][]string, len(f.shown))
	most := 1
	for i, c := range f.shown {
		for _, line := range f.lines(row[c], c) {
			cells[i] = append(cells[i], wrapped(line, f.widths[c])...)
		}
		most = max(most, len(cells[i]))
	}
	for n := range most {
		var line strings.Builder
		for i, c := range f.shown {
			text := ""
			if n < len(cells[i]) {
				text = cells[i][n]
			}
			space := strings.Repeat(" ", max(0, f.widths[c]-uniseg.StringWidth(text)))
			if bold && row[c].Best && text != "" {
				text = "\x1b[1m" + text + "\x1b[0m"
			}
			switch {
			case f.Columns[c].Right:
				line.WriteString(space + text)
			case i < len(f.shown)-1:
				line.WriteString(text + space)
			default:
				line.WriteString(text)
			}
			if i < len(f.shown)-1 {
				line.WriteString(strings.Repeat(" ", between))
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// note writes a text below.
func (f *folded) note(b *strings.Builder, text string) {
	if f.width <= 0 {
		b.WriteString(text + "\n")
		return
	}
	for _, line := range wrapped(text, f.width) {
		b.WriteString(line + "\n")
	}
}

// wrapped is a text in lines of at most width columns, cut where lines may end by
// Unicode's rules (UAX 14) as far as that is possible.
func wrapped(text string, width int) []string {
	if uniseg.StringWidth(text) <= width {
		return []string{text}
	}
	var out []string
	line := ""
	end := func() {
		if line = strings.TrimRight(line, " "); line != "" {
			out = append(out, line)
		}
		line = ""
	}
	for left, at := text, -1; left != ""; {
		var word string
		word, left, _, at = uniseg.FirstLineSegmentInString(left, at)
		if line != "" && uniseg.StringWidth(line+strings.TrimRight(word, " ")) <= width {
			line += word
			continue
		}
		end()
		for uniseg.StringWidth(strings.TrimRight(word, " ")) > width {
			cut := 0
			for rest, state := word, -1; rest != ""; {
				var cluster string
				cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
				if cut > 0 && uniseg.StringWidth(word[:cut]+cluster) > width {
					break
				}
				cut += len(cluster)
			}
			if cut == len(word) {
				break // a character that is wider than the line
			}
			out, word = append(out, word[:cut]), word[cut:]
		}
		line = word
	}
	end()
	return out
}

// Show writes the table for the people at w: within the columns of their terminal,
// with the best cells in bold.
func (t *Table) Show(w io.Writer) error {
	c := console.Of(w)
	if c.Bold() {
		w = c.Raw() // the table's texts are escaped
	}
	return t.WriteText(w, Layout{Width: c.Width(), Bold: c.Bold(), Wide: "--wide shows them"})
}
