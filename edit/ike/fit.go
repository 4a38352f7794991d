package ike

import (
	"fmt"
	"sort"
	"strings"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/lm/tokenizer"
)

// plan is an edit's context before it is cut to a length.
type plan struct {
	cfg     *Config
	tok     tokenizer.Tokenizer
	limit   int // tokens of context, query and answer
	request edit.Request
	demos   []demonstration // as they stand in the context
	usual   fitted          // with room for an ordinary query
}

// fitted is a context that leaves the room asked for.
type fitted struct {
	text    string // ends where the query begins
	tokens  int
	dropped int // demonstrations left out, the least similar ones
}

// fit leaves out the least similar demonstrations until room tokens are left.
// The edit's own copy is the last to go.
func (p *plan) fit(room int) (fitted, error) {
	most := len(p.demos)
	dropped := sort.Search(most, func(n int) bool { return p.with(n).tokens+room <= p.limit })
	f := p.with(dropped)
	if f.tokens+room > p.limit {
		return fitted{}, fmt.Errorf("edit %s: the fact takes %d tokens and query and answer %d, more than the context of %d even without demonstrations; shorten the fact, or lower query_tokens or answer_tokens",
			p.request.ID, f.tokens, room, p.limit)
	}
	return f, nil
}

// with is the context without the n least similar demonstrations.
func (p *plan) with(n int) fitted {
	var b strings.Builder
	for _, d := range p.demos {
		if p.dropAt(d) >= n {
			b.WriteString(d.text)
		}
	}
	b.WriteString(factLine(p.request.Prompt, p.request.Target, p.request.Join))
	b.WriteString(promptStart)
	text := b.String()
	return fitted{text: text, tokens: p.tokens(text), dropped: n}
}

// dropAt is the place of a demonstration in the order of leaving out, from 0.
func (p *plan) dropAt(d demonstration) int {
	ranked := len(p.demos)
	if p.cfg.OwnCopy {
		ranked-- // rank −1 comes last
	}
	return ranked - 1 - d.rank
}

func (p *plan) tokens(text string) int { return len(p.tok.EncodeSpecial(text)) }

// context is what stands in front of the query.
func (p *plan) context(query string) (fitted, error) {
	n := p.tokens(query)
	if n <= p.cfg.QueryTokens {
		return p.usual, nil
	}
	return p.fit(n + p.cfg.AnswerTokens)
}

// kindsKept counts the demonstrations that are left in f, by kind.
func (p *plan) kindsKept(f fitted) (counts [kinds]int) {
	for _, d := range p.demos {
		if p.dropAt(d) >= f.dropped {
			counts[d.kind]++
		}
	}
	return counts
}
