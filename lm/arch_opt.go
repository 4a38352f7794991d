package lm

import (
	"fmt"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// opt is OPT (Zhang et al. 2022): norms before, learned positions counted from
// 2, ReLU.
type opt struct {
	trunk
	blocks []optWeights
	act    kernel.Activation
}

type optWeights struct {
	norm1, norm2           *nn.Norm
	q, k, v, out, up, down *nn.Linear
	attention              kernel.Attention
}

// optOffset is what OPT adds to positions; the rows below are unused.
const optOffset = 2

func newOPT(c *Config, b *binder) network {
	m := &opt{act: c.Activation}
	m.tokens = b.table("model.decoder.embed_tokens.weight", c.Vocab, c.Width)
	m.positions, m.offset = b.table("model.decoder.embed_positions.weight", c.Context+optOffset, c.Width), optOffset
	for i := range c.Layers {
		p := fmt.Sprintf("model.decoder.layers.%d.", i)
		w := optWeights{attention: c.attention(i)}
		w.norm1 = b.layerNorm(p+"self_attn_layer_norm", c)
		w.q = b.linear(i, linear{name: p + "self_attn.q_proj", role: RoleQ, in: c.Width, out: c.Width, bias: c.QKVBias})
		w.k = b.linear(i, linear{name: p + "self_attn.k_proj", role: RoleK, in: c.Width, out: c.Width, bias: c.QKVBias})
		w.v = b.linear(i, linear{name: p + "self_attn.v_proj", role: RoleV, in: c.Width, out: c.Width, bias: c.QKVBias})
		w.out = b.linear(i, linear{name: p + "self_attn.out_proj", role: RoleOut, in: c.Width, out: c.Width, bias: c.OutBias})
		w.norm2 = b.layerNorm(p+"final_layer_norm", c)
		w.up = b.linear(i, linear{name: p + "fc1", role: RoleUp, in: c.Width, out: c.FFN, bias: c.MLPBias})
		w.down = b.linear(i, linear{name: p + "fc2", role: RoleDown, in: c.FFN, out: c.Width, bias: c.MLPBias})
		m.blocks = append(m.blocks, w)
	}
	m.norm = b.layerNorm("model.decoder.final_layer_norm", c)
	m.head = b.head(c, m.tokens, linear{name: "lm_head"})
	return m
}

func optBlock[T any](o nn.Ops[T], m *opt, i int, x T, s *nn.Sequences, want *nn.RowSet) T {
	w := &m.blocks[i]
	return o.Scope(func() T {
		x := o.Tap(nn.Place{Layer: i, At: nn.BlockIn}, x)
		h := o.LayerNorm(w.norm1, x)
		a := o.Attend(i, o.Linear(w.q, h), o.Linear(w.k, h), o.Linear(w.v, h), w.attention, s)
		a = o.Tap(nn.Place{Layer: i, At: nn.AttnOut}, o.Linear(w.out, a))
		x, a = keep(o, want, x, a)
		x = o.Add(x, a)
		h = plainMLP(o, i, m.act, w.up, w.down, o.LayerNorm(w.norm2, x))
		return o.Tap(nn.Place{Layer: i, At: nn.BlockOut}, o.Add(x, h))
	})
}

func readOPT(f *fields, c *Config) {
	c.Layers = f.int("num_hidden_layers")
	c.Width = f.int("hidden_size")
	c.Heads = f.int("num_attention_heads")
	c.Vocab = f.int("vocab_size")
	c.Context = f.int("max_position_embeddings")
	c.FFN = f.int("ffn_dim")
	c.Eps = 1e-5 // PyTorch's default; the config has no key
	c.Activation = f.activation("activation_function", "relu")
	c.Tied = f.boolOr("tie_word_embeddings", true)
	c.QKVBias = f.boolOr("enable_bias", true)
	c.OutBias, c.MLPBias = c.QKVBias, c.QKVBias
	f.mustBe("do_layer_norm_before", true)
	f.mustBe("layer_norm_elementwise_affine", true)
	f.mustBe("_remove_final_layer_norm", false)
	if p := f.intOr("word_embed_proj_dim", c.Width); p != c.Width {
		f.fail("word_embed_proj_dim", fmt.Errorf("%d differs from hidden_size %d: projected embeddings are not supported", p, c.Width))
	}
	c.wholeHeads(f)
}

func writeOPT(c *Config) map[string]any {
	return map[string]any{
		"num_hidden_layers": c.Layers, "hidden_size": c.Width, "num_attention_heads": c.Heads,
		"vocab_size": c.Vocab, "max_position_embeddings": c.Context, "ffn_dim": c.FFN,
		"activation_function": c.Activation.String(), "enable_bias": c.QKVBias,
		"do_layer_norm_before": true, "layer_norm_elementwise_affine": true, "_remove_final_layer_norm": false,
		"word_embed_proj_dim": c.Width, "attention_dropout": decimal(0), "dropout": decimal(0), "layerdrop": decimal(0),
		"pad_token_id": 1,
	}
}
