package lm

import (
	"fmt"
	"io"

	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/lm/gguf"
	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/nn"
)

// GGUFOptions says how a model is written as GGUF.
type GGUFOptions struct {
	// Changed are the weights, by Hugging Face name, that are written from the
	// model; all others are copied from the base file as they are.
	Changed []string
	// DType is that of the changed weights: F16, BF16, F32 or Q8_0; 0 means F16.
	// A matrix whose rows are no whole blocks is written as F16 in place of Q8_0,
	// a vector keeps the file's type.
	DType tensorfile.DType
}

// SaveGGUF writes a model that was loaded from a GGUF file as another: metadata
// and tokenizer, and every weight that is not changed, byte for byte.
func (m *Model) SaveGGUF(path string, opts GGUFOptions) error {
	base, ok := m.file.(*gguf.File)
	if !ok {
		return fmt.Errorf("save model as GGUF: %s is no GGUF file, whose metadata and tokenizer would be taken over; edit the model's GGUF file, or write a folder (hf) and convert it with llama.cpp's convert_hf_to_gguf.py", m.Path)
	}
	if opts.DType == 0 {
		opts.DType = tensorfile.F16
	}
	changed := map[*tensorfile.Tensor]*nn.Param{}
	for _, name := range opts.Changed {
		p, ok := m.byName[name]
		if !ok {
			return fmt.Errorf("save model as GGUF: there is no weight %q", name)
		}
		changed[m.origins[p].tensor] = p
	}
	entries := make([]gguf.Entry, 0, len(base.Names()))
	for _, name := range base.Names() {
		t, _ := base.Tensor(name)
		if p := changed[t]; p != nil {
			entries = append(entries, m.changedEntry(t, p, opts.DType))
			continue
		}
		entries = append(entries, gguf.Copy(t))
	}
	if err := atomicfile.Write(path, func(w io.Writer) error { return gguf.Write(w, base, entries) }); err != nil {
		return fmt.Errorf("save model as GGUF: %w", err)
	}
	return nil
}

// origin is where a weight came from.
type origin struct {
	tensor *tensorfile.Tensor
	place  place
}

// changedEntry is tensor t of the base file with the values of p, laid out as
// there.
func (m *Model) changedEntry(t *tensorfile.Tensor, p *nn.Param, dtype tensorfile.DType) gguf.Entry {
	if block, _ := dtype.Block(); t.RowElements()%block != 0 {
		dtype = tensorfile.F16
	}
	if len(t.Shape) == 1 {
		dtype = t.DType
	}
	at := m.origins[p].place
	return gguf.Entry{Name: t.Name, DType: dtype, Shape: t.Shape, Write: func(w io.Writer) error {
		values, err := p.Values()
		if err != nil {
			return err
		}
		if err := finite(values); err != nil {
			return err
		}
		rows, width := t.Rows(), t.RowElements()
		ours := make([]int, rows) // our row of the file's
		for i := range ours {
			ours[i] = i
		}
		if at.row != nil {
			for i := range rows {
				ours[at.row(i)] = i
			}
		}
		row := make([]float32, width)
		var raw []byte
		for i := range rows {
			for j := range row {
				if at.transposed {
					row[j] = values[j*rows+i] + at.less
				} else {
					row[j] = values[ours[i]*width+j] + at.less
				}
			}
			if raw, err = tensorfile.Encode(raw[:0], row, dtype); err != nil {
				return err
			}
			if _, err := w.Write(raw); err != nil {
				return err
			}
		}
		return nil
	}}
}

// IsGGUF reports whether the model was loaded from a GGUF file, which SaveGGUF
// needs.
func (m *Model) IsGGUF() bool {
	_, ok := m.file.(*gguf.File)
	return ok
}
