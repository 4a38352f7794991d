package nearest

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/byprompt"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
)

// Kind is the store's in edit files.
const Kind = "nearest keys"

// Entry is one edit.
type Entry struct {
	byprompt.Fact
	Threshold float64 `json:"threshold"` // least cosine to Key

	Key   []float32 `json:"-"` // unit length, [in]
	Value []float32 `json:"-"` // [out]
}

// Store is keys and values behind a layer. It implements edit.Adapter.
type Store struct {
	Model   string `json:"model"` // hash of the base model
	Layer   string `json:"layer"` // weight name
	Entries []Entry
}

var (
	_ edit.Adapter  = (*Store)(nil)
	_ edit.Lister   = (*Store)(nil)
	_ edit.Follower = (*Store)(nil)
)

// Weights implements edit.Adapter.
func (s *Store) Weights() []string { return []string{s.Layer} }

// Kind implements edit.Memory.
func (s *Store) Kind() string { return Kind }

// Route implements edit.Adapter: each row finds its own way.
func (s *Store) Route(_, _ kernel.Matrix) edit.Route { return edit.Route{} }

// Adapt implements edit.Adapter.
func (s *Store) Adapt(_ string, _ edit.Route, x, y kernel.Matrix, _, _ int) {
	for i := range x.Rows {
		if j := s.Find(x.Data[i*x.Stride : i*x.Stride+x.Cols]); j >= 0 {
			for c, v := range s.Entries[j].Value {
				y.Data[i*y.Stride+c] += v
			}
		}
	}
}

// Find is the edit that answers for a row, or −1: the nearest key, the latest of
// equally near ones, if its threshold is passed.
func (s *Store) Find(x []float32) int {
	best, most := -1, math.Inf(-1)
	length := kernel.Norm64(x)
	if length == 0 {
		return -1
	}
	for j := range s.Entries {
		if c := kernel.Dot64(s.Entries[j].Key, x) / length; c >= most {
			best, most = j, c
		}
	}
	if best >= 0 && most >= s.Entries[best].Threshold {
		return best
	}
	return -1
}

// Follows implements edit.Follower: the store begins with last's edits, but for
// those whose prompts were edited anew since.
func (s *Store) Follows(last edit.Memory) error {
	if last == nil {
		return nil // it holds all edits of its sequence
	}
	before, ok := last.(*Store)
	if !ok {
		return fmt.Errorf("the edit before has a memory of kind %q, no store", last.Kind())
	}
	return byprompt.Follows(s.Entries, before.Entries)
}

// Requests implements edit.Lister.
func (s *Store) Requests() []edit.Request { return byprompt.Requests(s.Entries) }

// Forget implements edit.Lister.
func (s *Store) Forget(id string) (edit.Memory, error) {
	entries, err := byprompt.Forget(s.Entries, id)
	if err != nil {
		return nil, err
	}
	return &Store{Model: s.Model, Layer: s.Layer, Entries: entries}, nil
}

// Pack implements edit.Memory.
func (s *Store) Pack() (edit.Packed, error) {
	info, err := json.Marshal(s)
	p := edit.Packed{Kind: Kind, Info: info}
	if n := len(s.Entries); n > 0 {
		in, out := len(s.Entries[0].Key), len(s.Entries[0].Value)
		keys, values := make([]float32, 0, n*in), make([]float32, 0, n*out)
		for _, e := range s.Entries {
			keys, values = append(keys, e.Key...), append(values, e.Value...)
		}
		p.Tensors = []edit.PackedTensor{{Name: "keys", Shape: []int{n, in}, Values: keys}, {Name: "values", Shape: []int{n, out}, Values: values}}
	}
	return p, err
}

// Unpack reads a store, of whatever model.
func Unpack(p edit.Packed) (*Store, error) {
	if p.Kind != Kind {
		return nil, fmt.Errorf("a memory of kind %q is no store of nearest keys", p.Kind)
	}
	s := &Store{}
	if err := json.Unmarshal(p.Info, s); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	n := len(s.Entries)
	if n == 0 {
		return s, nil
	}
	k, err := p.Tensor("keys", 2)
	if err != nil {
		return nil, err
	}
	v, err := p.Tensor("values", 2)
	if err != nil {
		return nil, err
	}
	if k.Shape[0] != n || v.Shape[0] != n {
		return nil, fmt.Errorf("the store has %d edits, but %d keys and %d values", n, k.Shape[0], v.Shape[0])
	}
	for i := range s.Entries {
		s.Entries[i].Key = slices.Clone(k.Values[i*k.Shape[1] : (i+1)*k.Shape[1]])
		s.Entries[i].Value = slices.Clone(v.Values[i*v.Shape[1] : (i+1)*v.Shape[1]])
	}
	return s, nil
}

// Open reads a store of edits of m.
func Open(m *lm.Model, p edit.Packed) (*Store, error) {
	s, err := Unpack(p)
	if err != nil {
		return nil, err
	}
	if _, err := m.Owns(s.Model); err != nil {
		return nil, fmt.Errorf("the store is of %w", err)
	}
	l, ok := m.Linear(s.Layer)
	if !ok {
		return nil, fmt.Errorf("the store stands behind %s, which the model has not", s.Layer)
	}
	for _, e := range s.Entries {
		if len(e.Key) != l.In || len(e.Value) != l.Out {
			return nil, fmt.Errorf("the store has keys of width %d and values of width %d, the layer %s takes %d and gives %d", len(e.Key), len(e.Value), s.Layer, l.In, l.Out)
		}
	}
	return s, nil
}
