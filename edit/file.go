package edit

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/internal/seal"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/text"
)

// FileFormat is the version of the edit files that this package writes, and the
// latest that it reads. docs/formats/edit.md describes the format.
const FileFormat = 2

// plainFormat is the version of files without a memory.
const plainFormat = 1

// FileExt is how the name of an edit file ends.
const FileExt = ".safetensors"

// manifestKey is the key of the manifest in a file's __metadata__.
const manifestKey = "keyhole.edit"

// ErrNoEdit says that a file is a safetensors file but no edit.
var ErrNoEdit = errors.New("it holds no edit: its metadata have no " + manifestKey)

// Kept is an edit as a file keeps it.
type Kept struct {
	Path   string // of the file
	Model  string // hash of the base model, as lm.Model.Hash gives it
	Edited *Edited
}

// IsOf fails unless m is the base model that the edit was made for. note, if not
// empty, says what was taken for granted.
func (k *Kept) IsOf(m *lm.Model) (note string, err error) {
	if note, err = m.Owns(k.Model); err != nil {
		return "", fmt.Errorf("%s is an edit of %w; give the model that it was made for", k.Path, err)
	}
	return note, nil
}

// manifest is what an edit file says beside its tensors.
type manifest struct {
	Format   int            `json:"format"`
	Model    string         `json:"model"`
	Editor   string         `json:"editor"`
	Requests []fileRequest  `json:"requests"`
	Report   []Figure       `json:"report,omitempty"`
	Changes  []changeHeader `json:"changes"`
	Memory   *memoryHeader  `json:"memory,omitempty"`
}

// memoryHeader is a Packed without its values.
type memoryHeader struct {
	Kind    string          `json:"kind"`
	Info    json.RawMessage `json:"info"`
	Tensors []memoryTensor  `json:"tensors"`
}

type memoryTensor struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"`
}

type fileRequest struct {
	ID      string `json:"id"`
	Prompt  string `json:"prompt"`
	Subject string `json:"subject,omitempty"`
	Target  string `json:"target"`
	True    string `json:"true,omitempty"`

	Join       data.Join       `json:"join,omitempty"`
	Occurrence text.Occurrence `json:"occurrence,omitempty"`
}

type changeHeader struct {
	Weight string  `json:"weight"`
	Kind   string  `json:"kind"` // low_rank or values
	Scale  float32 `json:"scale,omitempty"`
	Ridge  float64 `json:"ridge,omitempty"` // of a low_rank change that was solved for
}

// WriteFile creates or replaces an edit file, whole or not at all. model is the
// hash of the base model. Equal edits give equal bytes.
func WriteFile(path string, e *Edited, model string) error {
	if e.Context != nil {
		return fmt.Errorf("edit file %s: an edit by %s is a context and changes no weights; keep its request in an edit store", path, e.Editor)
	}
	m := manifest{Format: plainFormat, Model: model, Editor: e.Editor, Report: e.Report, Changes: []changeHeader{}}
	for _, r := range e.Requests {
		m.Requests = append(m.Requests, fileRequest(r))
	}
	var tensors []safetensors.Entry
	for i, c := range e.Changes {
		name := tensorName(i, c.Weight)
		if c.Delta == nil {
			m.Changes = append(m.Changes, changeHeader{Weight: c.Weight, Kind: "values"})
			tensors = append(tensors, safetensors.Floats(name+".values", []int{len(c.Values)}, c.Values, tensorfile.F32))
			continue
		}
		h := changeHeader{Weight: c.Weight, Kind: "low_rank", Scale: c.Delta.Scale}
		tensors = append(tensors, factor(name+".u", c.Delta.U), factor(name+".d", c.Delta.D))
		if c.Rows != nil {
			h.Ridge = c.Rows.Ridge
			tensors = append(tensors, c.Rows.entries(name)...)
		}
		m.Changes = append(m.Changes, h)
	}
	if e.Memory != nil {
		p, err := e.Memory.Pack()
		if err != nil {
			return fmt.Errorf("edit file %s: %w", path, err)
		}
		m.Format, m.Memory = FileFormat, &memoryHeader{Kind: p.Kind, Info: p.Info, Tensors: []memoryTensor{}}
		for _, t := range p.Tensors {
			m.Memory.Tensors = append(m.Memory.Tensors, memoryTensor{t.Name, t.Shape})
			tensors = append(tensors, safetensors.Floats(memoryPrefix+t.Name, t.Shape, t.Values, tensorfile.F32))
		}
	}
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("edit file %s: %w", path, err)
	}
	if err := safetensors.WriteSealed(path, tensors, map[string]string{manifestKey: string(text)}); err != nil {
		return fmt.Errorf("edit file: %w", err)
	}
	return nil
}

// memoryPrefix begins the names of a memory's tensors.
const memoryPrefix = "memory."

// readMemory reads what no editor has opened yet.
func readMemory(f *safetensors.File, h *memoryHeader) (Memory, error) {
	p := Packed{Kind: h.Kind, Info: h.Info}
	if h.Kind == "" {
		return nil, errors.New("manifest: the memory has no kind")
	}
	for _, t := range h.Tensors {
		shape, values, err := readTensor(f, memoryPrefix+t.Name, len(t.Shape))
		if err != nil {
			return nil, err
		}
		if !slices.Equal(shape, t.Shape) {
			return nil, fmt.Errorf("tensor %s%s has shape %v, its header says %v", memoryPrefix, t.Name, shape, t.Shape)
		}
		p.Tensors = append(p.Tensors, PackedTensor{Name: t.Name, Shape: shape, Values: values})
	}
	return packed{p}, nil
}

// tensorName numbers the changes, since a weight may be changed more than once.
func tensorName(i int, weight string) string { return fmt.Sprintf("%d.%s", i, weight) }

func factor(name string, m kernel.Matrix) safetensors.Entry {
	dense := make([]float32, 0, m.Rows*m.Cols)
	for i := range m.Rows {
		dense = append(dense, m.Data[i*m.Stride:i*m.Stride+m.Cols]...)
	}
	return safetensors.Floats(name, []int{m.Rows, m.Cols}, dense, tensorfile.F32)
}

// ReadFile reads an edit file. It wraps ErrNoEdit for another safetensors file.
func ReadFile(path string) (*Kept, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, fmt.Errorf("edit file: %w", err)
	}
	defer f.Close()
	text, ok := f.Metadata()[manifestKey]
	if !ok {
		return nil, fmt.Errorf("%s: %w", path, ErrNoEdit)
	}
	sealed, err := f.CheckSeal(manifestKey)
	if err != nil {
		return nil, fmt.Errorf("edit file: %w", err)
	}
	m, err := parseManifest(text)
	if err != nil {
		return nil, fmt.Errorf("edit file %s: %w", path, err)
	}
	k := &Kept{Path: path, Model: m.Model, Edited: &Edited{Editor: m.Editor, Report: m.Report}}
	for _, r := range m.Requests {
		k.Edited.Requests = append(k.Edited.Requests, Request(r))
	}
	for i, h := range m.Changes {
		c, err := readChange(f, tensorName(i, h.Weight), h)
		if err != nil {
			return nil, fmt.Errorf("edit file %s: %w", path, err)
		}
		k.Edited.Changes = append(k.Edited.Changes, c)
	}
	if m.Memory != nil {
		if k.Edited.Memory, err = readMemory(f, m.Memory); err != nil {
			return nil, fmt.Errorf("edit file %s: %w", path, err)
		}
	}
	if !sealed {
		if err := k.Edited.checkNorm(); err != nil {
			return nil, fmt.Errorf("edit file %s: %w", path, err)
		}
	}
	return k, nil
}

func parseManifest(text string) (*manifest, error) {
	var m manifest
	if err := seal.CheckText([]byte(text)); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	switch {
	case m.Format > FileFormat:
		return nil, fmt.Errorf("it has format %d, this program reads up to %d; use a later keyhole", m.Format, FileFormat)
	case m.Format < 1 || m.Model == "" || m.Editor == "":
		return nil, errors.New("manifest: format, model or editor is missing")
	case len(m.Changes) == 0 && m.Memory == nil && m.Editor != "none":
		return nil, errors.New("manifest: it changes nothing")
	}
	return &m, nil
}

func readChange(f *safetensors.File, name string, h changeHeader) (Change, error) {
	switch h.Kind {
	case "values":
		_, values, err := readTensor(f, name+".values", 1)
		return Change{Weight: h.Weight, Values: values}, err
	case "low_rank":
		us, u, err := readTensor(f, name+".u", 2)
		if err != nil {
			return Change{}, err
		}
		ds, d, err := readTensor(f, name+".d", 2)
		if err != nil {
			return Change{}, err
		}
		if us[0] != ds[0] {
			return Change{}, fmt.Errorf("weight %s: factors of ranks %d and %d", h.Weight, us[0], ds[0])
		}
		if s := float64(h.Scale); math.IsNaN(s) || math.IsInf(s, 0) {
			return Change{}, fmt.Errorf("weight %s: scale %v", h.Weight, h.Scale)
		}
		delta := &nn.Delta{U: kernel.Mat(u, us[0], us[1]), D: kernel.Mat(d, ds[0], ds[1]), Scale: h.Scale}
		rows, err := readRows(f, name, h, us[1], ds[1])
		return Change{Weight: h.Weight, Delta: delta, Rows: rows}, err
	}
	return Change{}, fmt.Errorf("weight %s: a change of kind %q is unknown", h.Weight, h.Kind)
}

// readTensor decodes a tensor of finite numbers with so many dimensions.
func readTensor(f *safetensors.File, name string, dims int) ([]int, []float32, error) {
	t, ok := f.Tensor(name)
	if !ok {
		return nil, nil, fmt.Errorf("tensor %s is missing", name)
	}
	if len(t.Shape) != dims {
		return nil, nil, fmt.Errorf("tensor %s has shape %v; want %d dimensions", name, t.Shape, dims)
	}
	values := make([]float32, t.Elements())
	if err := t.DecodeRows(values, 0, t.Rows()); err != nil {
		return nil, nil, fmt.Errorf("tensor %s: %w", name, err)
	}
	for i, v := range values {
		if x := float64(v); math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, nil, fmt.Errorf("tensor %s: element %d is %v", name, i, v)
		}
	}
	return slices.Clone(t.Shape), values, nil
}

// ListFiles reads the edit files that lie in a folder, by name. Other files are
// passed over.
func ListFiles(dir string) ([]*Kept, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("edits: %w", err)
	}
	var out []*Kept
	for _, d := range entries {
		if d.IsDir() || !strings.HasSuffix(d.Name(), FileExt) || atomicfile.IsTemporary(d.Name()) {
			continue
		}
		k, err := ReadFile(filepath.Join(dir, d.Name()))
		if errors.Is(err, ErrNoEdit) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, nil
}

// Compose makes one edit of several of the same base model, to be applied in
// their order. Low-rank changes of a weight add up, or, if they were solved for,
// are solved for together; new values of a weight leave
// nothing of other changes, so an edit that has them shares the weight with no
// other.
func Compose(list ...*Kept) (*Edited, error) {
	if len(list) == 0 {
		return nil, errors.New("edit: there is nothing to compose")
	}
	out := &Edited{}
	var editors []string
	by := map[string]*Kept{} // the first edit that changes a weight
	for _, k := range list {
		if len(k.Edited.Changes) == 0 && k.Edited.Memory != nil {
			return nil, fmt.Errorf("%s, by %s, is a memory of kind %s and changes no weights, so it has no part in a changed model; give it to generate --edit, or go on with edit --after", k.Path, k.Edited.Editor, k.Edited.Memory.Kind())
		}
		if !lm.OfOneModel(k.Model, list[0].Model) {
			return nil, fmt.Errorf("%s and %s are edits of different base models (%s and %s), so they do not compose", list[0].Path, k.Path, list[0].Model, k.Model)
		}
		for _, c := range k.Edited.Changes {
			first := by[c.Weight]
			if first == nil {
				by[c.Weight] = k
			} else if first != k && (c.Delta == nil || hasValues(first.Edited, c.Weight)) {
				return nil, fmt.Errorf("%s and %s both change %s, and not both by low-rank additions, so one would undo the other; keep one of them", first.Path, k.Path, c.Weight)
			}
		}
		out.Changes = append(out.Changes, k.Edited.Changes...)
		out.Requests = append(out.Requests, k.Edited.Requests...)
		if !slices.Contains(editors, k.Edited.Editor) {
			editors = append(editors, k.Edited.Editor)
		}
	}
	out.Editor = strings.Join(editors, "+")
	var err error
	if out.Changes, err = solveTogether(out.Changes); err != nil {
		return nil, fmt.Errorf("composing %d edits: %w", len(list), err)
	}
	return out, nil
}

func hasValues(e *Edited, weight string) bool {
	return slices.ContainsFunc(e.Changes, func(c Change) bool { return c.Weight == weight && c.Delta == nil })
}
