package edit

import (
	"context"
	"fmt"

	"keyhole.example/keyhole/lm"
)

// Memory is what an editor keeps of its edits beside changes of weights: keys of
// earlier edits, a codebook, texts. A Memory is not changed once it is given out.
type Memory interface {
	// Kind names what it is in an edit file, such as "keys".
	Kind() string
	// Pack is all there is to keep of it.
	Pack() (Packed, error)
}

// Packed is a Memory as a file holds it.
type Packed struct {
	Kind    string
	Info    []byte // JSON: what is no tensor
	Tensors []PackedTensor
}

// PackedTensor is values [Shape…], in the order of the shape.
type PackedTensor struct {
	Name   string
	Shape  []int
	Values []float32
}

// Tensor finds a tensor with so many dimensions and its shape.
func (p *Packed) Tensor(name string, dims int) (PackedTensor, error) {
	for _, t := range p.Tensors {
		if t.Name != name {
			continue
		}
		n := 1
		for _, d := range t.Shape {
			n *= d
		}
		if len(t.Shape) != dims || n != len(t.Values) {
			return t, fmt.Errorf("memory %s: tensor %s has shape %v and %d values; want %d dimensions", p.Kind, name, t.Shape, len(t.Values), dims)
		}
		return t, nil
	}
	return PackedTensor{}, fmt.Errorf("memory %s: tensor %s is missing", p.Kind, name)
}

// packed is a Memory that was read and that no editor has opened yet.
type packed struct{ Packed }

func (p packed) Kind() string          { return p.Packed.Kind }
func (p packed) Pack() (Packed, error) { return p.Packed, nil }

// Opener is an editor that can open its Memory again, read from a file.
type Opener interface {
	// Open makes a Memory of m's edits; one of another model, layer or kind is an
	// error.
	Open(ctx context.Context, m *lm.Model, p Packed) (Memory, error)
}

// Lister is a Memory of edits that can be named, and taken out one by one.
type Lister interface {
	Memory
	Requests() []Request
	// Forget is the memory as if the edit of an ID had never been made; an ID that
	// is not there is an error.
	Forget(id string) (Memory, error)
}
