package lm

import (
	"fmt"
	"math"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// gemma is Gemma 2 (Gemma Team 2024) and 3, text alone (2025): Llama with scaled
// embeddings, norms before and behind attention and MLP, and a window in some
// blocks. The gain of a norm is one more than its weight. Gemma 2 caps scores and
// logits; Gemma 3 has norms of query and key heads instead, and a rotary base of
// its own for the blocks with the window.
type gemma struct {
	trunk
	blocks []gemmaWeights
	c      *Config
}

type gemmaWeights struct {
	norm1, norm2, norm3, norm4 *nn.Norm // before and behind attention, before and behind the MLP
	gate, up, down             *nn.Linear
	llamaAttention
}

func newGemma(c *Config, b *binder) network {
	m := &gemma{c: c}
	m.tokens, m.scale = b.table("model.embed_tokens.weight", c.Vocab, c.Width), float32(c.EmbedScale)
	for i := range c.Layers {
		p := fmt.Sprintf("model.layers.%d.", i)
		var w gemmaWeights
		w.norm1 = b.shiftedNorm(p+"input_layernorm", c.Width, c)
		w.llamaAttention = newLlamaAttention(c, b, i, p+"self_attn.")
		if c.QKNorm {
			w.qNorm = b.shiftedNorm(p+"self_attn.q_norm", c.HeadDim, c)
			w.kNorm = b.shiftedNorm(p+"self_attn.k_norm", c.HeadDim, c)
		}
		w.norm2 = b.shiftedNorm(p+"post_attention_layernorm", c.Width, c)
		w.norm3 = b.shiftedNorm(p+"pre_feedforward_layernorm", c.Width, c)
		w.gate = b.linear(i, linear{name: p + "mlp.gate_proj", role: RoleGate, in: c.Width, out: c.FFN})
		w.up = b.linear(i, linear{name: p + "mlp.up_proj", role: RoleUp, in: c.Width, out: c.FFN})
		w.down = b.linear(i, linear{name: p + "mlp.down_proj", role: RoleDown, in: c.FFN, out: c.Width})
		w.norm4 = b.shiftedNorm(p+"post_feedforward_layernorm", c.Width, c)
		m.blocks = append(m.blocks, w)
	}
	m.norm, m.rms = b.shiftedNorm("model.norm", c.Width, c), true
	m.head = b.head(c, m.tokens, linear{name: "lm_head"})
	m.head.Cap = float32(c.LogitCap)
	rot, local := b.rotation(c), b.localRotation(c)
	for i := range m.blocks {
		if m.blocks[i].rot = rot; local != nil && c.slides(i) {
			m.blocks[i].rot = local
		}
	}
	return m
}

func gemmaBlock[T any](o nn.Ops[T], m *gemma, i int, x T, s *nn.Sequences, want *nn.RowSet) T {
	w := &m.blocks[i]
	return o.Scope(func() T {
		x := o.Tap(nn.Place{Layer: i, At: nn.BlockIn}, x)
		x, a := keep(o, want, x, attend(o, &w.llamaAttention, i, o.RMSNorm(w.norm1, x), s))
		x = o.Add(x, o.RMSNorm(w.norm2, a))
		h := gatedMLP(o, i, m.c.Activation, w.gate, w.up, w.down, o.RMSNorm(w.norm3, x))
		return o.Tap(nn.Place{Layer: i, At: nn.BlockOut}, o.Add(x, o.RMSNorm(w.norm4, h)))
	})
}

func readGemma3(f *fields, c *Config) {
	c.readGemma(f, f.intOr("sliding_window_pattern", 6), c.readRopes)
	c.QKNorm = true
	if f.missing("rope_theta") && f.missing("rope_parameters") {
		c.Rope.Base = 1e6
	}
	c.LogitCap = f.floatOr("final_logit_softcapping", 0)
	if key := "attn_logit_softcapping"; !f.missing(key) {
		f.fail(key, fmt.Errorf("%s is not supported, want null", shown(f.values[key])))
	}
}

func readGemma2(f *fields, c *Config) {
	c.readGemma(f, 2, func(f *fields) { readLlamaFamily(f, c) })
	c.AttnCap = f.cap("attn_logit_softcapping", 50)
	c.LogitCap = f.cap("final_logit_softcapping", 30)
}

// cap reads a number that null sets to 0.
func (f *fields) cap(key string, missing float64) float64 {
	if v, there := f.values[key]; there && v == nil {
		return 0
	}
	return f.floatOr(key, missing)
}

// readGemma reads what both versions have; llama reads Llama's sizes and
// positions. All blocks but every n-th have the window, unless layer_types says
// otherwise.
func (c *Config) readGemma(f *fields, n int, llama func(f *fields)) {
	c.HeadDim = f.intOr("head_dim", 256)
	llama(f)
	c.Tied = f.boolOr("tie_word_embeddings", true)
	c.Activation = f.activation("hidden_activation", "gelu_pytorch_tanh")
	c.Window = f.nullableOr("sliding_window", 4096)
	c.Sliding = f.marked("layer_types", slidingAttention)
	if c.Sliding == nil {
		c.gemmaWindows(n)
	}
	f.mustBe("use_bidirectional_attention", false)
	c.NormAfter, c.EmbedScale = true, math.Sqrt(float64(c.Width))
	c.QKVBias = f.boolOr("attention_bias", false)
	c.OutBias = c.QKVBias
	if scalar := f.floatOr("query_pre_attn_scalar", 256); scalar > 0 {
		c.AttnScale = 1 / math.Sqrt(scalar)
	}
}

// readRopes reads what Llama's readers read, with rotary positions per kind of
// block: both under rope_parameters, or rope_theta and rope_local_base_freq.
func (c *Config) readRopes(f *fields) {
	both, nested := f.values["rope_parameters"].(map[string]any)
	full, nested2 := both[fullAttention].(map[string]any)
	local, _ := both[slidingAttention].(map[string]any)
	outer := f
	if nested && nested2 { // as one, for the reader of both spellings
		values := make(map[string]any, len(f.values))
		for key, v := range f.values {
			values[key] = v
		}
		values["rope_parameters"] = full
		outer = &fields{values: values, err: f.err}
	}
	readLlamaFamily(outer, c)
	if f.err == nil {
		f.err = outer.err
	}
	c.LocalBase = (&fields{values: local}).floatOr("rope_theta", f.floatOr("rope_local_base_freq", 10000))
}

// gemmaWindows gives all blocks the window but every n-th.
func (c *Config) gemmaWindows(n int) {
	c.Sliding = everyNth(c.Layers, n)
	for i := range c.Sliding {
		c.Sliding[i] = !c.Sliding[i]
	}
}

func writeGemma3(c *Config) map[string]any {
	full := map[string]any{"rope_type": "default", "rope_theta": decimal(c.Rope.Base)}
	if c.Rope.Scaling == scaleLinear {
		full["rope_type"], full["factor"] = scaleLinear, decimal(c.Rope.Factor)
	}
	out := merged(c.writeGemma(), map[string]any{
		"rope_local_base_freq": decimal(c.LocalBase),
		"rope_parameters": map[string]any{fullAttention: full,
			slidingAttention: map[string]any{"rope_type": "default", "rope_theta": decimal(c.LocalBase)}},
	})
	delete(out, "rope_scaling") // version 5 would take it for both kinds of block
	return out
}

func writeGemma2(c *Config) map[string]any { return c.writeGemma() }

func (c *Config) writeGemma() map[string]any {
	capJSON := func(v float64) any {
		if v == 0 {
			return nil
		}
		return decimal(v)
	}
	out := merged(writeLlamaFamily(c), map[string]any{
		"head_dim": c.HeadDim, "hidden_activation": c.Activation.String(), "attention_bias": c.QKVBias,
		"sliding_window": c.Window, "layer_types": c.layerTypes(),
		"query_pre_attn_scalar":   decimal(math.Round(1 / (c.AttnScale * c.AttnScale))),
		"final_logit_softcapping": capJSON(c.LogitCap), "attn_logit_softcapping": capJSON(c.AttnCap),
	})
	delete(out, "hidden_act")
	return out
}

// gemma2Dialect: as Gemma 3's, without norms of heads.
func gemma2Dialect() *dialect {
	d := gemmaDialect("gemma2")
	d.fill = func(c *Config) {
		c.fillGemma(2, 46)
		if c.AttnCap == 0 {
			c.AttnCap = 50
		}
		if c.LogitCap == 0 {
			c.LogitCap = 30
		}
	}
	return d
}

func gemma3Dialect() *dialect {
	d := gemmaDialect("gemma3")
	d.inner["self_attn.q_norm"], d.inner["self_attn.k_norm"] = "attn_q_norm", "attn_k_norm"
	d.fill = func(c *Config) {
		c.fillGemma(6, 62)
		c.LocalBase = 10000
	}
	return d
}

// fillGemma sets what the metadata leave out. The largest model, of both
// versions, scales scores by the width of a head as if all heads were as wide as
// the model.
func (c *Config) fillGemma(windows, largest int) {
	c.NormAfter = true
	c.EmbedScale, c.AttnScale = math.Sqrt(float64(c.Width)), 1/math.Sqrt(float64(c.HeadDim))
	if c.Layers == largest && c.Heads > 0 {
		c.AttnScale = 1 / math.Sqrt(float64(c.Width/c.Heads))
	}
	if c.Window == 0 {
		c.Window = 4096
	}
	c.gemmaWindows(windows)
}

// gemmaDialect: llama.cpp's converter adds the one to norms.
func gemmaDialect(name string) *dialect {
	d := llamaDialect(name, false)
	d.activation, d.shifted = kernel.GELUTanh, true
	d.inner = map[string]string{
		"input_layernorm": "attn_norm", "post_attention_layernorm": "post_attention_norm",
		"pre_feedforward_layernorm": "ffn_norm", "post_feedforward_layernorm": "post_ffw_norm",
		"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
		"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
	}
	return d
}
