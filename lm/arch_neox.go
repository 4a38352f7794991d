package lm

import (
	"fmt"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// neox is GPT-NeoX (Black et al. 2022; Pythia): attention and MLP in parallel
// with a norm each, or one after the other; partial rotary positions; q, k and
// v from one layer whose rows are [heads, 3, HeadDim].
type neox struct {
	trunk
	blocks  []neoxWeights
	q, k, v []int32 // columns of the joint projection
	rot     *kernel.Rotation
	c       *Config
}

type neoxWeights struct {
	norm1, norm2       *nn.Norm
	qkv, out, up, down *nn.Linear
	attention          kernel.Attention
}

func newNeoX(c *Config, b *binder) network {
	m := &neox{c: c}
	for head := range c.Heads {
		at := head * 3 * c.HeadDim
		m.q = append(m.q, span(at, c.HeadDim)...)
		m.k = append(m.k, span(at+c.HeadDim, c.HeadDim)...)
		m.v = append(m.v, span(at+2*c.HeadDim, c.HeadDim)...)
	}
	m.tokens = b.table("gpt_neox.embed_in.weight", c.Vocab, c.Width)
	for i := range c.Layers {
		p := fmt.Sprintf("gpt_neox.layers.%d.", i)
		w := neoxWeights{attention: c.attention(i)}
		w.norm1 = b.layerNorm(p+"input_layernorm", c)
		w.norm2 = b.layerNorm(p+"post_attention_layernorm", c)
		w.qkv = b.linear(i, linear{name: p + "attention.query_key_value", role: RoleQKV, in: c.Width, out: 3 * c.Width, bias: c.QKVBias})
		w.out = b.linear(i, linear{name: p + "attention.dense", role: RoleOut, in: c.Width, out: c.Width, bias: c.OutBias})
		w.up = b.linear(i, linear{name: p + "mlp.dense_h_to_4h", role: RoleUp, in: c.Width, out: c.FFN, bias: true})
		w.down = b.linear(i, linear{name: p + "mlp.dense_4h_to_h", role: RoleDown, in: c.FFN, out: c.Width, bias: true})
		m.blocks = append(m.blocks, w)
	}
	m.norm = b.layerNorm("gpt_neox.final_layer_norm", c)
	m.head = b.head(c, m.tokens, linear{name: "embed_out"})
	m.rot = b.rotation(c)
	return m
}

func neoxBlock[T any](o nn.Ops[T], m *neox, i int, x T, s *nn.Sequences, want *nn.RowSet) T {
	w, c := &m.blocks[i], m.c
	return o.Scope(func() T {
		x := o.Tap(nn.Place{Layer: i, At: nn.BlockIn}, x)
		qkv := o.Linear(w.qkv, o.LayerNorm(w.norm1, x))
		q := o.Rotate(o.Columns(qkv, m.q), c.Heads, m.rot, s)
		k := o.Rotate(o.Columns(qkv, m.k), c.Heads, m.rot, s)
		a := o.Attend(i, q, k, o.Columns(qkv, m.v), w.attention, s)
		a = o.Tap(nn.Place{Layer: i, At: nn.AttnOut}, o.Linear(w.out, a))
		x, a = keep(o, want, x, a)
		if c.Parallel {
			h := plainMLP(o, i, c.Activation, w.up, w.down, o.LayerNorm(w.norm2, x))
			return o.Tap(nn.Place{Layer: i, At: nn.BlockOut}, o.Add(o.Add(h, a), x))
		}
		x = o.Add(a, x)
		h := plainMLP(o, i, c.Activation, w.up, w.down, o.LayerNorm(w.norm2, x))
		return o.Tap(nn.Place{Layer: i, At: nn.BlockOut}, o.Add(h, x))
	})
}

func readNeoX(f *fields, c *Config) {
	c.Layers = f.int("num_hidden_layers")
	c.Width = f.int("hidden_size")
	c.Heads = f.int("num_attention_heads")
	c.Vocab = f.int("vocab_size")
	c.Context = f.int("max_position_embeddings")
	c.FFN = f.int("intermediate_size")
	c.Eps = f.floatOr("layer_norm_eps", 1e-5)
	c.Activation = f.activation("hidden_act", "gelu")
	c.Tied = f.boolOr("tie_word_embeddings", false)
	c.Parallel = f.boolOr("use_parallel_residual", true)
	c.QKVBias = f.boolOr("attention_bias", true)
	c.OutBias, c.MLPBias = c.QKVBias, true
	c.wholeHeads(f)
	c.Rope = f.rope(c.HeadDim, "rotary_emb_base", f.floatOr("rotary_pct", 0.25))
}

func writeNeoX(c *Config) map[string]any {
	return map[string]any{
		"num_hidden_layers": c.Layers, "hidden_size": c.Width, "num_attention_heads": c.Heads,
		"vocab_size": c.Vocab, "max_position_embeddings": c.Context, "intermediate_size": c.FFN,
		"layer_norm_eps": decimal(c.Eps), "hidden_act": c.Activation.String(), "use_parallel_residual": c.Parallel,
		"attention_bias": c.QKVBias, "rotary_emb_base": decimal(c.Rope.Base),
		"rotary_pct": decimal(c.Rope.share(c.HeadDim)), "rope_scaling": c.Rope.scalingJSON(),
		"attention_dropout": decimal(0), "hidden_dropout": decimal(0),
	}
}

// neoxDialect: llama.cpp keeps the joint projection as all q, all k, all v.
func neoxDialect() *dialect {
	return &dialect{
		name: "gptneox", activation: kernel.GELU,
		names: map[string]string{
			"gpt_neox.embed_in": "token_embd", "gpt_neox.final_layer_norm": "output_norm", "embed_out": "output",
		},
		blocks: "gpt_neox.layers.",
		inner: map[string]string{
			"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
			"attention.query_key_value": "attn_qkv", "attention.dense": "attn_output",
			"mlp.dense_h_to_4h": "ffn_up", "mlp.dense_4h_to_h": "ffn_down",
		},
		row: func(c *Config, inner string) func(int) int {
			if inner != "attention.query_key_value" {
				return nil
			}
			hd := c.HeadDim
			return func(row int) int {
				head, part, at := row/(3*hd), row/hd%3, row%hd
				return part*c.Width + head*hd + at
			}
		},
	}
}
