package trace

import (
	"errors"
	"fmt"
	"math"
	"strconv"
)

// bucketNames are the kinds of tokens that results are averaged over.
var bucketNames = [...]string{"first subject token", "middle subject tokens", "last subject token", "first token after", "further tokens", "last token"}

// lastSubject is the bucket whose peak suggests a block to edit.
const lastSubject = 2

// Average collects results of many facts, by kind of token and block. The zero
// value is empty.
type Average struct {
	n        int
	clean    moments
	low      moments
	effect   moments
	cells    [len(bucketNames)][]moments
	restore  string
	window   int
	sever    string
	settings string
}

// moments are a count, a mean and the sum of squared deviations.
type moments struct {
	n        int
	mean, m2 float64
}

func (m *moments) add(x float64) {
	m.n++
	d := x - m.mean
	m.mean += d / float64(m.n)
	m.m2 += d * (x - m.mean)
}

// Mean is an average with the half width of its 95 % band.
type Mean struct {
	Mean float64 `json:"mean"`
	Band float64 `json:"band"`
	N    int     `json:"n"`
}

func (m moments) summary() Mean {
	s := Mean{Mean: m.mean, N: m.n}
	if m.n > 1 {
		const z = 1.96
		s.Band = z * math.Sqrt(m.m2/float64(m.n-1)/float64(m.n))
	}
	return s
}

// N is how many results were added.
func (a *Average) N() int { return a.n }

// Add takes in one result. All must be of one model and one configuration.
func (a *Average) Add(r *Result) error {
	settings := fmt.Sprintf("restore %s, window %d, sever %s, corrupt %s, noise %s, %d samples", r.Restore, r.Window, r.Sever, r.Corrupt, r.Noise, r.Samples)
	if err := r.check(); err != nil {
		return fmt.Errorf("average: %w", err)
	}
	layers := len(r.Scores[0])
	switch {
	case a.n == 0:
		a.restore, a.window, a.sever, a.settings = r.Restore, r.Window, r.Sever, settings
		for b := range a.cells {
			a.cells[b] = make([]moments, layers)
		}
	case a.settings != settings:
		return fmt.Errorf("average: a result of %s does not go with those of %s", settings, a.settings)
	case len(a.cells[0]) != layers:
		return fmt.Errorf("average: a result of %d blocks does not go with those of %d", layers, len(a.cells[0]))
	}
	a.n++
	a.clean.add(r.Clean)
	a.low.add(r.Corrupted)
	a.effect.add(r.TotalEffect())
	for b, tokens := range r.buckets() {
		if len(tokens) == 0 {
			continue
		}
		for l := range layers {
			sum := 0.0
			for _, t := range tokens {
				sum += r.Scores[t][l]
			}
			a.cells[b][l].add(sum/float64(len(tokens)) - r.Corrupted)
		}
	}
	return nil
}

// check refuses what is no table of a fact, as a damaged file may hold.
func (r *Result) check() error {
	if len(r.Scores) == 0 || len(r.Scores[0]) == 0 {
		return errors.New("a result without scores")
	}
	if first, end := r.SubjectRange[0], r.SubjectRange[1]; first < 0 || end <= first || end > len(r.Scores) {
		return fmt.Errorf("a result whose subject is tokens %d to %d of %d", first, end, len(r.Scores))
	}
	for t, row := range r.Scores {
		if len(row) != len(r.Scores[0]) {
			return fmt.Errorf("a result with scores of %d blocks for token %d, and of %d for the first", len(row), t, len(r.Scores[0]))
		}
	}
	return nil
}

// buckets sorts the result's tokens from the subject on into the kinds.
func (r *Result) buckets() [len(bucketNames)][]int {
	var out [len(bucketNames)][]int
	first, end, n := r.SubjectRange[0], r.SubjectRange[1], len(r.Scores)
	for t := first; t < n; t++ {
		b := 0
		switch {
		case t == end-1:
			b = lastSubject
		case t == n-1:
			b = len(bucketNames) - 1
		case t == first:
			b = 0
		case t < end:
			b = 1
		case t == end:
			b = lastSubject + 1
		default:
			b = lastSubject + 2
		}
		out[b] = append(out[b], t)
	}
	return out
}

// Summary is an average in numbers.
type Summary struct {
	Facts     int    `json:"facts"`
	Restore   string `json:"restore"`
	Window    int    `json:"window,omitempty"`
	Sever     string `json:"sever"`
	Clean     Mean   `json:"clean"`        // P
	Corrupted Mean   `json:"corrupted"`    // P*
	Total     Mean   `json:"total_effect"` // P − P*
	// Effects are the average indirect effects by kind of token and block.
	Effects []BucketEffects `json:"effects"`
	// Suggested is the block with the largest average effect at the last
	// subject token: where to begin a sweep of ROME's block.
	Suggested int `json:"suggested_block"`
}

// Origin says where the suggestion comes from; facts names what was traced.
func (s *Summary) Origin(facts string) string {
	return fmt.Sprintf("traced: %s restored over %d facts of %s, total effect %.4f; most at the last subject token in block %d", s.Restore, s.Facts, facts, s.Total.Mean, s.Suggested)
}

// BucketEffects are the effects of one kind of token, by block.
type BucketEffects struct {
	Tokens string `json:"tokens"`
	Blocks []Mean `json:"blocks"`
}

// Summary returns the averages so far, an error if there are none.
func (a *Average) Summary() (*Summary, error) {
	if a.n == 0 {
		return nil, errors.New("average: no facts were traced; the model knows none of those given")
	}
	s := &Summary{Facts: a.n, Restore: a.restore, Window: a.window, Sever: a.sever, Clean: a.clean.summary(), Corrupted: a.low.summary(), Total: a.effect.summary()}
	for b, name := range bucketNames {
		e := BucketEffects{Tokens: name}
		for _, c := range a.cells[b] {
			e.Blocks = append(e.Blocks, c.summary())
		}
		s.Effects = append(s.Effects, e)
	}
	last := s.Effects[lastSubject].Blocks
	for l := range last {
		if last[l].Mean > last[s.Suggested].Mean {
			s.Suggested = l
		}
	}
	return s, nil
}

// Rows is the summary as a table: a head, then one row a kind of token with
// mean and band of each block.
func (s *Summary) Rows() [][]string {
	head := []string{"token"}
	for l := range s.Effects[0].Blocks {
		head = append(head, strconv.Itoa(l))
	}
	rows := [][]string{head}
	for _, e := range s.Effects {
		row := []string{e.Tokens}
		for _, m := range e.Blocks {
			row = append(row, fmt.Sprintf("%+.4f ± %.4f", m.Mean, m.Band))
		}
		rows = append(rows, row)
	}
	return rows
}
