package hypernet

import (
	"keyhole.example/keyhole/lm"
)

// Kept is a part of what a learner remembers beside its trained values: numbers
// that were taken from so many rows.
type Kept struct {
	File    string   // the kind of memory, and so the checkpoint file it lies in
	Rows    *int64   // how many rows the numbers are of
	Tensors []Tensor // the numbers
	Changed func()   // to be called after they were written to; may be nil
}

// Tensor is one-dimensional numbers of either width.
type Tensor struct {
	Name string
	F32  []float32
	F64  []float64 // if F32 is nil
}

// The kinds of memory.
const (
	NormaliserFile = "normaliser"
	PriorFile      = "prior"
)

// Remembered visits all that the network remembers beside its parameters, in a
// fixed order, which is part of the checkpoint format.
func (n *Net) Remembered(fn func(Kept) error) error {
	for _, g := range n.Groups {
		s := &g.Norm.State
		k := Kept{File: NormaliserFile, Rows: &s.K, Tensors: []Tensor{{Name: g.Name + ".mean", F64: s.Mean}, {Name: g.Name + ".s", F64: s.S}}}
		if err := fn(k); err != nil {
			return err
		}
	}
	for i, p := range n.Priors {
		if err := fn(Kept{File: PriorFile, Rows: &p.Rows, Tensors: []Tensor{{Name: n.Sites[i].Name, F32: p.C}}, Changed: p.Changed}); err != nil {
			return err
		}
	}
	return nil
}

// Mark notes what a step may change beside parameters; back undoes the changes.
func (n *Net) Mark() (back func()) {
	states := make([]State, len(n.Groups))
	for i, g := range n.Groups {
		states[i] = g.Norm.State.Clone()
	}
	return func() {
		for i, g := range n.Groups {
			g.Norm.State = states[i].Clone()
		}
	}
}

// RememberedBytes is the memory of what a network of cfg remembers, with what is
// made of it, and what one site's takes while it is made.
func RememberedBytes(cfg Config, sites []lm.Site) int64 {
	total, widest := int64(0), int64(0)
	if cfg.Update.Prior == Moment {
		for _, s := range sites {
			total += PriorBytes(s.Linear.In)
			widest = max(widest, int64(s.Linear.In))
		}
	}
	const making = 4 * 8 // a matrix, its factor twice and the factor's inverse, in float64
	return total + making*widest*widest
}
