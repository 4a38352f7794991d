package lm

import (
	"fmt"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// gptj is GPT-J (Wang and Komatsuzaki 2021): one norm feeds attention and MLP
// in parallel, interleaved rotary positions, a head with bias.
type gptj struct {
	trunk
	blocks []parallelWeights
	rot    *kernel.Rotation
	c      *Config
}

// parallelWeights is a block of GPT-J or Phi.
type parallelWeights struct {
	norm                   *nn.Norm
	q, k, v, out, up, down *nn.Linear
	attention              kernel.Attention
}

func newGPTJ(c *Config, b *binder) network {
	m := &gptj{c: c}
	m.tokens = b.table("transformer.wte.weight", c.Vocab, c.Width)
	for i := range c.Layers {
		p := fmt.Sprintf("transformer.h.%d.", i)
		w := parallelWeights{attention: c.attention(i)}
		w.norm = b.layerNorm(p+"ln_1", c)
		w.q = b.linear(i, linear{name: p + "attn.q_proj", role: RoleQ, in: c.Width, out: c.Width})
		w.k = b.linear(i, linear{name: p + "attn.k_proj", role: RoleK, in: c.Width, out: c.Width})
		w.v = b.linear(i, linear{name: p + "attn.v_proj", role: RoleV, in: c.Width, out: c.Width})
		w.out = b.linear(i, linear{name: p + "attn.out_proj", role: RoleOut, in: c.Width, out: c.Width})
		w.up = b.linear(i, linear{name: p + "mlp.fc_in", role: RoleUp, in: c.Width, out: c.FFN, bias: true})
		w.down = b.linear(i, linear{name: p + "mlp.fc_out", role: RoleDown, in: c.FFN, out: c.Width, bias: true})
		m.blocks = append(m.blocks, w)
	}
	m.norm = b.layerNorm("transformer.ln_f", c)
	m.head = b.head(c, m.tokens, linear{name: "lm_head", bias: true})
	m.rot = b.rotation(c)
	return m
}

func gptjBlock[T any](o nn.Ops[T], m *gptj, i int, x T, s *nn.Sequences, want *nn.RowSet) T {
	return parallelBlock(o, m.c, &m.blocks[i], m.rot, i, x, s, want)
}

// parallelBlock is x + attention(norm(x)) + MLP(norm(x)).
func parallelBlock[T any](o nn.Ops[T], c *Config, w *parallelWeights, rot *kernel.Rotation, i int, x T, s *nn.Sequences, want *nn.RowSet) T {
	return o.Scope(func() T {
		x := o.Tap(nn.Place{Layer: i, At: nn.BlockIn}, x)
		h := o.LayerNorm(w.norm, x)
		q := o.Rotate(o.Linear(w.q, h), c.Heads, rot, s)
		k := o.Rotate(o.Linear(w.k, h), c.KVHeads, rot, s)
		a := o.Attend(i, q, k, o.Linear(w.v, h), w.attention, s)
		a = o.Tap(nn.Place{Layer: i, At: nn.AttnOut}, o.Linear(w.out, a))
		if want != nil {
			x, a = keep(o, want, x, a)
			h = o.Rows(h, want)
		}
		h = plainMLP(o, i, c.Activation, w.up, w.down, h)
		return o.Tap(nn.Place{Layer: i, At: nn.BlockOut}, o.Add(o.Add(a, h), x))
	})
}

func readGPTJ(f *fields, c *Config) {
	c.Layers = f.int("n_layer")
	c.Width = f.int("n_embd")
	c.Heads = f.int("n_head")
	c.Vocab = f.int("vocab_size")
	c.Context = f.int("n_positions")
	c.FFN = f.intOr("n_inner", 4*c.Width)
	c.Eps = f.floatOr("layer_norm_epsilon", 1e-5)
	c.Activation = f.activation("activation_function", "gelu_new")
	c.Tied = f.boolOr("tie_word_embeddings", false)
	c.wholeHeads(f)
	c.Rope = Rope{Base: 10000, Dims: f.nullableOr("rotary_dim", 64), Interleaved: true}
	if c.Rope.Dims == 0 {
		c.Rope.Dims = c.HeadDim
	}
	c.Parallel, c.MLPBias = true, true
}

func writeGPTJ(c *Config) map[string]any {
	return map[string]any{
		"n_layer": c.Layers, "n_embd": c.Width, "n_head": c.Heads, "vocab_size": c.Vocab,
		"n_positions": c.Context, "n_inner": c.FFN, "layer_norm_epsilon": decimal(c.Eps),
		"activation_function": c.Activation.String(), "rotary_dim": c.Rope.Dims,
		"attn_pdrop": decimal(0), "embd_pdrop": decimal(0), "resid_pdrop": decimal(0),
	}
}
