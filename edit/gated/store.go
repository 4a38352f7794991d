package gated

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas/blas32"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/byprompt"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
)

// Kind is the store's in edit files.
const Kind = "gated changes"

// Entry is one edit.
type Entry struct {
	byprompt.Fact
	Thresholds []float64 `json:"thresholds"` // least cosines to Keys
	Ranks      []int     `json:"ranks"`      // of Changes
	Lengths    []int     `json:"lengths"`    // tokens that end with each key

	Keys    [][]float32 `json:"-"` // unit length, [in] of the gate
	Changes []*nn.Delta `json:"-"` // by Store.Layers; of rank 0 where a layer stays
}

// Store is edits behind a gate. It implements edit.Adapter.
type Store struct {
	Model   string   `json:"model"`            // hash of the base model
	Gate    string   `json:"gate"`             // weight name of the layer whose inputs keys are
	Layers  []string `json:"layers"`           // weights that edits change, in the order of the forward pass
	Last    bool     `json:"last,omitempty"`   // only a prompt's last row is compared with keys
	Narrow  bool     `json:"narrow,omitempty"` // an edit changes the rows that end with its key, and no others
	Entries []Entry
}

var (
	_ edit.Adapter  = (*Store)(nil)
	_ edit.Lister   = (*Store)(nil)
	_ edit.Follower = (*Store)(nil)
)

// Weights implements edit.Adapter: the gate, then what is changed.
func (s *Store) Weights() []string {
	if len(s.Layers) > 0 && s.Layers[0] == s.Gate {
		return s.Layers
	}
	return append([]string{s.Gate}, s.Layers...)
}

// Kind implements edit.Memory.
func (s *Store) Kind() string { return Kind }

// Route implements edit.Adapter: To is the place of an edit, from 1 on; 0: none.
func (s *Store) Route(x, _ kernel.Matrix) edit.Route {
	i, rows := s.find(x)
	return edit.Route{To: i + 1, Rows: rows}
}

// Find is the edit for a prompt with these inputs of the gate, x [tokens, in], or
// −1: that of the nearest key, the latest of equally near ones, if its threshold
// is passed.
func (s *Store) Find(x kernel.Matrix) int {
	i, _ := s.find(x)
	return i
}

// find is Find with the rows that the edit changes in the prompt and behind it.
func (s *Store) find(x kernel.Matrix) (best int, rows nn.Range) {
	best = -1
	most := math.Inf(-1)
	first := 0
	if s.Last {
		first = max(0, x.Rows-1)
	}
	for i := first; i < x.Rows; i++ {
		row := blas32.Vector{N: x.Cols, Inc: 1, Data: x.Data[i*x.Stride : i*x.Stride+x.Cols]}
		length := blas32.Nrm2(row)
		if length == 0 {
			continue
		}
		for j := range s.Entries {
			e := &s.Entries[j]
			for k, key := range e.Keys {
				c := float64(blas32.Dot(blas32.Vector{N: len(key), Inc: 1, Data: key}, row) / length)
				if c >= e.Thresholds[k] && (c > most || c == most && j > best) {
					best, most, rows = j, c, nn.Range{Hi: math.MaxInt}
					if s.Narrow {
						rows = nn.Range{Lo: max(0, i+1-e.Lengths[k]), Hi: i + 1}
					}
				}
			}
		}
	}
	return best, rows
}

// Adapt implements edit.Adapter.
func (s *Store) Adapt(weight string, r edit.Route, x, y kernel.Matrix, from, _ int) {
	at := slices.Index(s.Layers, weight)
	if r.To == 0 || at < 0 {
		return
	}
	add(s.Entries[r.To-1].Changes[at], x, y, nn.Range{Lo: max(0, r.Rows.Lo-from), Hi: min(x.Rows, r.Rows.Hi-from)})
}

// add adds to rows of what a layer gives, y [rows, out], for x [rows, in], what a change
// of the layer gives.
func add(d *nn.Delta, x, y kernel.Matrix, rows nn.Range) {
	for i := rows.Lo; i < rows.Hi; i++ {
		in, out := x.Data[i*x.Stride:i*x.Stride+x.Cols], y.Data[i*y.Stride:i*y.Stride+y.Cols]
		for k := range d.U.Rows {
			u := blas32.Vector{N: d.U.Cols, Inc: 1, Data: d.U.Data[k*d.U.Stride : k*d.U.Stride+d.U.Cols]}
			v := blas32.Vector{N: d.D.Cols, Inc: 1, Data: d.D.Data[k*d.D.Stride : k*d.D.Stride+d.D.Cols]}
			blas32.Axpy(d.Scale*blas32.Dot(u, blas32.Vector{N: len(in), Inc: 1, Data: in}), v, blas32.Vector{N: len(out), Inc: 1, Data: out})
		}
	}
}

// Follows implements edit.Follower: the store begins with last's edits, but for
// those whose prompts were edited anew since.
func (s *Store) Follows(last edit.Memory) error {
	if last == nil {
		return nil // it holds all edits of its sequence
	}
	before, ok := last.(*Store)
	if !ok {
		return fmt.Errorf("the edit before has a memory of kind %q, no gated changes", last.Kind())
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
	out := *s
	out.Entries = entries
	return &out, nil
}

// Pack implements edit.Memory.
func (s *Store) Pack() (edit.Packed, error) {
	info, err := json.Marshal(s)
	p := edit.Packed{Kind: Kind, Info: info}
	n := len(s.Entries)
	if n == 0 {
		return p, err
	}
	keys := edit.PackedTensor{Name: "keys", Shape: []int{0, len(s.Entries[0].Keys[0])}}
	for _, e := range s.Entries {
		keys.Shape[0] += len(e.Keys)
		for _, key := range e.Keys {
			keys.Values = append(keys.Values, key...)
		}
	}
	p.Tensors = append(p.Tensors, keys)
	for l := range s.Layers {
		u, d := edit.PackedTensor{Name: tensor("u", l)}, edit.PackedTensor{Name: tensor("d", l)}
		rows := 0
		for _, e := range s.Entries {
			c := e.Changes[l]
			rows += c.U.Rows
			u.Values, d.Values = appendRows(u.Values, c.U, 1), appendRows(d.Values, c.D, c.Scale)
		}
		first := s.Entries[0].Changes[l]
		u.Shape, d.Shape = []int{rows, first.U.Cols}, []int{rows, first.D.Cols}
		p.Tensors = append(p.Tensors, u, d)
	}
	return p, err
}

// tensor names the factor of a layer in a file.
func tensor(factor string, layer int) string { return fmt.Sprintf("%s%d", factor, layer) }

func appendRows(to []float32, m kernel.Matrix, by float32) []float32 {
	for i := range m.Rows {
		for _, v := range m.Data[i*m.Stride : i*m.Stride+m.Cols] {
			to = append(to, by*v)
		}
	}
	return to
}

// Unpack reads a store, of whatever model.
func Unpack(p edit.Packed) (*Store, error) {
	if p.Kind != Kind {
		return nil, fmt.Errorf("a memory of kind %q is none of gated changes", p.Kind)
	}
	s := &Store{}
	if err := json.Unmarshal(p.Info, s); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	n := len(s.Entries)
	if n == 0 {
		return s, nil
	}
	keys, err := p.Tensor("keys", 2)
	if err != nil {
		return nil, err
	}
	at := 0
	for i := range s.Entries {
		e := &s.Entries[i]
		if len(e.Thresholds) == 0 || at+len(e.Thresholds) > keys.Shape[0] {
			return nil, fmt.Errorf("edit %s has %d thresholds behind key %d of %d", e.ID, len(e.Thresholds), at, keys.Shape[0])
		}
		for range e.Thresholds {
			e.Keys = append(e.Keys, rowsOf(keys, at, 1).Data)
			at++
		}
		if s.Narrow && (len(e.Lengths) != len(e.Keys) || slices.Min(e.Lengths) < 1) {
			return nil, fmt.Errorf("edit %s has the lengths %v for %d keys; each needs one of at least a token", e.ID, e.Lengths, len(e.Keys))
		}
		if len(e.Ranks) != len(s.Layers) {
			return nil, fmt.Errorf("edit %s has changes of %d layers, the store of %d", e.ID, len(e.Ranks), len(s.Layers))
		}
	}
	if at != keys.Shape[0] {
		return nil, fmt.Errorf("the edits have %d keys, the file %d", at, keys.Shape[0])
	}
	for l := range s.Layers {
		u, err := p.Tensor(tensor("u", l), 2)
		if err != nil {
			return nil, err
		}
		d, err := p.Tensor(tensor("d", l), 2)
		if err != nil {
			return nil, err
		}
		at := 0
		for i := range s.Entries {
			e := &s.Entries[i]
			rank := e.Ranks[l]
			if rank < 0 || at+rank > min(u.Shape[0], d.Shape[0]) {
				return nil, fmt.Errorf("edit %s has %d rows behind row %d of layer %s, which has %d and %d", e.ID, rank, at, s.Layers[l], u.Shape[0], d.Shape[0])
			}
			e.Changes = append(e.Changes, &nn.Delta{U: rowsOf(u, at, rank), D: rowsOf(d, at, rank), Scale: 1})
			at += rank
		}
		if at != u.Shape[0] || at != d.Shape[0] {
			return nil, fmt.Errorf("the edits have %d rows of layer %s, the file %d and %d", at, s.Layers[l], u.Shape[0], d.Shape[0])
		}
	}
	return s, nil
}

// rowsOf is a copy of rows of a tensor with two dimensions.
func rowsOf(t edit.PackedTensor, from, n int) kernel.Matrix {
	w := t.Shape[1]
	return kernel.Mat(slices.Clone(t.Values[from*w:(from+n)*w]), n, w)
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
	if len(s.Entries) == 0 {
		return s, nil
	}
	gate, ok := m.Linear(s.Gate)
	if !ok {
		return nil, fmt.Errorf("the store's gate is %s, which the model has not", s.Gate)
	}
	for _, e := range s.Entries {
		if len(e.Keys[0]) != gate.In {
			return nil, fmt.Errorf("the store has keys of width %d, the layer %s takes %d", len(e.Keys[0]), s.Gate, gate.In)
		}
		for _, t := range e.Thresholds {
			if !(math.Abs(t) <= 1) {
				return nil, fmt.Errorf("edit %s has the threshold %v, which is no cosine", e.ID, t)
			}
		}
		for l, c := range e.Changes {
			layer, ok := m.Linear(s.Layers[l])
			if !ok {
				return nil, fmt.Errorf("the store changes %s, which the model has not", s.Layers[l])
			}
			if c.U.Cols != layer.In || c.D.Cols != layer.Out {
				return nil, fmt.Errorf("the store changes %s by factors of width %d and %d, the layer takes %d and gives %d", s.Layers[l], c.U.Cols, c.D.Cols, layer.In, layer.Out)
			}
		}
	}
	return s, nil
}
