package lm

import (
	"fmt"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// phi is Phi-1 to Phi-2 (Li et al. 2023): wired like GPT-J, with biases
// everywhere and half-split partial rotary positions.
type phi struct {
	trunk
	blocks []parallelWeights
	rot    *kernel.Rotation
	c      *Config
}

func newPhi(c *Config, b *binder) network {
	m := &phi{c: c}
	m.tokens = b.table("model.embed_tokens.weight", c.Vocab, c.Width)
	inner, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	for i := range c.Layers {
		p := fmt.Sprintf("model.layers.%d.", i)
		w := parallelWeights{attention: c.attention(i)}
		w.norm = b.layerNorm(p+"input_layernorm", c)
		w.q = b.linear(i, linear{name: p + "self_attn.q_proj", role: RoleQ, in: c.Width, out: inner, bias: true})
		w.k = b.linear(i, linear{name: p + "self_attn.k_proj", role: RoleK, in: c.Width, out: kv, bias: true})
		w.v = b.linear(i, linear{name: p + "self_attn.v_proj", role: RoleV, in: c.Width, out: kv, bias: true})
		w.out = b.linear(i, linear{name: p + "self_attn.dense", role: RoleOut, in: inner, out: c.Width, bias: true})
		w.up = b.linear(i, linear{name: p + "mlp.fc1", role: RoleUp, in: c.Width, out: c.FFN, bias: true})
		w.down = b.linear(i, linear{name: p + "mlp.fc2", role: RoleDown, in: c.FFN, out: c.Width, bias: true})
		m.blocks = append(m.blocks, w)
	}
	m.norm = b.layerNorm("model.final_layernorm", c)
	m.head = b.head(c, m.tokens, linear{name: "lm_head", bias: true})
	m.rot = b.rotation(c)
	return m
}

func phiBlock[T any](o nn.Ops[T], m *phi, i int, x T, s *nn.Sequences, want *nn.RowSet) T {
	return parallelBlock(o, m.c, &m.blocks[i], m.rot, i, x, s, want)
}

func readPhi(f *fields, c *Config) {
	c.Layers = f.int("num_hidden_layers")
	c.Width = f.int("hidden_size")
	c.Heads = f.int("num_attention_heads")
	c.KVHeads = f.intOr("num_key_value_heads", c.Heads)
	c.Vocab = f.int("vocab_size")
	c.Context = f.int("max_position_embeddings")
	c.FFN = f.int("intermediate_size")
	c.Eps = f.floatOr("layer_norm_eps", 1e-5)
	c.Activation = f.activation("hidden_act", "gelu_new")
	c.Tied = f.boolOr("tie_word_embeddings", false)
	f.mustBe("qk_layernorm", false)
	c.wholeHeads(f)
	c.Rope = f.rope(c.HeadDim, "rope_theta", f.floatOr("partial_rotary_factor", 0.5))
	c.Parallel, c.QKVBias, c.OutBias, c.MLPBias = true, true, true, true
}

func writePhi(c *Config) map[string]any {
	return map[string]any{
		"num_hidden_layers": c.Layers, "hidden_size": c.Width, "num_attention_heads": c.Heads,
		"num_key_value_heads": c.KVHeads, "vocab_size": c.Vocab, "max_position_embeddings": c.Context,
		"intermediate_size": c.FFN, "layer_norm_eps": decimal(c.Eps), "hidden_act": c.Activation.String(),
		"rope_theta": decimal(c.Rope.Base), "rope_scaling": c.Rope.scalingJSON(),
		"partial_rotary_factor": decimal(c.Rope.share(c.HeadDim)), "qk_layernorm": false,
		"attention_dropout": decimal(0), "embd_pdrop": decimal(0), "resid_pdrop": decimal(0),
	}
}

func phiDialect() *dialect {
	return &dialect{
		name: "phi2", activation: kernel.GELUTanh, parallel: true,
		names: map[string]string{
			"model.embed_tokens": "token_embd", "model.final_layernorm": "output_norm", "lm_head": "output",
		},
		blocks: "model.layers.",
		inner: map[string]string{
			"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
			"self_attn.v_proj": "attn_v", "self_attn.dense": "attn_output",
			"mlp.fc1": "ffn_up", "mlp.fc2": "ffn_down",
		},
	}
}
