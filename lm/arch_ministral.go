package lm

// Ministral (Mistral AI 2024) is Mistral with the window in some blocks alone.

func readMinistral(f *fields, c *Config) {
	readLlamaFamily(f, c)
	if c.Window = f.nullableOr("sliding_window", 4096); c.Window > 0 {
		c.Sliding = f.marked("layer_types", slidingAttention)
	}
}

func writeMinistral(c *Config) map[string]any {
	return merged(writeLlamaFamily(c), map[string]any{
		"head_dim": c.HeadDim, "sliding_window": orNull(c.Window), "layer_types": c.layerTypes(),
	})
}

// slidingAttention is a block with the window in layer_types; others are
// fullAttention.
const (
	slidingAttention = "sliding_attention"
	fullAttention    = "full_attention"
)

// layerTypes is layer_types of config.json.
func (c *Config) layerTypes() []string {
	types := make([]string, c.Layers)
	for i := range types {
		types[i] = fullAttention
		if c.Window > 0 && c.slides(i) {
			types[i] = slidingAttention
		}
	}
	return types
}
