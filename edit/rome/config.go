package rome

import (
	"fmt"
	"slices"
	"strings"

	"keyhole/edit/keyvalue"
	"keyhole/lm"
)

// Values of Config.KeyMode.
const (
	RandomPrefix = "random_prefix" // r-ROME
	Original     = "original"      // ROME
	Prompt       = "prompt"        // p-ROME
)

// Config is ROME's, in the words of its published configurations.
type Config struct {
	Layer     int    `yaml:"layer" doc:"edited block, from 0; -1: as published, at a sixth of the depth, of GPT-2, GPT-NeoX and OPT at a third. Causal tracing suggests, a sweep decides"`
	Site      string `yaml:"site" doc:"edited weight, if not that of layer; must be an MLP's second linear layer"`
	FactToken string `yaml:"fact_token" doc:"looked-up token: subject_last, subject_first, subject_first_after_last, last (of the prompt)"`
	KeyMode   string `yaml:"key_mode" doc:"random_prefix (r-ROME: one averaged key), prompt (p-ROME: the bare prompt's key), original (the two mixed, as published first)"`

	Covariance bool    `yaml:"mom2_adjustment" doc:"weigh changes by the second moment of the layer's inputs, which protects other facts; needs statistics"`
	Ridge      float64 `yaml:"ridge" doc:"added to the second moment's diagonal; 0: nothing unless it cannot be factorised"`

	Steps       int     `yaml:"v_num_grad_steps" doc:"forward runs of the search for the value"`
	LR          float64 `yaml:"v_lr" doc:"learning rate of the search, by Adam"`
	WeightDecay float64 `yaml:"v_weight_decay" doc:"factor of the change's norm over the value's squared norm"`
	Clamp       float64 `yaml:"clamp_norm_factor" doc:"largest norm of the change, in norms of the value"`
	KL          float64 `yaml:"kl_factor" doc:"factor of the divergence on the prompt SUBJECT is a"`
	StopLoss    float64 `yaml:"stop_loss" doc:"the search ends below this loss"`

	Contexts keyvalue.ContextConfig `yaml:"contexts" doc:"texts put in front of the prompt"`

	EditKnown     bool    `yaml:"edit_known" doc:"edit although the model gives the target already, instead of an error"`
	MaxRatio      float64 `yaml:"max_update_ratio" doc:"an edit whose norm is more than this share of the weight's is refused"`
	MaxPerplexity float64 `yaml:"max_perplexity_ratio" doc:"an edit that multiplies the perplexity of a fixed text by more is refused"`
	Force         bool    `yaml:"force" doc:"make edits that would be refused"`
}

// Default is r-ROME with the published settings of GPT-2.
func Default() Config {
	return Config{
		Layer: -1, FactToken: keyvalue.SubjectLast, KeyMode: RandomPrefix, Covariance: true,
		Steps: 20, LR: 0.5, WeightDecay: 0.5, Clamp: 4, KL: 0.0625, StopLoss: 0.05,
		Contexts: keyvalue.ContextConfig{Lengths: []int{5, 10}, Count: 10, TopK: 5, Seed: 1},
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
	modes := []string{RandomPrefix, Prompt, Original}
	switch {
	case c.Layer < -1:
		return fmt.Errorf("layer: %d is no block; use -1 for the published depth", c.Layer)
	case !slices.Contains(modes, c.KeyMode):
		return fmt.Errorf("key_mode: %q is none of %s", c.KeyMode, strings.Join(modes, ", "))
	case !(c.Ridge >= 0):
		return fmt.Errorf("ridge: %v is negative", c.Ridge)
	case c.Steps < 1:
		return fmt.Errorf("v_num_grad_steps: %d is not positive", c.Steps)
	case !(c.LR > 0):
		return fmt.Errorf("v_lr: %v is not positive", c.LR)
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

// EditedSite is the layer that the config edits in m.
func (c *Config) EditedSite(m *lm.Model) (lm.Site, error) {
	pattern := c.Site
	if pattern == "" {
		layer := c.Layer
		if layer < 0 {
			layer = m.Config.Layers / 3
			if keyvalue.LooksUpEarly(m) {
				layer = m.Config.Layers / 6
			}
		}
		pattern = fmt.Sprintf("%s@%d", lm.RoleDown, layer)
	}
	sites, err := m.FindSites([]string{pattern})
	if err != nil {
		return lm.Site{}, err
	}
	if len(sites) != 1 {
		return lm.Site{}, fmt.Errorf("site %q names %d layers; name one", pattern, len(sites))
	}
	if sites[0].Role != lm.RoleDown {
		return lm.Site{}, fmt.Errorf("site %s does not make an MLP's output (it is %s); edit an MLP's second linear layer, such as %s@%d",
			sites[0].Name, sites[0].Role, lm.RoleDown, sites[0].Block)
	}
	return sites[0], nil
}

// variant is the name that papers use.
func (c *Config) variant() string {
	switch c.KeyMode {
	case Original:
		return "ROME"
	case Prompt:
		return "p-ROME"
	}
	return "r-ROME"
}

func (c *Config) settings() keyvalue.Settings {
	return keyvalue.Settings{
		Steps: c.Steps, LR: c.LR, WeightDecay: c.WeightDecay, Clamp: c.Clamp, KL: c.KL, StopLoss: c.StopLoss,
		LossBlock: -1, EditKnown: c.EditKnown || c.Force,
	}
}
