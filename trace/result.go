package trace

import (
	"fmt"
	"strconv"
)

// Result is the table of one fact: the answer's probability when the state of a
// token in a block is restored.
type Result struct {
	Prompt       string   `json:"prompt"`
	Subject      string   `json:"subject"`
	Tokens       []string `json:"tokens"`        // texts of the prompt's tokens; a piece of a character as ‹E6 9D›
	SubjectRange [2]int   `json:"subject_range"` // the subject's tokens, end excluded
	Answer       string   `json:"answer"`        // of one token; the measured probability is its own
	AnswerID     int32    `json:"answer_id"`

	Restore    string  `json:"restore"`
	Window     int     `json:"window,omitempty"` // blocks a cell restores, centred at its own
	Sever      string  `json:"sever"`
	Corrupt    string  `json:"corrupt"`
	Noise      string  `json:"noise"`
	NoiseLevel float64 `json:"noise_level"`
	Samples    int     `json:"samples"`
	Seed       int     `json:"seed"`
	MinEffect  float64 `json:"min_effect"`

	Clean     float64     `json:"clean"`     // P: nothing corrupted
	Corrupted float64     `json:"corrupted"` // P*: nothing restored
	Scores    [][]float64 `json:"scores"`    // [tokens][blocks]
}

// TotalEffect is P − P*.
func (r *Result) TotalEffect() float64 { return r.Clean - r.Corrupted }

// Effect is the indirect effect of a state: what restoring it adds to P*.
func (r *Result) Effect(token, block int) float64 { return r.Scores[token][block] - r.Corrupted }

// Best is the state with the largest effect, the first of equals.
func (r *Result) Best() (token, block int) {
	for t := range r.Scores {
		for l := range r.Scores[t] {
			if r.Scores[t][l] > r.Scores[token][block] {
				token, block = t, l
			}
		}
	}
	return token, block
}

// Recovery is the share of the total effect that each state brings back,
// [tokens][blocks]; false if the total effect is below MinEffect, where the
// share would be noise.
func (r *Result) Recovery() ([][]float64, bool) {
	total := r.TotalEffect()
	if total < r.MinEffect {
		return nil, false
	}
	out := make([][]float64, len(r.Scores))
	for t := range out {
		for l := range r.Scores[t] {
			out[t] = append(out[t], r.Effect(t, l)/total)
		}
	}
	return out, true
}

// Label is the token's text for tables and plots, marked if it is of the
// subject.
func (r *Result) Label(token int) string {
	label := strconv.Quote(r.Tokens[token])
	label = label[1 : len(label)-1]
	if r.ofSubject(token) {
		label += "*"
	}
	return label
}

func (r *Result) ofSubject(token int) bool {
	return token >= r.SubjectRange[0] && token < r.SubjectRange[1]
}

// Rows is the result as a table: a head, then one row a token with the best
// block and all probabilities.
func (r *Result) Rows() [][]string {
	head := []string{"token", "best block", "effect"}
	if len(r.Scores) > 0 {
		for l := range r.Scores[0] {
			head = append(head, strconv.Itoa(l))
		}
	}
	rows := [][]string{head}
	for t, scores := range r.Scores {
		best := 0
		for l := range scores {
			if scores[l] > scores[best] {
				best = l
			}
		}
		row := []string{r.Label(t), strconv.Itoa(best), fmt.Sprintf("%.4f", r.Effect(t, best))}
		for _, p := range scores {
			row = append(row, fmt.Sprintf("%.4f", p))
		}
		rows = append(rows, row)
	}
	return rows
}
