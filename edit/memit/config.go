package memit

import (
	"fmt"
	"slices"

	"keyhole.example/keyhole/edit/keyvalue"
	"keyhole.example/keyhole/lm"
)

// Config is MEMIT's, in the words of its published configurations.
type Config struct {
	Layers    []int   `yaml:"layers" doc:"edited blocks, from 0; none: five that end, as published, at a quarter of the depth, of GPT-2, GPT-NeoX and OPT at a third"`
	Weight    float64 `yaml:"mom2_update_weight" doc:"weight of old facts against new ones"`
	LossLayer int     `yaml:"v_loss_layer" doc:"block behind which the head reads the loss; -1: the last"`

	keyvalue.Config `yaml:",inline"`
}

// Default is the published settings of GPT-2 XL, for any depth.
func Default() Config {
	return Config{
		Weight: 15000, LossLayer: -1,
		Config: keyvalue.Config{
			FactToken: keyvalue.SubjectLast,
			Search:    keyvalue.Search{Steps: 20, LR: 0.5, WeightDecay: 0.5, Clamp: 0.75, KL: 0.0625, StopLoss: 0.05},
			Contexts:  keyvalue.ContextConfig{Lengths: []int{10}, Count: 5, TopK: 5, Seed: 1, Starts: []string{"The", "Therefore", "Because", "I", "You"}},
			MaxRatio:  1, MaxPerplexity: 2,
		},
	}
}

// Validate checks every field.
func (c *Config) Validate() error {
	if err := c.Config.Validate(); err != nil {
		return err
	}
	for i, l := range c.Layers {
		if l < 0 || i > 0 && l <= c.Layers[i-1] {
			return fmt.Errorf("layers: %v are not blocks in ascending order", c.Layers)
		}
	}
	switch {
	case !(c.Weight > 0):
		return fmt.Errorf("mom2_update_weight: %v is not positive", c.Weight)
	case c.LossLayer < -1:
		return fmt.Errorf("v_loss_layer: %d is no block; use -1 for the last", c.LossLayer)
	}
	return nil
}

// EditedSites are the layers that the config edits in m, in ascending order.
func (c *Config) EditedSites(m *lm.Model) ([]lm.Site, error) {
	layers := slices.Clone(c.Layers)
	if len(layers) == 0 {
		const band = 5
		last := m.Config.Layers / 3
		if keyvalue.LooksUpEarly(m) {
			last = m.Config.Layers / 4
		}
		for l := max(0, last-band+1); l <= last; l++ {
			layers = append(layers, l)
		}
	}
	patterns := make([]string, len(layers))
	for i, l := range layers {
		patterns[i] = fmt.Sprintf("%s@%d", lm.RoleDown, l)
	}
	return m.FindSites(patterns)
}

func (c *Config) settings() keyvalue.Settings {
	return keyvalue.Settings{Search: c.Search, Residual: true, LossBlock: c.LossLayer, EditKnown: c.EditKnown || c.Force}
}
