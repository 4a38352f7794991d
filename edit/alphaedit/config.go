package alphaedit

import (
	"errors"
	"fmt"

	"keyhole.example/keyhole/edit/keyvalue"
	"keyhole.example/keyhole/edit/memit"
	"keyhole.example/keyhole/edit/spread"
)

// Config is AlphaEdit's, in the words of its published configurations.
type Config struct {
	Layers    []int   `yaml:"layers" doc:"edited blocks, from 0; none: five that end, as published, at a quarter of the depth, of GPT-2, GPT-NeoX and OPT at a third"`
	Share     float64 `yaml:"nullspace_share" doc:"directions are kept whose eigenvalues sum up to at most this share of the second moment's trace"`
	Threshold float64 `yaml:"nullspace_threshold" doc:"keep the directions with eigenvalues below this instead (published: 0.02, which depends on the scale of a model's activations); 0: by share"`
	L2        float64 `yaml:"L2" doc:"weight of the change's norm"`
	Replace   bool    `yaml:"replace" doc:"a fact that is written anew takes the place of its old key, which would hold it back"`
	LossLayer int     `yaml:"v_loss_layer" doc:"block behind which the head reads the loss; -1: the last"`

	keyvalue.Config `yaml:",inline"`
}

// Default is the published settings of GPT-2 XL, for any depth, with a relative
// threshold.
func Default() Config {
	return Config{Share: 0.02, L2: 10, Replace: true, LossLayer: -1, Config: memit.Default().Config}
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
	case !(c.Share > 0 && c.Share < 1):
		return fmt.Errorf("nullspace_share: %v is not between 0 and 1", c.Share)
	case !(c.Threshold >= 0):
		return fmt.Errorf("nullspace_threshold: %v is negative", c.Threshold)
	case c.L2 == 0:
		return errors.New("L2: 0 leaves the change undetermined outside the kept directions; use a small number, such as 0.01")
	case !(c.L2 > 0):
		return fmt.Errorf("L2: %v is not positive", c.L2)
	}
	return spread.CheckLossLayer(c.LossLayer)
}
