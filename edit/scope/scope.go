// Package scope tells how near a text is to an edit, by what enters a layer: the
// rows of prompts that have nothing to do with an edit say how large a cosine to
// its key can be by chance.
//
// The central type is Pool.
//
// Promise: what a Pool says does not depend on what it was asked before.
package scope

import (
	"errors"
	"fmt"
	"math"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/text"
)

// Pool is prompts to compare with. It is for one goroutine at a time.
type Pool struct {
	k     *kernel.Engine
	edits []data.Edit
	rows  map[string][]kernel.Matrix // of the prompts by layer, of unit length
}

// New makes a pool of the first edits of a list, at most so many.
func New(k *kernel.Engine, edits []data.Edit, most int) (*Pool, error) {
	if len(edits) == 0 {
		return nil, errors.New("there are no prompts to measure thresholds by; name edits for demonstrations")
	}
	return &Pool{k: k, edits: edits[:min(len(edits), most)], rows: map[string][]kernel.Matrix{}}, nil
}

// Prompts are the pool's, in their order.
func (p *Pool) Prompts() []string {
	out := make([]string, len(p.edits))
	for i := range p.edits {
		out[i] = p.edits[i].Prompt
	}
	return out
}

// Inputs are a layer's in a prompt, [tokens, in].
func (p *Pool) Inputs(m *lm.Model, weight, prompt string) (kernel.Matrix, error) {
	var out kernel.Matrix
	ids := text.Prompt(m.Tokenizer, prompt)
	if err := m.CheckLength(len(ids)); err != nil {
		return out, err
	}
	site, ok := m.SiteOf(weight)
	if !ok {
		return out, fmt.Errorf("%s is no linear layer of the model", weight)
	}
	o := eager.New(p.k)
	o.OnLinear = func(l *nn.Linear, x, _ kernel.Matrix) {
		if l.W.Name == weight {
			out = x.Clone()
		}
	}
	texts, packed := text.Lay(ids)
	x := lm.Embed[kernel.Matrix](o, m, texts, packed)
	lm.Blocks[kernel.Matrix](o, m, x, 0, site.Block+1, packed, nil)
	return out, o.Err()
}

// Nearest is the largest cosine of a key of unit length to a row of the pool, and
// the prompt that has it; with last only the prompts' last rows count. Prompts of
// the request's own subject are related.
func (p *Pool) Nearest(m *lm.Model, weight string, r edit.Request, key []float32, last bool) (nearest float64, like string, err error) {
	if p.rows[weight] == nil {
		list := make([]kernel.Matrix, len(p.edits))
		for i := range p.edits {
			x, err := p.Inputs(m, weight, p.edits[i].Prompt)
			if err != nil {
				continue // too long: others do
			}
			for r := range x.Rows {
				unit(x.Data[r*x.Cols : (r+1)*x.Cols])
			}
			list[i] = x
		}
		p.rows[weight] = list
	}
	nearest = math.Inf(-1)
	for i, x := range p.rows[weight] {
		if p.edits[i].Prompt == r.Prompt || r.Subject != "" && p.edits[i].Subject == r.Subject {
			continue
		}
		first := 0
		if last {
			first = max(0, x.Rows-1)
		}
		for j := first; j < x.Rows; j++ {
			if c := kernel.Dot64(key, x.Data[j*x.Cols:(j+1)*x.Cols]); c > nearest {
				nearest, like = c, p.edits[i].Prompt
			}
		}
	}
	if math.IsInf(nearest, -1) {
		return 0, "", errors.New("there is no unrelated prompt to measure the threshold by; name other edits for demonstrations")
	}
	return nearest, like, nil
}

// Threshold is the least cosine to a key of unit length at which a row is in scope:
// margin of the way from the nearest unrelated row to the key itself.
func (p *Pool) Threshold(m *lm.Model, weight string, r edit.Request, key []float32, last bool, margin float64) (float64, error) {
	nearest, like, err := p.Nearest(m, weight, r, key, last)
	if err != nil {
		return 0, err
	}
	const least = 1e-6 // nothing nearer can be told apart in float32
	if nearest > 1-least {
		return 0, fmt.Errorf("edit %s: its key is that of the prompt %q too, so the two cannot be told apart at %s; edit another layer or token", r.ID, like, weight)
	}
	return nearest + margin*(1-nearest), nil
}

// unit divides a row by its length in place; a row of zeros stays.
func unit(x []float32) {
	if n := kernel.Norm64(x); n > 0 {
		for i := range x {
			x[i] = float32(float64(x[i]) / n)
		}
	}
}

// Unit is a row over its length.
func Unit(x []float32) []float32 {
	out := append([]float32(nil), x...)
	unit(out)
	return out
}
