package lm

import (
	"cmp"
	"fmt"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// opt is OPT (Zhang et al. 2022): norms before (OPT-350m: behind), learned
// positions counted from 2, ReLU. OPT-350m's embeddings are narrower than the
// residual stream, to which they are projected, and back before the head.
type opt struct {
	trunk
	blocks []optWeights
	act    kernel.Activation
	after  bool // norms behind
}

type optWeights struct {
	norm1, norm2           *nn.Norm
	q, k, v, out, up, down *nn.Linear
	attention              kernel.Attention
}

// optOffset is what OPT adds to positions; the rows below are unused.
const optOffset = 2

func newOPT(c *Config, b *binder) network {
	m := &opt{act: c.Activation, after: c.NormAfter}
	narrow := c.EmbedWidth
	if narrow == 0 {
		narrow = c.Width
	}
	table := b.table("model.decoder.embed_tokens.weight", c.Vocab, narrow)
	var in, out *nn.Param
	if m.tokens = table; narrow != c.Width {
		in = b.table("model.decoder.project_in.weight", c.Width, narrow)
		out = b.table("model.decoder.project_out.weight", narrow, c.Width)
		m.tokens = product("tokens projected", table, in, true)
	}
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
	if !c.NormAfter {
		m.norm = b.layerNorm("model.decoder.final_layer_norm", c)
	}
	if out == nil {
		m.head = b.head(c, m.tokens, linear{name: "lm_head"})
		return m
	}
	rows := table
	if !c.Tied {
		rows = b.table("lm_head.weight", c.Vocab, narrow)
	}
	m.head = &nn.Linear{W: product("head projected", rows, out, false), In: c.Width, Out: c.Vocab}
	return m
}

// product is the weight a·b, or a·bᵀ, of two others, made when it is needed. a:
// [rows, k]; b: [k, cols], transposed [cols, k].
func product(name string, a, b *nn.Param, transB bool) *nn.Param {
	cols := b.Cols
	if transB {
		cols = b.Rows
	}
	return nn.NewLazyParam(name, a.Rows, cols, func(dst []float32, first, n int) error {
		factor, err := b.Values()
		if err != nil {
			return err
		}
		rows := make([]float32, n*a.Cols)
		for i := range n {
			if err := a.Row(rows[i*a.Cols:(i+1)*a.Cols], first+i); err != nil {
				return err
			}
		}
		const few = 64
		opts := kernel.Options{}
		if n < few {
			opts.Threads = 1
		}
		k, err := kernel.New(opts)
		if err != nil {
			return err
		}
		defer k.Close()
		k.Gemm(kernel.Mat(dst, n, cols), kernel.Product{A: kernel.Mat(rows, n, a.Cols), B: kernel.Mat(factor, b.Rows, b.Cols), TransB: transB})
		return nil
	})
}

func optBlock[T any](o nn.Ops[T], m *opt, i int, x T, s *nn.Sequences, want *nn.RowSet) T {
	w := &m.blocks[i]
	return o.Scope(func() T {
		x := o.Tap(nn.Place{Layer: i, At: nn.BlockIn}, x)
		h := x
		if !m.after {
			h = o.LayerNorm(w.norm1, x)
		}
		a := o.Attend(i, o.Linear(w.q, h), o.Linear(w.k, h), o.Linear(w.v, h), w.attention, s)
		a = o.Tap(nn.Place{Layer: i, At: nn.AttnOut}, o.Linear(w.out, a))
		x, a = keep(o, want, x, a)
		x = o.Add(x, a)
		if m.after {
			x = o.LayerNorm(w.norm1, x)
			x = o.LayerNorm(w.norm2, o.Add(x, plainMLP(o, i, m.act, w.up, w.down, x)))
			return o.Tap(nn.Place{Layer: i, At: nn.BlockOut}, x)
		}
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
	c.NormAfter = !f.boolOr("do_layer_norm_before", true)
	f.mustBe("layer_norm_elementwise_affine", true)
	if !c.NormAfter { // which has none
		f.mustBe("_remove_final_layer_norm", false)
	}
	if p := f.intOr("word_embed_proj_dim", c.Width); p != c.Width {
		c.EmbedWidth = p
	}
	c.wholeHeads(f)
}

func writeOPT(c *Config) map[string]any {
	return map[string]any{
		"num_hidden_layers": c.Layers, "hidden_size": c.Width, "num_attention_heads": c.Heads,
		"vocab_size": c.Vocab, "max_position_embeddings": c.Context, "ffn_dim": c.FFN,
		"activation_function": c.Activation.String(), "enable_bias": c.QKVBias,
		"do_layer_norm_before": !c.NormAfter, "layer_norm_elementwise_affine": true, "_remove_final_layer_norm": false,
		"word_embed_proj_dim": cmp.Or(c.EmbedWidth, c.Width), "attention_dropout": decimal(0), "dropout": decimal(0), "layerdrop": decimal(0),
		"pad_token_id": 1,
	}
}
