package sites

import (
	"fmt"
	"slices"

	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/trace"
)

// Candidate is a place to edit: weights, and which rows of an edit change them.
type Candidate struct {
	Why   string   `json:"why"`
	Sites []string `json:"sites"` // patterns, as of model.sites
	Rows  string   `json:"rows"`  // as of hypernet.update.rows
}

// The kinds of tokens of a trace that places are taken from.
const (
	subjectTokens = "last subject token"
	lastTokens    = "last token"
)

// Candidates are at most n places in a model of so many blocks, of the given number of
// blocks each, in the order in which they are worth a trial: around the block with the
// largest effect at the subject, then at the prompt's last token, then others.
func Candidates(s *trace.Summary, layers, blocks, n int) ([]Candidate, error) {
	subject, err := peak(s, subjectTokens)
	if err != nil {
		return nil, err
	}
	last, err := peak(s, lastTokens)
	if err != nil {
		return nil, err
	}
	blocks = min(blocks, layers)
	// Rows of the subject cannot change the last block, which computes those alone
	// that predict the target.
	early := max(1, layers-1)
	all := []Candidate{
		{fmt.Sprintf("around block %d, the subject's largest effect", subject), down(around(subject, blocks, early)), hypernet.SubjectRows},
		{fmt.Sprintf("around block %d, the last token's largest effect", last), down(around(last, blocks, layers)), hypernet.AnswerRows},
		{fmt.Sprintf("around block %d, the subject's largest effect", subject), down(around(subject, blocks, layers)), hypernet.AnswerRows},
		{"every other block around the subject's largest effect", down(spaced(subject, blocks, early)), hypernet.SubjectRows},
		{fmt.Sprintf("around block %d, all rows", last), down(around(last, blocks, layers)), hypernet.AllRows},
		{"the last blocks", down(around(layers-1, blocks, layers)), hypernet.AnswerRows},
	}
	var out []Candidate
	for _, c := range all {
		same := func(x Candidate) bool { return x.Rows == c.Rows && slices.Equal(x.Sites, c.Sites) }
		if len(out) < n && !slices.ContainsFunc(out, same) {
			out = append(out, c)
		}
	}
	return out, nil
}

// peak is the block with the largest mean effect at a kind of tokens.
func peak(s *trace.Summary, tokens string) (int, error) {
	for _, e := range s.Effects {
		if e.Tokens != tokens {
			continue
		}
		best := 0
		for l := range e.Blocks {
			if e.Blocks[l].Mean > e.Blocks[best].Mean {
				best = l
			}
		}
		return best, nil
	}
	return 0, fmt.Errorf("the trace has no effects at the %s", tokens)
}

// around are n blocks below end with at in their middle, as far as there are so many.
func around(at, n, end int) []int {
	n = min(n, end)
	lo := min(max(0, at-n/2), end-n)
	var out []int
	for l := lo; l < lo+n; l++ {
		out = append(out, l)
	}
	return out
}

// spaced are n blocks below end, every other one, around at.
func spaced(at, n, end int) []int {
	n = min(n, (end+1)/2)
	lo := min(max(0, at-n), max(0, end-2*n+1))
	var out []int
	for i := range n {
		out = append(out, lo+2*i)
	}
	return out
}

// down are the patterns of the MLPs' second layers of blocks.
func down(blocks []int) []string {
	var out []string
	for _, l := range blocks {
		out = append(out, fmt.Sprintf("%s@%d", lm.RoleDown, l))
	}
	return out
}
