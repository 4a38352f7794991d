package lm

// SmolLM3 (Hugging Face 2025) is Llama without rotary positions in every fourth
// block.

func readSmolLM3(f *fields, c *Config) {
	readLlamaFamily(f, c)
	c.QKVBias = f.boolOr("attention_bias", false)
	c.OutBias = c.QKVBias
	c.MLPBias = f.boolOr("mlp_bias", false)
	c.NoRope = f.marked("no_rope_layers", "0")
	if c.NoRope == nil {
		c.NoRope = everyNth(c.Layers, f.intOr("no_rope_layer_interval", 4))
	}
	if f.boolOr("use_sliding_window", false) {
		c.Window = f.nullableOr("sliding_window", 0)
		c.Sliding = f.marked("layer_types", slidingAttention)
		if c.Sliding == nil {
			c.Sliding = c.NoRope
		}
	}
}

func writeSmolLM3(c *Config) map[string]any {
	rope := make([]int, c.Layers)
	for i := range rope {
		if !c.NoRope[i] {
			rope[i] = 1
		}
	}
	return merged(writeLlamaFamily(c), map[string]any{
		"attention_bias": c.QKVBias, "mlp_bias": c.MLPBias, "no_rope_layers": rope, "use_sliding_window": c.Window > 0,
		"sliding_window": orNull(c.Window), "layer_types": c.layerTypes(),
	})
}

// smolLM3Dialect: llama.cpp's converter lays q and k out as Llama's; which
// blocks have no rotary positions is fixed.
func smolLM3Dialect() *dialect {
	d := llamaDialect("smollm3", true)
	d.fill = func(c *Config) { c.NoRope = everyNth(c.Layers, 4) }
	return d
}

// everyNth marks block n-1, 2n-1, …
func everyNth(layers, n int) []bool {
	marks := make([]bool, min(max(layers, 0), maxLayers))
	for i := range marks {
		marks[i] = n > 0 && (i+1)%n == 0
	}
	return marks
}
