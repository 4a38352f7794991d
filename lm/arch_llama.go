package lm

import (
	"fmt"
	"strings"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// llama is the Llama family (Touvron et al. 2023; Mistral, Qwen2, SmolLM2):
// RMS norms before, rotary positions, grouped queries, a gated MLP.
type llama struct {
	trunk
	blocks []llamaWeights
	c      *Config
}

type llamaWeights struct {
	norm1, norm2   *nn.Norm
	gate, up, down *nn.Linear
	llamaAttention
}

// llamaAttention is grouped queries with rotary positions and, where there are
// such, norms of the query and key heads.
type llamaAttention struct {
	q, k, v, out *nn.Linear
	qNorm, kNorm *nn.Norm         // nil: none
	rot          *kernel.Rotation // nil: no positions
	shape        kernel.Attention
}

// newLlamaAttention binds the attention of block i; its rotation comes last.
func newLlamaAttention(c *Config, b *binder, i int, p string) llamaAttention {
	inner, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	a := llamaAttention{shape: c.attention(i)}
	a.q = b.linear(i, linear{name: p + "q_proj", role: RoleQ, in: c.Width, out: inner, bias: c.QKVBias})
	a.k = b.linear(i, linear{name: p + "k_proj", role: RoleK, in: c.Width, out: kv, bias: c.QKVBias})
	a.v = b.linear(i, linear{name: p + "v_proj", role: RoleV, in: c.Width, out: kv, bias: c.QKVBias})
	a.out = b.linear(i, linear{name: p + "o_proj", role: RoleOut, in: inner, out: c.Width, bias: c.OutBias})
	return a
}

// attend is the output of block i's attention for h [rows, Width], already
// normalised.
func attend[T any](o nn.Ops[T], w *llamaAttention, i int, h T, s *nn.Sequences) T {
	turned := func(l *nn.Linear, norm *nn.Norm, heads int) T {
		x := o.Linear(l, h)
		if norm != nil {
			x = o.RMSNorm(norm, x)
		}
		if w.rot != nil {
			x = o.Rotate(x, heads, w.rot, s)
		}
		return x
	}
	q, k := turned(w.q, w.qNorm, w.shape.Heads), turned(w.k, w.kNorm, w.shape.KVHeads)
	a := o.Attend(i, q, k, o.Linear(w.v, h), w.shape, s)
	return o.Tap(nn.Place{Layer: i, At: nn.AttnOut}, o.Linear(w.out, a))
}

// gatedMLP is down(act(gate(h))·up(h)) for h [rows, Width], already normalised.
func gatedMLP[T any](o nn.Ops[T], i int, act kernel.Activation, gate, up, down *nn.Linear, h T) T {
	h = o.Tap(nn.Place{Layer: i, At: nn.MLPIn}, h)
	h = o.Mul(o.Activate(act, o.Linear(gate, h)), o.Linear(up, h))
	h = o.Linear(down, o.Tap(nn.Place{Layer: i, At: nn.MLPAct}, h))
	return o.Tap(nn.Place{Layer: i, At: nn.MLPOut}, h)
}

func newLlama(c *Config, b *binder) network {
	m := &llama{c: c}
	m.tokens = b.table("model.embed_tokens.weight", c.Vocab, c.Width)
	for i := range c.Layers {
		p := fmt.Sprintf("model.layers.%d.", i)
		var w llamaWeights
		w.norm1 = b.rmsNorm(p+"input_layernorm", c.Width, c)
		w.llamaAttention = newLlamaAttention(c, b, i, p+"self_attn.")
		if c.QKNorm {
			w.qNorm, w.kNorm = b.rmsNorm(p+"self_attn.q_norm", c.HeadDim, c), b.rmsNorm(p+"self_attn.k_norm", c.HeadDim, c)
		}
		w.norm2 = b.rmsNorm(p+"post_attention_layernorm", c.Width, c)
		w.gate = b.linear(i, linear{name: p + "mlp.gate_proj", role: RoleGate, in: c.Width, out: c.FFN, bias: c.MLPBias})
		w.up = b.linear(i, linear{name: p + "mlp.up_proj", role: RoleUp, in: c.Width, out: c.FFN, bias: c.MLPBias})
		w.down = b.linear(i, linear{name: p + "mlp.down_proj", role: RoleDown, in: c.FFN, out: c.Width, bias: c.MLPBias})
		m.blocks = append(m.blocks, w)
	}
	m.norm, m.rms = b.rmsNorm("model.norm", c.Width, c), true
	m.head = b.head(c, m.tokens, linear{name: "lm_head"})
	rot := b.rotation(c)
	for i := range m.blocks {
		if c.NoRope == nil || !c.NoRope[i] {
			m.blocks[i].rot = rot
		}
	}
	return m
}

func llamaBlock[T any](o nn.Ops[T], m *llama, i int, x T, s *nn.Sequences, want *nn.RowSet) T {
	w := &m.blocks[i]
	return o.Scope(func() T {
		x := o.Tap(nn.Place{Layer: i, At: nn.BlockIn}, x)
		x, a := keep(o, want, x, attend(o, &w.llamaAttention, i, o.RMSNorm(w.norm1, x), s))
		x = o.Add(x, a)
		h := gatedMLP(o, i, m.c.Activation, w.gate, w.up, w.down, o.RMSNorm(w.norm2, x))
		return o.Tap(nn.Place{Layer: i, At: nn.BlockOut}, o.Add(x, h))
	})
}

func readLlama(f *fields, c *Config) {
	readLlamaFamily(f, c)
	c.QKVBias = f.boolOr("attention_bias", false)
	c.OutBias = c.QKVBias
	c.MLPBias = f.boolOr("mlp_bias", false)
}

func readMistral(f *fields, c *Config) {
	readLlamaFamily(f, c)
	c.Window = f.nullableOr("sliding_window", 4096) // a missing key means this, null means none
}

func readQwen2(f *fields, c *Config) {
	readLlamaFamily(f, c)
	c.QKVBias = true
	if f.boolOr("use_sliding_window", false) {
		c.Window = f.nullableOr("sliding_window", 4096)
		c.WindowFrom = f.intOr("max_window_layers", 28)
	}
}

func readLlamaFamily(f *fields, c *Config) {
	c.Layers = f.int("num_hidden_layers")
	c.Width = f.int("hidden_size")
	c.Heads = f.int("num_attention_heads")
	c.KVHeads = f.intOr("num_key_value_heads", c.Heads)
	c.Vocab = f.int("vocab_size")
	c.Context = f.intOr("max_position_embeddings", 2048)
	c.FFN = f.int("intermediate_size")
	c.Eps = f.floatOr("rms_norm_eps", 1e-6)
	c.Activation = f.activation("hidden_act", "silu")
	c.Tied = f.boolOr("tie_word_embeddings", false)
	c.HeadDim = f.intOr("head_dim", c.HeadDim)
	c.wholeHeads(f)
	c.Rope = f.rope(c.HeadDim, "rope_theta", 1)
}

func writeLlama(c *Config) map[string]any {
	return merged(writeLlamaFamily(c), map[string]any{"attention_bias": c.QKVBias, "mlp_bias": c.MLPBias, "pretraining_tp": 1})
}

func writeMistral(c *Config) map[string]any {
	return merged(writeLlamaFamily(c), map[string]any{"sliding_window": orNull(c.Window)})
}

func writeQwen2(c *Config) map[string]any {
	return merged(writeLlamaFamily(c), map[string]any{
		"use_sliding_window": c.Window > 0, "sliding_window": orNull(c.Window), "max_window_layers": c.WindowFrom,
	})
}

func writeLlamaFamily(c *Config) map[string]any {
	out := map[string]any{
		"num_hidden_layers": c.Layers, "hidden_size": c.Width, "num_attention_heads": c.Heads,
		"num_key_value_heads": c.KVHeads, "vocab_size": c.Vocab, "max_position_embeddings": c.Context,
		"intermediate_size": c.FFN, "rms_norm_eps": decimal(c.Eps), "hidden_act": c.Activation.String(),
		"rope_theta": decimal(c.Rope.Base), "rope_scaling": c.Rope.scalingJSON(), "attention_dropout": decimal(0),
	}
	if c.HeadDim*c.Heads != c.Width {
		out["head_dim"] = c.HeadDim
	}
	return out
}

// llamaDialect: the rows of q and k lie so that rotary pairs are neighbours,
// (2i, 2i+1), where transformers has (i, i+HeadDim/2), if pairs is set.
func llamaDialect(name string, pairs bool) *dialect {
	d := &dialect{
		name: name, activation: kernel.SiLU, rms: true,
		names: map[string]string{
			"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
		},
		blocks: "model.layers.",
		inner: map[string]string{
			"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
			"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
			"self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
			"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
		},
	}
	if pairs {
		d.row = func(c *Config, inner string) func(int) int {
			if !strings.HasSuffix(inner, "q_proj") && !strings.HasSuffix(inner, "k_proj") {
				return nil
			}
			hd, half := c.HeadDim, c.HeadDim/2
			return func(row int) int {
				head, at := row/hd, row%hd
				return head*hd + at%half*2 + at/half
			}
		}
	}
	return d
}
