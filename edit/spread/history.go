package spread

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"gonum.org/v1/gonum/mat"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
)

// keysKind is History's kind in edit files.
const keysKind = "keys"

// History is the keys of earlier edits of a sequence, site by site. It
// implements edit.Memory.
type History struct {
	Model string   // hash of the base model
	Sites []string // weight names
	Facts []Known  // a key of each at every site, in order
	// Keys are the rows [facts, d_ff] by site. They are float32, so that a
	// history that was kept in a file is the one that was not.
	Keys []kernel.Matrix

	own         int          // facts of the last edit, at the end
	transformed []*mat.Dense // what the System made of the keys, [n, facts]
}

// Known is a fact that an earlier edit wrote.
type Known struct {
	ID      string `json:"id"`
	Prompt  string `json:"prompt"`
	Subject string `json:"subject"`
	Target  string `json:"target"`
}

var _ edit.Memory = (*History)(nil)

// Kind implements edit.Memory.
func (h *History) Kind() string { return keysKind }

// Pack implements edit.Memory.
func (h *History) Pack() (edit.Packed, error) {
	info, err := json.Marshal(struct {
		Model string   `json:"model"`
		Sites []string `json:"sites"`
		Facts []Known  `json:"facts"`
		Own   int      `json:"own"`
	}{h.Model, h.Sites, h.Facts, h.own})
	p := edit.Packed{Kind: keysKind, Info: info}
	for i, k := range h.Keys {
		p.Tensors = append(p.Tensors, edit.PackedTensor{Name: h.Sites[i], Shape: []int{k.Rows, k.Cols}, Values: k.Data})
	}
	return p, err
}

// open reads a history of edits of the sites in m.
func open(m *lm.Model, p edit.Packed, sites []lm.Site) (*History, error) {
	if p.Kind != keysKind {
		return nil, fmt.Errorf("a memory of kind %q is not that of this editor, which keeps %q; go on with the editor that made it", p.Kind, keysKind)
	}
	h := &History{}
	var own struct{ Own int }
	if err := errors.Join(json.Unmarshal(p.Info, h), json.Unmarshal(p.Info, &own)); err != nil {
		return nil, fmt.Errorf("memory %s: %w", p.Kind, err)
	}
	h.own = own.Own
	for _, name := range h.Sites {
		t, err := p.Tensor(name, 2)
		if err != nil {
			return nil, err
		}
		if t.Shape[0] != len(h.Facts) {
			return nil, fmt.Errorf("memory %s: %d keys of %s, but %d facts", p.Kind, t.Shape[0], name, len(h.Facts))
		}
		h.Keys = append(h.Keys, kernel.Mat(t.Values, t.Shape[0], t.Shape[1]))
	}
	return h, h.check(m, sites)
}

// check fails unless the history is of the model and the sites.
func (h *History) check(m *lm.Model, sites []lm.Site) error {
	if _, err := m.Owns(h.Model); err != nil {
		return fmt.Errorf("the earlier edits are of %w; begin a new sequence", err)
	}
	var names []string
	for _, s := range sites {
		names = append(names, s.Name)
	}
	if !slices.Equal(h.Sites, names) {
		return fmt.Errorf("the earlier edits are of the layers %v, this one of %v; set layers as they were, or begin a new sequence", h.Sites, names)
	}
	for i, s := range sites {
		if h.Keys[i].Cols != s.Linear.In {
			return fmt.Errorf("the earlier edits' keys at %s have width %d, the layer's input %d", s.Name, h.Keys[i].Cols, s.Linear.In)
		}
	}
	return nil
}

// Follows implements edit.Follower: the earlier facts are those of last, but for
// some that were written anew since.
func (h *History) Follows(last edit.Memory) error {
	var before []Known
	if old, ok := last.(*History); ok {
		before = old.Facts
	}
	at := 0
	for _, f := range before {
		if at < len(h.Facts) && h.Facts[at] == f {
			at++
		} else if !slices.ContainsFunc(h.Facts, func(g Known) bool { return g.Prompt == f.Prompt && g.Subject == f.Subject }) {
			return fmt.Errorf("it was made behind other edits than this sequence's: it does not know edit %s", f.ID)
		}
	}
	if at+h.own == len(h.Facts) {
		return nil
	}
	return fmt.Errorf("it was made behind %d earlier edits, of which this sequence has %d", len(h.Facts)-h.own, at)
}

// without is the history without the facts that the requests write anew: with
// their keys in it, old and new answer would have to be given at once.
func (h *History) without(requests []edit.Request) (*History, int) {
	again := func(f Known) bool {
		return slices.ContainsFunc(requests, func(r edit.Request) bool { return r.Prompt == f.Prompt && r.Subject == f.Subject })
	}
	if !slices.ContainsFunc(h.Facts, again) {
		return h, 0
	}
	out := &History{Model: h.Model, Sites: h.Sites}
	var keep []int
	for i, f := range h.Facts {
		if !again(f) {
			keep = append(keep, i)
			out.Facts = append(out.Facts, f)
		}
	}
	for _, k := range h.Keys {
		x := kernel.Mat(make([]float32, len(keep)*k.Cols), len(keep), k.Cols)
		for to, from := range keep {
			copy(x.Data[to*k.Cols:(to+1)*k.Cols], k.Data[from*k.Stride:])
		}
		out.Keys = append(out.Keys, x)
	}
	return out, len(h.Facts) - len(keep)
}

// sameSubject counts requests about subjects of earlier edits.
func (h *History) sameSubject(requests []edit.Request) int {
	n := 0
	for _, r := range requests {
		if slices.ContainsFunc(h.Facts, func(f Known) bool { return f.Subject == r.Subject }) {
			n++
		}
	}
	return n
}

// column is row i as a column in float64.
func column(x kernel.Matrix, i int) *mat.Dense {
	out := mat.NewDense(x.Cols, 1, nil)
	for j := range x.Cols {
		out.Set(j, 0, float64(x.Data[i*x.Stride+j]))
	}
	return out
}

// beside is [a b], of which a may be nil.
func beside(a, b *mat.Dense) *mat.Dense {
	if a == nil {
		return b
	}
	var out mat.Dense
	out.Augment(a, b)
	return &out
}
