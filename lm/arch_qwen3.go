package lm

// Qwen3 (Qwen Team 2025) is Llama with an RMS norm of each query and key head,
// and heads as wide as the config says.

func readQwen3(f *fields, c *Config) {
	c.HeadDim = f.intOr("head_dim", 128)
	readLlamaFamily(f, c)
	c.QKVBias = f.boolOr("attention_bias", false)
	c.OutBias = c.QKVBias
	c.QKNorm = true
	if f.boolOr("use_sliding_window", false) {
		c.Window = f.nullableOr("sliding_window", 4096)
		c.WindowFrom = f.intOr("max_window_layers", 28)
		c.Sliding = f.marked("layer_types", slidingAttention)
	}
}

func writeQwen3(c *Config) map[string]any {
	return merged(writeLlamaFamily(c), map[string]any{
		"head_dim": c.HeadDim, "attention_bias": c.QKVBias, "use_sliding_window": c.Window > 0,
		"sliding_window": orNull(c.Window), "max_window_layers": c.WindowFrom,
	})
}

// qwen3Dialect: as Qwen2's, with the norms of heads.
func qwen3Dialect() *dialect {
	d := llamaDialect("qwen3", false)
	d.inner["self_attn.q_norm"], d.inner["self_attn.k_norm"] = "attn_q_norm", "attn_k_norm"
	return d
}
