package hypernet

import (
	"fmt"
	"math"
	"slices"
)

// Config says what the network is like. Names and defaults are those of the
// MEND reference; the doc comments say where ours differ.
type Config struct {
	Kind            string  `yaml:"kind" doc:"mend: residual layers on normalised factors; malmen: the same with scales behind the clamp and statistics of all rows first; normalised: no network, the normalised factors (UltraEdit); rates: learned step sizes alone; naive: a dense network on the whole gradient, for tiny layers; efk: masks on the gradient by a network that reads the edit (KE)"`
	Combine         bool    `yaml:"combine" doc:"one network on u and delta together; false: one on each"`
	OneSided        bool    `yaml:"one_sided" doc:"transform only the smaller of u and delta (needs combine: false)"`
	XOnly           bool    `yaml:"x_only" doc:"transform only u (needs combine: false)"`
	DOnly           bool    `yaml:"delta_only" doc:"transform only delta (needs combine: false)"`
	Norm            bool    `yaml:"norm" doc:"divide by running mean and deviation first"`
	Shared          bool    `yaml:"shared" doc:"one network per weight shape with a scale and shift per weight; false: one per weight"`
	Hidden          int     `yaml:"n_hidden" doc:"hidden layers; there are n_hidden+1 layers"`
	Rank            int     `yaml:"rank" doc:"rank of each layer, at most its width; cost grows linearly"`
	Init            string  `yaml:"init" doc:"id: start as the identity; xavier: random, without residual"`
	EditLR          float64 `yaml:"edit_lr" doc:"initial step size of every edited weight"`
	StdFloor        float64 `yaml:"std_floor" doc:"deviations below this share of the median are raised to it; 0: off, as the reference"`
	LastLin         bool    `yaml:"last_linear" doc:"no clamp in the last layer"`
	ConditionDim    int     `yaml:"condition_dim" absent:"768" doc:"kind efk: width of the vector that the edit's text becomes"`
	ConditionHidden int     `yaml:"condition_hidden" absent:"512" doc:"kind efk: width of the LSTM in each direction, and of the layer between vector and masks"`
	MaxScale        float64 `yaml:"max_scale" absent:"1" doc:"kind efk: bound on the scale of the masked gradient"`

	Update Update `yaml:"update" doc:"how transformed rows become a change"`
}

// maxHidden is far more layers than help.
const maxHidden = 1000

// Default is MEND as published, with deviations floored at a thousandth of
// their median.
func Default() Config {
	return Config{Kind: "mend", Combine: true, Norm: true, Shared: true, Hidden: 1, Rank: 1920, Init: "id", EditLR: 1e-4, StdFloor: 1e-3, ConditionDim: 768, ConditionHidden: 512, MaxScale: 1, Update: DefaultUpdate()}
}

// Name is what tables call the editor.
func (c *Config) Name() string {
	u := c.Update
	switch {
	case c.Kind == "malmen" && u.Rule == Solve && u.Prior == Identity && u.Values == Product:
		return "malmen"
	case c.Kind == "normalised" && u.Rule == Solve && u.Prior == Identity && u.Values == Square:
		return "ultraedit"
	case u.Rule == Sum || u == Update{}:
		return c.Kind
	case c.Kind == "mend" && u.Prior == Moment:
		return "keyhole"
	}
	return c.Kind + "-" + u.Rule
}

// Validate reports the first impossible value.
func (c *Config) Validate() error {
	k := kindOf(c.Kind)
	switch {
	case k == nil:
		return fmt.Errorf("kind: %q is none of %s", c.Kind, kindNames())
	case !slices.Contains([]string{"id", "xavier"}, c.Init):
		return fmt.Errorf("init: %q is neither id nor xavier", c.Init)
	case c.Combine && (c.OneSided || c.XOnly || c.DOnly):
		return fmt.Errorf("combine: true excludes one_sided, x_only and delta_only; set combine: false")
	case c.OneSided && (c.XOnly || c.DOnly), c.XOnly && c.DOnly:
		return fmt.Errorf("one_sided, x_only and delta_only exclude each other; set only one")
	case c.Hidden < 0 || c.Hidden > maxHidden:
		return fmt.Errorf("n_hidden: %d is not in 0 to %d", c.Hidden, maxHidden)
	case c.Rank < 1:
		return fmt.Errorf("rank: %d is below 1", c.Rank)
	case math.IsNaN(c.EditLR) || math.IsInf(c.EditLR, 0):
		return fmt.Errorf("edit_lr: %g is not a finite number", c.EditLR)
	case c.StdFloor < 0 || c.StdFloor > 1:
		return fmt.Errorf("std_floor: %g is outside 0 to 1", c.StdFloor)
	case k.traits().reads && (c.ConditionDim < 1 || c.ConditionHidden < 1):
		return fmt.Errorf("condition_dim and condition_hidden: %d and %d must be at least 1", c.ConditionDim, c.ConditionHidden)
	case k.traits().reads && !(c.MaxScale > 0):
		return fmt.Errorf("max_scale: %g is not positive", c.MaxScale)
	case k.traits().sums && c.Update.Rule != Sum:
		return fmt.Errorf("kind: %s makes whole updates, so there are no rows to solve for; set update.rule: sum", c.Kind)
	}
	if err := c.Update.Validate(); err != nil {
		return fmt.Errorf("update.%w", err)
	}
	return nil
}
