package memit

import (
	"fmt"
	"slices"

	"keyhole/edit/keyvalue"
	"keyhole/lm"
)

// Config is MEMIT's, in the words of its published configurations.
type Config struct {
	Layers    []int  `yaml:"layers" doc:"edited blocks, from 0; none: five that end, as published, at a quarter of the depth, of GPT-2, GPT-NeoX and OPT at a third"`
	FactToken string `yaml:"fact_token" doc:"looked-up token: subject_last, subject_first, subject_first_after_last, last (of the prompt)"`

	Weight float64 `yaml:"mom2_update_weight" doc:"weight of old facts against new ones"`
	Ridge  float64 `yaml:"ridge" doc:"added to the second moment's diagonal; 0: nothing unless it cannot be factorised"`

	Steps       int     `yaml:"v_num_grad_steps" doc:"forward runs of the search for the value"`
	LR          float64 `yaml:"v_lr" doc:"learning rate of the search, by Adam"`
	LossLayer   int     `yaml:"v_loss_layer" doc:"block behind which the head reads the loss; -1: the last"`
	WeightDecay float64 `yaml:"v_weight_decay" doc:"factor of the change's norm over the value's squared norm"`
	Clamp       float64 `yaml:"clamp_norm_factor" doc:"largest norm of the change, in norms of the value"`
	KL          float64 `yaml:"kl_factor" doc:"factor of the divergence on the prompt SUBJECT is a"`
	StopLoss    float64 `yaml:"stop_loss" doc:"the search ends below this loss"`

	Contexts keyvalue.ContextConfig `yaml:"contexts" doc:"texts put in front of the prompt"`

	EditKnown     bool    `yaml:"edit_known" doc:"edit although the model gives a target already, instead of an error"`
	MaxRatio      float64 `yaml:"max_update_ratio" doc:"a change whose norm is more than this share of its weight's is refused"`
	MaxPerplexity float64 `yaml:"max_perplexity_ratio" doc:"a batch that multiplies the perplexity of a fixed text by more is refused"`
	Force         bool    `yaml:"force" doc:"make batches that would be refused"`
}

// Default is the published settings of GPT-2 XL, for any depth.
func Default() Config {
	return Config{
		FactToken: keyvalue.SubjectLast, Weight: 15000,
		Steps: 20, LR: 0.5, LossLayer: -1, WeightDecay: 0.5, Clamp: 0.75, KL: 0.0625, StopLoss: 0.05,
		Contexts: keyvalue.ContextConfig{Lengths: []int{10}, Count: 5, TopK: 5, Seed: 1, Starts: []string{"The", "Therefore", "Because", "I", "You"}},
		MaxRatio: 1, MaxPerplexity: 2,
	}
}

// Validate checks every field.
func (c *Config) Validate() error {
	if err := keyvalue.CheckFactToken(c.FactToken); err != nil {
		return err
	}
	if err := c.Contexts.Validate(); err != nil {
		return fmt.Errorf("contexts: %w", err)
	}
	for i, l := range c.Layers {
		if l < 0 || i > 0 && l <= c.Layers[i-1] {
			return fmt.Errorf("layers: %v are not blocks in ascending order", c.Layers)
		}
	}
	switch {
	case !(c.Weight > 0):
		return fmt.Errorf("mom2_update_weight: %v is not positive", c.Weight)
	case !(c.Ridge >= 0):
		return fmt.Errorf("ridge: %v is negative", c.Ridge)
	case c.Steps < 1:
		return fmt.Errorf("v_num_grad_steps: %d is not positive", c.Steps)
	case !(c.LR > 0):
		return fmt.Errorf("v_lr: %v is not positive", c.LR)
	case c.LossLayer < -1:
		return fmt.Errorf("v_loss_layer: %d is no block; use -1 for the last", c.LossLayer)
	case !(c.WeightDecay >= 0):
		return fmt.Errorf("v_weight_decay: %v is negative", c.WeightDecay)
	case !(c.Clamp > 0):
		return fmt.Errorf("clamp_norm_factor: %v is not positive", c.Clamp)
	case !(c.KL >= 0):
		return fmt.Errorf("kl_factor: %v is negative", c.KL)
	case !(c.StopLoss >= 0):
		return fmt.Errorf("stop_loss: %v is negative", c.StopLoss)
	case !(c.MaxRatio > 0):
		return fmt.Errorf("max_update_ratio: %v is not positive", c.MaxRatio)
	case !(c.MaxPerplexity > 0):
		return fmt.Errorf("max_perplexity_ratio: %v is not positive", c.MaxPerplexity)
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
	return keyvalue.Settings{
		Steps: c.Steps, LR: c.LR, WeightDecay: c.WeightDecay, Clamp: c.Clamp, KL: c.KL, StopLoss: c.StopLoss,
		Residual: true, LossBlock: c.LossLayer, EditKnown: c.EditKnown || c.Force,
	}
}
