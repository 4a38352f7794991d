package lm

import (
	"fmt"
	"math"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// gpt2 is GPT-2 (Radford et al. 2019): norms before, learned positions, q, k
// and v from one layer, linear weights stored [in, out].
type gpt2 struct {
	trunk
	blocks  []gpt2Weights
	q, k, v []int32 // columns of the joint projection
	act     kernel.Activation
}

type gpt2Weights struct {
	ln1, ln2           *nn.Norm
	qkv, out, up, down *nn.Linear
	attention          kernel.Attention
}

func newGPT2(c *Config, b *binder) network {
	m := &gpt2{act: c.Activation}
	m.tokens = b.table("transformer.wte.weight", c.Vocab, c.Width)
	m.positions = b.table("transformer.wpe.weight", c.Context, c.Width)
	m.q, m.k, m.v = span(0, c.Width), span(c.Width, c.Width), span(2*c.Width, c.Width)
	for i := range c.Layers {
		p := fmt.Sprintf("transformer.h.%d.", i)
		w := gpt2Weights{attention: c.attention(i)}
		if c.ScaleByLayer {
			w.attention.Scale /= float32(i + 1)
		}
		w.ln1 = b.layerNorm(p+"ln_1", c)
		w.qkv = b.linear(i, linear{name: p + "attn.c_attn", role: RoleQKV, in: c.Width, out: 3 * c.Width, bias: true, inOut: true})
		w.out = b.linear(i, linear{name: p + "attn.c_proj", role: RoleOut, in: c.Width, out: c.Width, bias: true, inOut: true})
		w.ln2 = b.layerNorm(p+"ln_2", c)
		w.up = b.linear(i, linear{name: p + "mlp.c_fc", role: RoleUp, in: c.Width, out: c.FFN, bias: true, inOut: true})
		w.down = b.linear(i, linear{name: p + "mlp.c_proj", role: RoleDown, in: c.FFN, out: c.Width, bias: true, inOut: true})
		m.blocks = append(m.blocks, w)
	}
	m.norm = b.layerNorm("transformer.ln_f", c)
	m.head = b.head(c, m.tokens, linear{name: "lm_head"})
	return m
}

func gpt2Block[T any](o nn.Ops[T], m *gpt2, i int, x T, s *nn.Sequences, want *nn.RowSet) T {
	w := &m.blocks[i]
	return o.Scope(func() T {
		x := o.Tap(nn.Place{Layer: i, At: nn.BlockIn}, x)
		qkv := o.Linear(w.qkv, o.LayerNorm(w.ln1, x))
		a := o.Attend(i, o.Columns(qkv, m.q), o.Columns(qkv, m.k), o.Columns(qkv, m.v), w.attention, s)
		a = o.Tap(nn.Place{Layer: i, At: nn.AttnOut}, o.Linear(w.out, a))
		x, a = keep(o, want, x, a)
		x = o.Add(x, a)
		h := plainMLP(o, i, m.act, w.up, w.down, o.LayerNorm(w.ln2, x))
		return o.Tap(nn.Place{Layer: i, At: nn.BlockOut}, o.Add(x, h))
	})
}

func readGPT2(f *fields, c *Config) {
	c.Layers = f.int("n_layer")
	c.Width = f.int("n_embd")
	c.Heads = f.int("n_head")
	c.Vocab = f.int("vocab_size")
	c.Context = f.int("n_positions")
	c.FFN = f.intOr("n_inner", 4*c.Width)
	c.Eps = f.floatOr("layer_norm_epsilon", 1e-5)
	c.Activation = f.activation("activation_function", "gelu_new")
	c.Tied = f.boolOr("tie_word_embeddings", true)
	c.ScaleByLayer = f.boolOr("scale_attn_by_inverse_layer_idx", false)
	f.mustBe("scale_attn_weights", true)
	f.mustBe("add_cross_attention", false)
	c.wholeHeads(f)
	c.QKVBias, c.OutBias, c.MLPBias = true, true, true
}

func writeGPT2(c *Config) map[string]any {
	return map[string]any{
		"n_layer": c.Layers, "n_embd": c.Width, "n_head": c.Heads, "vocab_size": c.Vocab,
		"n_positions": c.Context, "n_ctx": c.Context, "n_inner": c.FFN, "layer_norm_epsilon": decimal(c.Eps),
		"activation_function": c.Activation.String(), "scale_attn_weights": true,
		"scale_attn_by_inverse_layer_idx": c.ScaleByLayer, "reorder_and_upcast_attn": false,
		"attn_pdrop": decimal(0), "embd_pdrop": decimal(0), "resid_pdrop": decimal(0),
	}
}

// gpt2Dialect: llama.cpp keeps GPT-2's linear weights [out, in].
func gpt2Dialect() *dialect {
	return &dialect{
		name: "gpt2", activation: kernel.GELUTanh, transposed: true, learned: true,
		names: map[string]string{
			"transformer.wte": "token_embd", "transformer.wpe": "position_embd",
			"transformer.ln_f": "output_norm", "lm_head": "output",
		},
		blocks: "transformer.h.",
		inner: map[string]string{
			"ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
			"ln_2": "ffn_norm", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down",
		},
	}
}

// span is n consecutive column numbers.
func span(from, n int) []int32 {
	s := make([]int32, n)
	for i := range s {
		s[i] = int32(from + i)
	}
	return s
}

// slides says whether block i has the window.
func (c *Config) slides(i int) bool {
	if c.Sliding != nil {
		return c.Sliding[i]
	}
	return i >= c.WindowFrom
}

// attention is the shape of attention in block i.
func (c *Config) attention(i int) kernel.Attention {
	a := kernel.Attention{Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim, Scale: float32(1 / math.Sqrt(float64(c.HeadDim))), Cap: float32(c.AttnCap)}
	if c.AttnScale > 0 {
		a.Scale = float32(c.AttnScale)
	}
	if c.slides(i) {
		a.Window = c.Window
	}
	return a
}
