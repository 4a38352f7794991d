package saved

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/lm/tensorfile"
)

// The files of an adapter of Hugging Face's peft.
const (
	adapterConfig  = "adapter_config.json"
	adapterWeights = "adapter_model.safetensors"
)

// adapter is an addition B·A to a weight [out, in]. a: [rank, in]; b: [out, rank].
type adapter struct{ a, b kernel.Matrix }

// writeAdapter writes an edit as a LoRA adapter that peft loads over the base
// model: W + (alpha/rank)·B·A with alpha the rank. Low-rank additions to one
// weight are joined; a weight with values of its own becomes an addition of the
// rank of its smaller side, with the identity as the other factor.
func writeAdapter(dir, base string, m *lm.Model, e *edit.Edited, dtype tensorfile.DType) error {
	found := map[string]*adapter{}
	var order []string
	inOut := false
	for _, c := range e.Changes {
		l, ok := m.Linear(c.Weight)
		if !ok {
			return fmt.Errorf("%s is no linear layer of a block, and an adapter holds changes of those alone", c.Weight)
		}
		inOut = l.InOut
		part, err := adapterOf(m, c, l.In, l.Out, l.InOut)
		if err != nil {
			return err
		}
		if found[c.Weight] == nil {
			found[c.Weight] = part
			order = append(order, c.Weight)
			continue
		}
		found[c.Weight] = joined(found[c.Weight], part)
	}
	if len(order) == 0 {
		return fmt.Errorf("editor %s changed no weights, so that there is no adapter to write", e.Editor)
	}
	var entries []safetensors.Entry
	modules, ranks := []string{}, map[string]int{}
	most := 0
	for _, weight := range order {
		module, a := strings.TrimSuffix(weight, ".weight"), found[weight]
		modules, ranks[module] = append(modules, module), a.a.Rows
		most = max(most, a.a.Rows)
		prefix := "base_model.model." + module
		entries = append(entries,
			safetensors.Floats(prefix+".lora_A.weight", []int{a.a.Rows, a.a.Cols}, a.a.Data, dtype),
			safetensors.Floats(prefix+".lora_B.weight", []int{a.b.Rows, a.b.Cols}, a.b.Data, dtype))
	}
	config, err := json.MarshalIndent(map[string]any{
		"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base, "inference_mode": true,
		"r": most, "lora_alpha": most, "lora_dropout": 0.0, "bias": "none", "fan_in_fan_out": inOut,
		"target_modules": modules, "rank_pattern": ranks, "alpha_pattern": ranks, "modules_to_save": nil,
		"init_lora_weights": true, "use_rslora": false, "use_dora": false,
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, adapterConfig), append(config, '\n'), 0o666); err != nil {
		return err
	}
	return safetensors.Write(filepath.Join(dir, adapterWeights), entries, map[string]string{"format": "pt"})
}

// adapterOf makes the factors of one change to a layer of in inputs and out
// outputs.
func adapterOf(m *lm.Model, c edit.Change, in, out int, inOut bool) (*adapter, error) {
	if d := c.Delta; d != nil { // W += Scale·Dᵀ·U
		rank := d.U.Rows
		a, b := zeros(rank, in), zeros(out, rank)
		for r := range rank {
			copy(a.Data[r*in:(r+1)*in], d.U.Data[r*d.U.Stride:])
			for j := range out {
				b.Data[j*rank+r] = d.Scale * d.D.Data[r*d.D.Stride+j]
			}
		}
		return &adapter{a, b}, nil
	}
	p, ok := m.Param(c.Weight)
	if !ok {
		return nil, fmt.Errorf("there is no weight %s", c.Weight)
	}
	before, err := p.Values()
	if err != nil {
		return nil, err
	}
	diff := zeros(out, in)
	for j := range out {
		for i := range in {
			at := j*in + i
			if inOut {
				at = i*out + j
			}
			diff.Data[j*in+i] = c.Values[at] - before[at]
		}
	}
	if in <= out {
		return &adapter{identity(in), diff}, nil
	}
	return &adapter{diff, identity(out)}, nil
}

func zeros(rows, cols int) kernel.Matrix { return kernel.Mat(make([]float32, rows*cols), rows, cols) }

func identity(n int) kernel.Matrix {
	m := zeros(n, n)
	for i := range n {
		m.Data[i*n+i] = 1
	}
	return m
}

// joined adds two additions: their factors side by side.
func joined(x, y *adapter) *adapter {
	rank, out := x.a.Rows+y.a.Rows, x.b.Rows
	b := zeros(out, rank)
	for j := range out {
		copy(b.Data[j*rank:], x.b.Data[j*x.b.Cols:(j+1)*x.b.Cols])
		copy(b.Data[j*rank+x.b.Cols:], y.b.Data[j*y.b.Cols:(j+1)*y.b.Cols])
	}
	return &adapter{kernel.Mat(slices.Concat(x.a.Data, y.a.Data), rank, x.a.Cols), b}
}
