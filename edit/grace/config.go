package grace

import (
	"fmt"
	"slices"
	"strings"

	"keyhole.example/keyhole/lm"
)

// Which way quirks of published code are followed.
const (
	CompatNone      = ""
	CompatReference = "reference" // the authors' code
	CompatEasyEdit  = "easyedit"  // its copy there, which mixes labels up
)

// Config is GRACE's, in the words of its published configurations.
type Config struct {
	Layer       string  `yaml:"layer" doc:"the linear layer, as mlp.down@18; empty: as published at that share of the depth (GPT-2: mlp.up at 35 of 48 blocks, others: mlp.down at 27 of 32)"`
	LR          float64 `yaml:"edit_lr" doc:"learning rate of a value, by Adam"`
	Steps       int     `yaml:"n_iter" doc:"steps of a value"`
	Eps         float64 `yaml:"eps" doc:"radius of a new key; 0: by eps_share (published: 1, which depends on the layer)"`
	EpsShare    float64 `yaml:"eps_share" doc:"radius of a new key in median distances from a prompt to the nearest other one"`
	Expand      string  `yaml:"eps_expand" doc:"how a radius grows for a prompt of the same answer: coverage, or moving_average (the key moves too)"`
	Replacement string  `yaml:"replacement" doc:"which rows get the value: replace_last (the prompt's last), replace_all, replace_prompt (those before its last)"`
	Init        string  `yaml:"val_init" doc:"where values begin: cold (random), or warm (the layer's own output)"`
	Seed        uint64  `yaml:"seed" doc:"seed of cold values"`
	StopLoss    float64 `yaml:"stop_loss" doc:"training a value ends below this loss; 0: never (as published)"`
	Compat      string  `yaml:"compat" doc:"follow published code where it goes astray: reference, or easyedit; empty: not"`
	Capacity    int     `yaml:"capacity" absent:"0" doc:"edits that a codebook holds at most; 0: any number"`
}

// Default is the published settings but for the radius.
func Default() Config {
	return Config{LR: 1, Steps: 100, EpsShare: 0.5, Expand: "coverage", Replacement: "replace_last", Init: "cold", Seed: 1, StopLoss: 0.01}
}

// Validate checks every field.
func (c *Config) Validate() error {
	for _, f := range []struct {
		key, value string
		known      []string
	}{
		{"eps_expand", c.Expand, []string{"coverage", "moving_average"}},
		{"replacement", c.Replacement, []string{"replace_last", "replace_all", "replace_prompt"}},
		{"val_init", c.Init, []string{"cold", "warm"}},
		{"compat", c.Compat, []string{CompatNone, CompatReference, CompatEasyEdit}},
	} {
		if !slices.Contains(f.known, f.value) {
			return fmt.Errorf("%s: %q is none of %s", f.key, f.value, strings.TrimPrefix(strings.Join(f.known, ", "), ", "))
		}
	}
	switch {
	case c.Capacity < 0:
		return fmt.Errorf("capacity: %d is negative; 0 means any number", c.Capacity)
	case !(c.LR > 0):
		return fmt.Errorf("edit_lr: %v is not positive", c.LR)
	case c.Steps < 1:
		return fmt.Errorf("n_iter: %d is not positive", c.Steps)
	case !(c.Eps >= 0):
		return fmt.Errorf("eps: %v is negative", c.Eps)
	case c.Eps == 0 && !(c.EpsShare > 0):
		return fmt.Errorf("eps_share: %v keeps nothing; use a positive number, or set eps", c.EpsShare)
	case !(c.StopLoss >= 0):
		return fmt.Errorf("stop_loss: %v is negative", c.StopLoss)
	}
	return nil
}

// Site is the layer that the config names in m.
func (c *Config) Site(m *lm.Model) (lm.Site, error) {
	pattern := c.Layer
	if pattern == "" {
		pattern = fmt.Sprintf("%s@%d", lm.RoleDown, m.Config.Layers*27/32)
		if m.Config.ModelType == "gpt2" {
			pattern = fmt.Sprintf("%s@%d", lm.RoleUp, m.Config.Layers*35/48)
		}
	}
	site, err := m.FindSite(pattern)
	if err != nil {
		return lm.Site{}, fmt.Errorf("layer: %w", err)
	}
	return site, nil
}
