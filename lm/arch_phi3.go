package lm

import (
	"fmt"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// phi3 is Phi-3 and Phi-4 (Abdin et al. 2024): Llama with q, k and v from one
// layer, and gate and up from another.
type phi3 struct {
	trunk
	blocks   []phi3Weights
	q, k, v  []int32 // columns of the joint projection
	gate, up []int32
	rot      *kernel.Rotation
	c        *Config
}

type phi3Weights struct {
	norm1, norm2 *nn.Norm
	qkv, out     *nn.Linear
	gateUp, down *nn.Linear
	attention    kernel.Attention
}

func newPhi3(c *Config, b *binder) network {
	m := &phi3{c: c}
	m.tokens = b.table("model.embed_tokens.weight", c.Vocab, c.Width)
	inner, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	m.q, m.k, m.v = span(0, inner), span(inner, kv), span(inner+kv, kv)
	m.gate, m.up = span(0, c.FFN), span(c.FFN, c.FFN)
	for i := range c.Layers {
		p := fmt.Sprintf("model.layers.%d.", i)
		w := phi3Weights{attention: c.attention(i)}
		w.norm1 = b.rmsNorm(p+"input_layernorm", c.Width, c)
		w.qkv = b.linear(i, linear{name: p + "self_attn.qkv_proj", role: RoleQKV, in: c.Width, out: inner + 2*kv})
		w.out = b.linear(i, linear{name: p + "self_attn.o_proj", role: RoleOut, in: inner, out: c.Width})
		w.norm2 = b.rmsNorm(p+"post_attention_layernorm", c.Width, c)
		w.gateUp = b.linear(i, linear{name: p + "mlp.gate_up_proj", role: RoleGateUp, in: c.Width, out: 2 * c.FFN})
		w.down = b.linear(i, linear{name: p + "mlp.down_proj", role: RoleDown, in: c.FFN, out: c.Width})
		m.blocks = append(m.blocks, w)
	}
	m.norm, m.rms = b.rmsNorm("model.norm", c.Width, c), true
	m.head = b.head(c, m.tokens, linear{name: "lm_head"})
	m.rot = b.rotation(c)
	return m
}

func phi3Block[T any](o nn.Ops[T], m *phi3, i int, x T, s *nn.Sequences, want *nn.RowSet) T {
	w, c := &m.blocks[i], m.c
	return o.Scope(func() T {
		x := o.Tap(nn.Place{Layer: i, At: nn.BlockIn}, x)
		qkv := o.Linear(w.qkv, o.RMSNorm(w.norm1, x))
		q := o.Rotate(o.Columns(qkv, m.q), c.Heads, m.rot, s)
		k := o.Rotate(o.Columns(qkv, m.k), c.KVHeads, m.rot, s)
		a := o.Attend(i, q, k, o.Columns(qkv, m.v), w.attention, s)
		a = o.Tap(nn.Place{Layer: i, At: nn.AttnOut}, o.Linear(w.out, a))
		x, a = keep(o, want, x, a)
		x = o.Add(x, a)
		h := o.Linear(w.gateUp, o.Tap(nn.Place{Layer: i, At: nn.MLPIn}, o.RMSNorm(w.norm2, x)))
		h = o.Mul(o.Activate(c.Activation, o.Columns(h, m.gate)), o.Columns(h, m.up))
		h = o.Linear(w.down, o.Tap(nn.Place{Layer: i, At: nn.MLPAct}, h))
		h = o.Tap(nn.Place{Layer: i, At: nn.MLPOut}, h)
		return o.Tap(nn.Place{Layer: i, At: nn.BlockOut}, o.Add(x, h))
	})
}

func readPhi3(f *fields, c *Config) {
	readLlamaFamily(f, c)
	c.Rope = f.rope(c.HeadDim, "rope_theta", f.floatOr("partial_rotary_factor", 1))
	c.Window = f.nullableOr("sliding_window", 0)
}

func writePhi3(c *Config) map[string]any {
	return merged(writeLlamaFamily(c), map[string]any{
		"sliding_window": orNull(c.Window), "partial_rotary_factor": decimal(c.Rope.share(c.HeadDim)),
		"original_max_position_embeddings": c.limit(), "resid_pdrop": decimal(0), "embd_pdrop": decimal(0),
		"pad_token_id": nil,
	})
}

func phi3Dialect() *dialect {
	d := llamaDialect("phi3", false)
	d.inner = map[string]string{
		"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
		"self_attn.qkv_proj": "attn_qkv", "self_attn.o_proj": "attn_output",
		"mlp.gate_up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
	}
	return d
}
