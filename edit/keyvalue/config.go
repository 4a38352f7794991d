package keyvalue

import "fmt"

// Config is what the configs of ROME and MEMIT share, in the words of the
// published configurations.
type Config struct {
	FactToken string  `yaml:"fact_token" doc:"looked-up token: subject_last, subject_first, subject_first_after_last, last (of the prompt)"`
	Ridge     float64 `yaml:"ridge" doc:"added to the second moment's diagonal; 0: nothing unless it cannot be factorised"`

	Search   `yaml:",inline"`
	Contexts ContextConfig `yaml:"contexts" doc:"texts put in front of the prompt"`

	EditKnown     bool    `yaml:"edit_known" doc:"edit although the model gives a target already, instead of an error"`
	MaxRatio      float64 `yaml:"max_update_ratio" doc:"a change whose norm is more than this share of its weight's is refused"`
	MaxPerplexity float64 `yaml:"max_perplexity_ratio" doc:"a change that multiplies the perplexity of a fixed text by more is refused"`
	Force         bool    `yaml:"force" doc:"make changes that would be refused"`
}

// Search is the search for a value.
type Search struct {
	Steps       int     `yaml:"v_num_grad_steps" doc:"forward runs of the search for the value; each but the last is followed by a step"`
	LR          float64 `yaml:"v_lr" doc:"learning rate of the search, by Adam"`
	WeightDecay float64 `yaml:"v_weight_decay" doc:"factor of the change's norm over the value's squared norm"`
	Clamp       float64 `yaml:"clamp_norm_factor" doc:"largest norm of the change, in norms of the value"`
	KL          float64 `yaml:"kl_factor" doc:"factor of the divergence on the prompt SUBJECT is a"`
	StopLoss    float64 `yaml:"stop_loss" doc:"the search ends below this loss"`
}

// Validate checks every field.
func (c *Config) Validate() error {
	if err := CheckFactToken(c.FactToken); err != nil {
		return err
	}
	if err := c.Search.Validate(); err != nil {
		return err
	}
	if err := c.Contexts.Validate(); err != nil {
		return fmt.Errorf("contexts: %w", err)
	}
	switch {
	case !(c.Ridge >= 0):
		return fmt.Errorf("ridge: %v is negative", c.Ridge)
	case !(c.MaxRatio > 0):
		return fmt.Errorf("max_update_ratio: %v is not positive", c.MaxRatio)
	case !(c.MaxPerplexity > 0):
		return fmt.Errorf("max_perplexity_ratio: %v is not positive", c.MaxPerplexity)
	}
	return nil
}

// Validate checks every field.
func (c *Search) Validate() error {
	switch {
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
	}
	return nil
}
