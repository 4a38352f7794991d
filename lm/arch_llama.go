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
	rot    *kernel.Rotation
	c      *Config
}

type llamaWeights struct {
	norm1, norm2   *nn.Norm
	q, k, v, out   *nn.Linear
	gate, up, down *nn.Linear
	attention      kernel.Attention
}

func newLlama(c *Config, b *binder) network {
	m := &llama{c: c}
	m.tokens = b.table("model.embed_tokens.weight", c.Vocab, c.Width)
	inner, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	for i := range c.Layers {
		p := fmt.Sprintf("model.layers.%d.", i)
		w := llamaWeights{attention: c.attention(i)}
		w.norm1 = b.rmsNorm(p+"input_layernorm", c)
		w.q = b.linear(i, linear{name: p + "self_attn.q_proj", role: RoleQ, in: c.Width, out: inner, bias: c.QKVBias})
		w.k = b.linear(i, linear{name: p + "self_attn.k_proj", role: RoleK, in: c.Width, out: kv, bias: c.QKVBias})
		w.v = b.linear(i, linear{name: p + "self_attn.v_proj", role: RoleV, in: c.Width, out: kv, bias: c.QKVBias})
		w.out = b.linear(i, linear{name: p + "self_attn.o_proj", role: RoleOut, in: inner, out: c.Width, bias: c.OutBias})
		w.norm2 = b.rmsNorm(p+"post_attention_layernorm", c)
		w.gate = b.linear(i, linear{name: p + "mlp.gate_proj", role: RoleGate, in: c.Width, out: c.FFN, bias: c.MLPBias})
		w.up = b.linear(i, linear{name: p + "mlp.up_proj", role: RoleUp, in: c.Width, out: c.FFN, bias: c.MLPBias})
		w.down = b.linear(i, linear{name: p + "mlp.down_proj", role: RoleDown, in: c.FFN, out: c.Width, bias: c.MLPBias})
		m.blocks = append(m.blocks, w)
	}
	m.norm, m.rms = b.rmsNorm("model.norm", c), true
	m.head = b.head(c, m.tokens, linear{name: "lm_head"})
	m.rot = b.rotation(c)
	return m
}

func llamaBlock[T any](o nn.Ops[T], m *llama, i int, x T, s *nn.Sequences, want *nn.RowSet) T {
	w, c := &m.blocks[i], m.c
	return o.Scope(func() T {
		x := o.Tap(nn.Place{Layer: i, At: nn.BlockIn}, x)
		h := o.RMSNorm(w.norm1, x)
		q := o.Rotate(o.Linear(w.q, h), c.Heads, m.rot, s)
		k := o.Rotate(o.Linear(w.k, h), c.KVHeads, m.rot, s)
		a := o.Attend(i, q, k, o.Linear(w.v, h), w.attention, s)
		a = o.Tap(nn.Place{Layer: i, At: nn.AttnOut}, o.Linear(w.out, a))
		x, a = keep(o, want, x, a)
		x = o.Add(x, a)
		h = o.Tap(nn.Place{Layer: i, At: nn.MLPIn}, o.RMSNorm(w.norm2, x))
		h = o.Mul(o.Activate(c.Activation, o.Linear(w.gate, h)), o.Linear(w.up, h))
		h = o.Linear(w.down, o.Tap(nn.Place{Layer: i, At: nn.MLPAct}, h))
		h = o.Tap(nn.Place{Layer: i, At: nn.MLPOut}, h)
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
	c.HeadDim = f.intOr("head_dim", 0)
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
