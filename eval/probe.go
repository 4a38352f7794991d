package eval

import (
	"encoding/binary"
	"fmt"
	"math"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/tokenizer"
	"keyhole.example/keyhole/text"
)

// Probe is one prompt with the answer looked for, and what the two models made
// of it.
type Probe struct {
	Prompt, Answer string
	Text           text.Text // asks for the answer's tokens
	KL             bool      // also compare the two models' distributions
	Base, Edited   *Outcome

	cut  bool // the prompt or the answer was cut
	base *baseEntry
}

// newProbe tokenises, and refuses what the model cannot be asked.
func newProbe(m *lm.Model, prompt, answer string, join data.Join) (*Probe, error) {
	t, err := text.Ask(m, prompt, answer, join)
	if err != nil {
		return nil, err
	}
	return &Probe{Prompt: prompt, Answer: answer, Text: t}, nil
}

// tokens is the number of the answer's tokens.
func (p *Probe) tokens() int { return p.Text.Wanted() }

// answer is the answer's tokens.
func (p *Probe) answer() []int32 {
	return p.Text.Labels[len(p.Text.Labels)-p.tokens():]
}

// key identifies the text and what is asked of it.
func (p *Probe) key() string {
	b := make([]byte, 0, 4*len(p.Text.IDs)+8)
	for _, id := range p.Text.IDs {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	// the last label and their number determine the others
	b = binary.LittleEndian.AppendUint32(b, uint32(p.Text.Labels[len(p.Text.Labels)-1]))
	b = binary.LittleEndian.AppendUint32(b, uint32(p.tokens()))
	return string(b)
}

// behind is the probe's text with context in front of its prompt, as m is asked.
// The answer's tokens are those of the probe, so the rows of both can be compared.
func (p *Probe) behind(tok tokenizer.Tokenizer, m *lm.Model, context string) (text.Text, error) {
	ids, a := text.Prompt(tok, context+p.Prompt), p.answer()
	if err := text.Fits(m, len(ids), len(a)); err != nil {
		return text.Text{}, fmt.Errorf("context and prompt %q: %w; use fewer demonstrations", p.Prompt, err)
	}
	return text.Asked(ids, a), nil
}

// finite tells whether both models computed numbers.
func (p *Probe) finite() bool {
	if p.Edited == nil || !p.Edited.Finite() {
		return false
	}
	return p.Edited.KL == nil || !math.IsNaN(p.Edited.MeanKL())
}
