package rome

import (
	"fmt"
	"slices"
	"strings"

	"keyhole.example/keyhole/edit/keyvalue"
	"keyhole.example/keyhole/lm"
)

// Values of Config.KeyMode.
const (
	RandomPrefix = "random_prefix" // r-ROME
	Original     = "original"      // ROME
	Prompt       = "prompt"        // p-ROME
)

// Config is ROME's, in the words of its published configurations.
type Config struct {
	Layer      int    `yaml:"layer" doc:"edited block, from 0; -1: as published, at a sixth of the depth, of GPT-2, GPT-NeoX and OPT at a third. Causal tracing suggests, a sweep decides"`
	Site       string `yaml:"site" doc:"edited weight, if not that of layer; must be an MLP's second linear layer"`
	KeyMode    string `yaml:"key_mode" doc:"random_prefix (r-ROME: one averaged key), prompt (p-ROME: the bare prompt's key), original (the two mixed, as published first)"`
	Covariance bool   `yaml:"mom2_adjustment" doc:"weigh changes by the second moment of the layer's inputs, which protects other facts; needs statistics"`

	keyvalue.Config `yaml:",inline"`
}

// Default is r-ROME with the published settings of GPT-2.
func Default() Config {
	return Config{
		Layer: -1, KeyMode: RandomPrefix, Covariance: true,
		Config: keyvalue.Config{
			FactToken: keyvalue.SubjectLast,
			Search:    keyvalue.Search{Steps: 20, LR: 0.5, WeightDecay: 0.5, Clamp: 4, KL: 0.0625, StopLoss: 0.05},
			Contexts:  keyvalue.ContextConfig{Lengths: []int{5, 10}, Count: 10, TopK: 5, Seed: 1},
			MaxRatio:  1, MaxPerplexity: 2,
		},
	}
}

// Validate checks every field.
func (c *Config) Validate() error {
	if err := c.Config.Validate(); err != nil {
		return err
	}
	modes := []string{RandomPrefix, Prompt, Original}
	switch {
	case c.Layer < -1:
		return fmt.Errorf("layer: %d is no block; use -1 for the published depth", c.Layer)
	case !slices.Contains(modes, c.KeyMode):
		return fmt.Errorf("key_mode: %q is none of %s", c.KeyMode, strings.Join(modes, ", "))
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
	site, err := m.FindSite(pattern)
	if err != nil {
		return lm.Site{}, err
	}
	if site.Role != lm.RoleDown {
		return lm.Site{}, fmt.Errorf("site %s does not make an MLP's output (it is %s); edit an MLP's second linear layer, such as %s@%d",
			site.Name, site.Role, lm.RoleDown, site.Block)
	}
	return site, nil
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
	return keyvalue.Settings{Search: c.Search, LossBlock: -1, EditKnown: c.EditKnown || c.Force}
}
