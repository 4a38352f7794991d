package eval

import (
	"encoding/binary"
	"fmt"
	"math"

	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/text"
)

// Probe is one prompt with the answer looked for, and what the two models made
// of it.
type Probe struct {
	Prompt, Answer string
	Text           text.Text // asks for the answer's tokens
	KL             bool      // also compare the two models' distributions
	Base, Edited   *Outcome

	cut  int // tokens that were cut off the prompt
	base *baseEntry
}

// newProbe tokenises, and refuses what the model cannot be asked.
func newProbe(m *lm.Model, prompt, answer string, maxLen int) (*Probe, error) {
	t, err := text.Answer(m.Tokenizer, prompt, answer, text.Options{MaxLen: maxLen})
	if err != nil {
		return nil, err
	}
	if err := m.CheckLength(len(t.IDs)); err != nil {
		return nil, err
	}
	p := &Probe{Prompt: prompt, Answer: answer, Text: t}
	p.cut = len(m.Tokenizer.EncodeSpecial(prompt)) - (len(t.IDs) - p.tokens() + 1)
	return p, nil
}

// tokens is the number of the answer's tokens.
func (p *Probe) tokens() int {
	n := 0
	for _, l := range p.Text.Labels {
		if l >= 0 {
			n++
		}
	}
	return n
}

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

// inContext is the probe's text with context in front of its prompt. The
// answer's tokens are those of the probe, so the rows of both can be compared.
func (p *Probe) inContext(m *lm.Model, context string) (text.Text, error) {
	ids := m.Tokenizer.EncodeSpecial(context + p.Prompt)
	ids = ids[:max(1, len(ids)-p.cut)]
	a := p.answer()
	t := text.Text{IDs: append(ids, a[:len(a)-1]...)}
	if err := m.CheckLength(len(t.IDs)); err != nil {
		return t, fmt.Errorf("context and prompt %q: %w; use fewer demonstrations", p.Prompt, err)
	}
	t.Labels = make([]int32, len(t.IDs))
	for i := range t.Labels {
		t.Labels[i] = -1
		if j := i - (len(t.IDs) - len(a)); j >= 0 {
			t.Labels[i] = a[j]
		}
	}
	return t, nil
}

// finite tells whether both models computed numbers.
func (p *Probe) finite() bool {
	if p.Edited == nil || !p.Edited.Finite() {
		return false
	}
	return p.Edited.KL == nil || !math.IsNaN(p.Edited.MeanKL())
}
