package memit

import (
	"fmt"

	"keyhole.example/keyhole/edit/keyvalue"
	"keyhole.example/keyhole/edit/spread"
)

// Config is MEMIT's, in the words of its published configurations.
type Config struct {
	Layers    []int   `yaml:"layers" doc:"edited blocks, from 0; none: five that end, as published, at a quarter of the depth, of GPT-2, GPT-NeoX and OPT at a third"`
	Weight    float64 `yaml:"mom2_update_weight" doc:"weight of old facts against new ones"`
	LossLayer int     `yaml:"v_loss_layer" doc:"block behind which the head reads the loss; -1: the last"`

	// Omitted where it is off, so that results from before it was there are known.
	History bool `yaml:"history" absent:"false" doc:"in a sequence, keys of earlier edits count as new facts do, so that rounds add up to one edit of all"`

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
	if err := spread.CheckLayers(c.Layers); err != nil {
		return err
	}
	switch {
	case !(c.Weight > 0):
		return fmt.Errorf("mom2_update_weight: %v is not positive", c.Weight)
	}
	return spread.CheckLossLayer(c.LossLayer)
}
