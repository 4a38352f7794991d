package lm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/internal/nearest"
	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/nn"
)

const generationName = "generation_config.json"

// SaveOptions says how a model is written.
type SaveOptions struct {
	// DType is F32, F16 or BF16; 0 means F32.
	DType tensorfile.DType
	// Overrides are values that stand in for weights, by Hugging Face name, in
	// the order in which the weight is stored.
	Overrides map[string][]float32
	// Overwrite allows a model folder at the place to be replaced.
	Overwrite bool
}

// shardBytes is the size of a file above which weights are written in several,
// as transformers does.
const shardBytes = 5_000_000_000

// Save writes a Hugging Face folder that transformers loads: config.json,
// safetensors, the tokenizer's files and generation_config.json, whole or not
// at all. It refuses a folder that is not empty unless told otherwise, and
// values that are not finite or too large for the type. Weights are converted
// piece by piece and do not become resident.
func (m *Model) Save(dir string, opts SaveOptions) error {
	if opts.DType == 0 {
		opts.DType = tensorfile.F32
	}
	dtype, err := torchName(opts.DType)
	if err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	if err := m.checkOverrides(opts.Overrides); err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	write := atomicfile.WriteDir
	if opts.Overwrite {
		if err := replaceable(dir); err != nil {
			return fmt.Errorf("save model: %w", err)
		}
		write = atomicfile.ReplaceDir
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(dir)), 0o777); err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	err = write(dir, func(dir string) error {
		if err := writeJSON(filepath.Join(dir, configName), settingsFor(m, dtype)); err != nil {
			return err
		}
		if err := m.writeGeneration(dir); err != nil {
			return err
		}
		if m.Tokenizer != nil {
			for name, data := range m.Tokenizer.Files() {
				if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
					return err
				}
			}
		}
		return safetensors.WriteModel(dir, m.entries(opts), map[string]string{"format": "pt"}, shardBytes)
	})
	if err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	return nil
}

func torchName(d tensorfile.DType) (string, error) {
	switch d {
	case tensorfile.F32:
		return "float32", nil
	case tensorfile.F16:
		return "float16", nil
	case tensorfile.BF16:
		return "bfloat16", nil
	}
	return "", fmt.Errorf("weights are written as F32, F16 or BF16, not as %s", d)
}

func (m *Model) checkOverrides(overrides map[string][]float32) error {
	for name, values := range overrides {
		p, ok := m.byName[name]
		if !ok {
			names := make([]string, 0, len(m.params))
			for _, p := range m.params {
				names = append(names, p.Name)
			}
			meant := ""
			if best, ok := nearest.Name(name, names); ok {
				meant = fmt.Sprintf("; did you mean %q?", best)
			}
			return fmt.Errorf("there is no weight %q%s", name, meant)
		}
		if len(values) != p.Len() {
			return fmt.Errorf("weight %s: %d values for shape [%d, %d]", name, len(values), p.Rows, p.Cols)
		}
		if err := finite(values); err != nil {
			return fmt.Errorf("weight %s: %w", name, err)
		}
	}
	return nil
}

// finite names the first value that is NaN or infinite.
func finite(values []float32) error {
	for i, v := range values {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return fmt.Errorf("element %d is %v: %w; nothing is written", i, v, ErrNotFinite)
		}
	}
	return nil
}

// replaceable refuses to delete a folder that doesn't look like a model.
func replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == configName {
			return nil
		}
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not empty and has no %s: it is not replaced, for it may hold something else", dir, configName)
	}
	return nil
}

func (m *Model) writeGeneration(dir string) error {
	const limit = 1 << 20
	from := filepath.Join(m.Path, generationName)
	if info, err := os.Stat(from); m.Path != "" && err == nil && info.Mode().IsRegular() && info.Size() <= limit {
		data, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, generationName), data, 0o666)
	}
	bos, eos := m.endsJSON()
	return writeJSON(filepath.Join(dir, generationName), map[string]any{
		"_from_model_config": true, "bos_token_id": bos, "eos_token_id": eos,
	})
}

func writeJSON(path string, v any) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, b.Bytes(), 0o666)
}

// entries are the weights as they are to be written.
func (m *Model) entries(opts SaveOptions) []safetensors.Entry {
	var out []safetensors.Entry
	for _, p := range m.params {
		shape := m.shapes[p.Name]
		if values, ok := opts.Overrides[p.Name]; ok {
			out = append(out, safetensors.Floats(p.Name, shape, values, opts.DType))
			continue
		}
		out = append(out, safetensors.Rows(p.Name, shape, opts.DType, m.reader(p, len(shape) == 1)))
	}
	return out
}

// reader reads rows of a weight for writing. The elements of a vector are
// rows of a file's tensor, but one row of a Param.
func (m *Model) reader(p *nn.Param, vector bool) func(dst []float32, row, n int) error {
	return func(dst []float32, row, n int) error {
		if vector || m.whole[p] {
			values, err := p.Values()
			if err != nil {
				return err
			}
			copy(dst, values[row*len(dst)/n:])
			return finite(dst)
		}
		for i := range n {
			if err := p.Row(dst[i*p.Cols:(i+1)*p.Cols], row+i); err != nil {
				return err
			}
		}
		return finite(dst)
	}
}
