package console

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rivo/uniseg"
	"github.com/schollz/progressbar/v3"

	"keyhole.example/keyhole/internal/printable"
)

// lineWidth is the number of columns that a line takes.
func lineWidth(s string) int { return uniseg.StringWidth(s) }

// field is a part of the line. Those of the highest rank give way first.
type field struct {
	text string
	rank int
}

// line says what is known, in at most width columns; width 0: all of it.
//
//	rome  1313/3000  44 %  26 edits/s  loss .129  28 min left
func (t *Task) line(width int) string {
	fields := []field{{printable.Escape(t.name), 2}, {fmt.Sprintf("%d/%d", t.done, t.total), 0}}
	percent := ""
	if t.total > 0 {
		percent = fmt.Sprintf("%d %%", 100*t.done/t.total)
		fields = append(fields, field{percent, 3})
	}
	for i, f := range t.facts {
		fields = append(fields, field{printable.Escape(f), 4 + i})
	}
	if d, ok := t.left(); ok {
		fields = append(fields, field{Duration(d) + " left", 1})
	}
	fields = slices.DeleteFunc(fields, func(f field) bool { return f.text == "" })
	line := join(fields)
	for width > 0 && lineWidth(line) > width && len(fields) > 2 {
		worst := 0
		for i, f := range fields {
			if f.rank > fields[worst].rank {
				worst = i
			}
		}
		if fields[worst].rank <= 2 { // a name may be cut first
			break
		}
		fields = slices.Delete(fields, worst, worst+1)
		line = join(fields)
	}
	if width > 0 && lineWidth(line) > width {
		line = shorten(line, fields, width)
	}
	const free = 14 // for a bar that says more than the number
	if room := width - lineWidth(line); width > 0 && room >= free && percent != "" {
		line = strings.Replace(line, percent, percent+" "+bar(t.done, t.total, min(room-3, 30)), 1)
	}
	return line
}

func join(fields []field) string {
	var texts []string
	for _, f := range fields {
		texts = append(texts, f.text)
	}
	return strings.Join(texts, "  ")
}

// shorten cuts the name, and the line if that is not enough.
func shorten(line string, fields []field, width int) string {
	if len(fields) > 1 && fields[0].rank == 2 {
		room := lineWidth(fields[0].text) - (lineWidth(line) - width)
		fields[0].text = cut(fields[0].text, max(room, 4))
		line = join(fields)
	}
	return cut(line, width)
}

// cut is the beginning of a text in at most width columns, with an ellipsis if it
// is not all.
func cut(s string, width int) string {
	if lineWidth(s) <= width {
		return s
	}
	var b strings.Builder
	used, state := 1, -1 // the ellipsis
	for rest := s; rest != ""; {
		var cluster string
		var w int
		cluster, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if used+w > width {
			break
		}
		used += w
		b.WriteString(cluster)
	}
	if width < 1 {
		return ""
	}
	return b.String() + "…"
}

// bar draws the share that is done, [====>    ], in so many columns.
func bar(done, total, width int) string {
	b := progressbar.NewOptions(total, progressbar.OptionSetWriter(io.Discard), progressbar.OptionSetWidth(width-2),
		progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false),
		progressbar.OptionSetTheme(progressbar.Theme{Saucer: "=", SaucerHead: ">", SaucerPadding: " ", BarStart: "[", BarEnd: "]"}))
	if b.Set(min(max(done, 0), total)) != nil {
		return ""
	}
	text := b.String()
	from, to := strings.IndexByte(text, '['), strings.LastIndexByte(text, ']')
	if from < 0 || to < from {
		return "[" + strings.Repeat(" ", width-2) + "]" // at nothing yet, none is drawn
	}
	return text[from : to+1]
}

// Duration is a time for people: 45 s, 28 min, 3 h 20 min, 2 d 3 h.
func Duration(d time.Duration) string {
	s := int(math.Ceil(d.Seconds()))
	switch {
	case s < 90:
		return fmt.Sprintf("%d s", s)
	case s < 90*60:
		return fmt.Sprintf("%d min", (s+30)/60)
	case s < 48*3600:
		return fmt.Sprintf("%d h %d min", s/3600, s%3600/60)
	}
	return fmt.Sprintf("%d d %d h", s/86400, s%86400/3600)
}

// Short is a number in three digits, .129 for 0.129.
func Short(v float64) string {
	s := strconv.FormatFloat(v, 'g', 3, 64)
	if a := math.Abs(v); a >= 1e-3 && a < 1 {
		s = strings.Replace(strconv.FormatFloat(v, 'f', 3, 64), "0.", ".", 1)
	} else if a >= 1000 && a < 1e6 {
		s = strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strings.Replace(strings.Replace(s, "e-0", "e-", 1), "e+0", "e", 1)
}
