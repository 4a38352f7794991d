package workbenchtest

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/embedded"
)

// GGUF writes the embedded model as a GGUF file, of F32 tensors, as llama.cpp's
// converter does, and gives its path.
func GGUF(t testing.TB) string {
	t.Helper()
	m, err := embedded.Model()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	w := &ggufWriter{}
	w.text("general.architecture", "gpt2")
	w.text("tokenizer.ggml.model", "gpt2")
	w.text("tokenizer.ggml.pre", "gpt-2")
	c := m.Config
	for key, v := range map[string]int{
		"block_count": c.Layers, "embedding_length": c.Width, "feed_forward_length": c.FFN,
		"attention.head_count": c.Heads, "context_length": c.Context,
	} {
		w.number("gpt2."+key, uint32(v))
	}
	w.key("gpt2.attention.layer_norm_epsilon", 6)
	w.u32(math.Float32bits(float32(c.Eps)))
	var file struct {
		Model struct {
			Vocab  map[string]int
			Merges []json.RawMessage
		}
		Added []struct {
			ID      int
			Content string
		} `json:"added_tokens"`
	}
	if err := json.Unmarshal(m.Tokenizer.Files()["tokenizer.json"], &file); err != nil {
		t.Fatal(err)
	}
	tokens, types := make([]string, c.Vocab), make([]uint32, c.Vocab)
	for text, id := range file.Model.Vocab {
		tokens[id], types[id] = text, 1
	}
	for _, a := range file.Added {
		tokens[a.ID], types[a.ID] = a.Content, 3
		w.number("tokenizer.ggml.bos_token_id", uint32(a.ID))
		w.number("tokenizer.ggml.eos_token_id", uint32(a.ID))
	}
	w.texts("tokenizer.ggml.tokens", tokens)
	w.list("tokenizer.ggml.token_type", 5, len(types))
	for _, v := range types {
		w.u32(v)
	}
	var merges []string
	for _, raw := range file.Model.Merges {
		var pair []string
		var text string
		if json.Unmarshal(raw, &text) != nil {
			if err := json.Unmarshal(raw, &pair); err != nil {
				t.Fatal(err)
			}
			text = strings.Join(pair, " ")
		}
		merges = append(merges, text)
	}
	w.texts("tokenizer.ggml.merges", merges)
	names := strings.NewReplacer("transformer.wte", "token_embd", "transformer.wpe", "position_embd", "transformer.ln_f", "output_norm",
		"transformer.h.", "blk.", "ln_1", "attn_norm", "attn.c_attn", "attn_qkv", "attn.c_proj", "attn_output",
		"ln_2", "ffn_norm", "mlp.c_fc", "ffn_up", "mlp.c_proj", "ffn_down")
	for _, p := range m.Params() {
		values, err := p.Values()
		if err != nil {
			t.Fatal(err)
		}
		shape := []int{p.Rows, p.Cols} // as they are stored
		if l, ok := m.Linear(p.Name); ok && l.InOut {
			values, shape = transposed(values, p.Rows, p.Cols), []int{p.Cols, p.Rows}
		} else if p.Rows == 1 {
			shape = []int{p.Cols}
		}
		w.tensor(names.Replace(p.Name), shape, values)
	}
	path := filepath.Join(t.TempDir(), "embedded.gguf")
	if err := os.WriteFile(path, w.bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// transposed is a matrix [rows, cols] as [cols, rows].
func transposed(v []float32, rows, cols int) []float32 {
	out := make([]float32, 0, len(v))
	for c := range cols {
		for r := range rows {
			out = append(out, v[r*cols+c])
		}
	}
	return out
}

// ggufWriter puts a GGUF file of version 3 together.
type ggufWriter struct {
	meta, infos, data []byte
	pairs, tensors    uint64
}

func ggufText(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// key begins a value of a kind: 4 is a number, 5 a signed one, 6 a fraction, 8 a
// text, 9 a list.
func (w *ggufWriter) key(key string, kind uint32) {
	w.pairs++
	w.meta = ggufText(w.meta, key)
	w.u32(kind)
}

func (w *ggufWriter) u32(v uint32) { w.meta = binary.LittleEndian.AppendUint32(w.meta, v) }

func (w *ggufWriter) number(key string, v uint32) {
	w.key(key, 4)
	w.u32(v)
}

func (w *ggufWriter) text(key, v string) {
	w.key(key, 8)
	w.meta = ggufText(w.meta, v)
}

func (w *ggufWriter) list(key string, kind uint32, n int) {
	w.key(key, 9)
	w.u32(kind)
	w.meta = binary.LittleEndian.AppendUint64(w.meta, uint64(n))
}

func (w *ggufWriter) texts(key string, list []string) {
	w.list(key, 8, len(list))
	for _, s := range list {
		w.meta = ggufText(w.meta, s)
	}
}

// tensor adds an F32 tensor, its shape with the outermost dimension first.
func (w *ggufWriter) tensor(name string, shape []int, values []float32) {
	w.tensors++
	w.infos = binary.LittleEndian.AppendUint32(ggufText(w.infos, name), uint32(len(shape)))
	for _, n := range slices.Backward(shape) {
		w.infos = binary.LittleEndian.AppendUint64(w.infos, uint64(n))
	}
	w.infos = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(w.infos, 0), uint64(len(w.data)))
	for _, v := range values {
		w.data = binary.LittleEndian.AppendUint32(w.data, math.Float32bits(v))
	}
	w.data = padded(w.data)
}

func padded(b []byte) []byte { return append(b, make([]byte, (32-len(b)%32)%32)...) }

func (w *ggufWriter) bytes() []byte {
	out := binary.LittleEndian.AppendUint32([]byte("GGUF"), 3)
	out = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(out, w.tensors), w.pairs)
	return append(padded(append(append(out, w.meta...), w.infos...)), w.data...)
}
