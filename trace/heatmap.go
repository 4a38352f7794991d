package trace

import (
	"fmt"
	"image/color"
	"strconv"
	"strings"
	"unicode/utf8"

	"keyhole.example/keyhole/report"
)

// ink is the colour of a kind of restored state.
func ink(restore string) color.NRGBA {
	switch restore {
	case MLP:
		return color.NRGBA{0, 104, 55, 255}
	case Attn:
		return color.NRGBA{165, 15, 21, 255}
	}
	return color.NRGBA{63, 0, 125, 255}
}

// HeatMap draws the result's probabilities, tokens down and blocks across. White
// is P*; what lies below it is white too.
func (r *Result) HeatMap() (*report.Figure, error) {
	answer := plainQuote(strings.TrimSpace(r.Answer))
	if strings.ContainsRune(r.Answer, utf8.RuneError) {
		answer = fmt.Sprintf("token %d, a piece of a character", r.AnswerID)
	}
	h := report.HeatMap{
		Title: fmt.Sprintf("p(%s) with %s restored", answer, described(r.Restore, r.Window, r.Sever)),
		Lines: []string{r.Prompt, fmt.Sprintf("clean run %.4f, subject corrupted %.4f: total effect %.4f", r.Clean, r.Corrupted, r.TotalEffect())},
		Ink:   ink(r.Restore), Across: "block", Value: "p", Marking: "subject",
		Values: r.Scores, Low: r.Corrupted, High: r.Clean,
	}
	if len(r.Scores) > 0 && len(r.Scores[0]) > 0 {
		token, block := r.Best()
		h.Lines[1] += fmt.Sprintf("; most, %.4f, by %s in block %d", r.Scores[token][block], plainQuote(strings.TrimSpace(r.Tokens[token])), block)
	}
	for i, t := range r.Tokens {
		h.Rows = append(h.Rows, report.HeatRow{Name: unquoted(t), Marked: r.ofSubject(i)})
	}
	return h.Figure()
}

// plainQuote puts a text between quotation marks.
func plainQuote(s string) string { return "“" + unquoted(s) + "”" }

// unquoted shows control characters as strconv.Quote does.
func unquoted(s string) string {
	q := strconv.Quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

// WriteHeatMap writes HeatMap to path; its ending, .png or .svg, decides the
// format.
func (r *Result) WriteHeatMap(path string) error {
	f, err := r.HeatMap()
	return writeFigure(path, f, err)
}

func described(restore string, window int, sever string) string {
	text := "the hidden state"
	switch restore {
	case MLP:
		text = fmt.Sprintf("MLP outputs of %d blocks", window)
	case Attn:
		text = fmt.Sprintf("attention outputs of %d blocks", window)
	}
	switch sever {
	case MLP:
		text += ", MLPs severed"
	case Attn:
		text += ", attention severed"
	}
	return text
}

// HeatMap draws the average effects, kinds of tokens down and blocks across, with
// the number of facts that have such tokens. White is no effect.
func (s *Summary) HeatMap() (*report.Figure, error) {
	h := report.HeatMap{
		Title: fmt.Sprintf("mean effect over %d facts of restoring %s", s.Facts, described(s.Restore, s.Window, s.Sever)),
		Lines: []string{fmt.Sprintf("clean run %s, subject corrupted %s: total effect %s; suggested block for ROME: %d", s.Clean, s.Corrupted, s.Total, s.Suggested)},
		Ink:   ink(s.Restore), Across: "block", Value: "effect", Marking: "subject",
	}
	for i, e := range s.Effects {
		row := make([]float64, 0, len(e.Blocks))
		n := 0
		for _, m := range e.Blocks {
			row, n = append(row, m.Mean), m.N
		}
		r := report.HeatRow{Name: e.Tokens, Marked: i <= lastSubject}
		if n > 0 {
			r.Note = fmt.Sprintf("n = %d", n)
		}
		h.Rows = append(h.Rows, r)
		h.Values = append(h.Values, row)
	}
	return h.Figure()
}

// String is the mean with its band.
func (m Mean) String() string { return fmt.Sprintf("%.4f ± %.4f", m.Mean, m.Band) }

// WriteHeatMap is Result's, of the averages.
func (s *Summary) WriteHeatMap(path string) error {
	f, err := s.HeatMap()
	return writeFigure(path, f, err)
}

func writeFigure(path string, f *report.Figure, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return f.WriteFile(path)
}
