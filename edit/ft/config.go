package ft

import (
	"fmt"
	"math"
	"slices"

	"keyhole.example/keyhole/lm"
)

// Variants are the values of Config.Variant.
func Variants() []string { return []string{"ft", "ft-l", "ft-m", "lora"} }

// Objectives are the values of Config.Objective.
func Objectives() []string { return []string{ObjectiveAnswer, ObjectiveLastToken} }

// The objectives; see the package comment.
const (
	ObjectiveAnswer    = "answer"
	ObjectiveLastToken = "last_token"
)

// ByWidth is the value of Config.NormConstraint that takes ε from the table of
// published values.
const ByWidth = -1

// Config says what is trained and how. Adam's other constants are those of
// torch: 0.9, 0.999, 1e-8.
type Config struct {
	Variant        string   `yaml:"variant" doc:"ft, ft-l (norm constraint), ft-m (weight alone), lora (rank-limited)"`
	Sites          []string `yaml:"sites" doc:"trained layers, by name or pattern; empty: the MLP's second layer of the block that the papers use, scaled to the model's depth"`
	Bias           bool     `yaml:"bias" doc:"train the layers' biases too; not for lora"`
	Objective      string   `yaml:"objective" doc:"answer: the target's tokens one after another; last_token: all from the distribution behind the prompt"`
	NormConstraint float64  `yaml:"norm_constraint" doc:"largest change of an entry of a weight; 0: none; -1: as published for models of this width"`
	LR             float64  `yaml:"lr" doc:"Adam's learning rate"`
	Steps          int      `yaml:"steps" doc:"most passes over the requests"`
	StopLoss       float64  `yaml:"stop_loss" doc:"stop when the mean loss is below this, in nats"`
	BatchSize      int      `yaml:"batch_size" doc:"requests of one step"`
	Replay         bool     `yaml:"replay" absent:"false" doc:"in a sequence: train the base model on all edits so far, in mini-batches, in place of the edited one on the last alone (LocFT)"`
	Rank           int      `yaml:"rank" doc:"lora: rank of the update"`
	Alpha          float64  `yaml:"alpha" doc:"lora: the update is scaled by alpha/rank"`
	Seed           uint64   `yaml:"seed" doc:"lora: seed of the first factor"`
}

// Default is the published configuration of a variant: for ft and ft-l the
// ROME repository's, for ft-m EasyEdit's, for lora the rank and scale of Hu et
// al. and EasyEdit's learning rate. The variant must be one of Variants.
func Default(variant string) Config {
	c := Config{
		Variant: variant, Objective: ObjectiveAnswer, LR: 5e-4, Steps: 25, StopLoss: 1e-2, BatchSize: 128,
		Rank: 8, Alpha: 32, Seed: 42,
	}
	switch variant {
	case "ft":
		c.Bias = true
	case "ft-l":
		c.Bias, c.NormConstraint = true, ByWidth
	case "lora":
		c.LR = 5e-3
	}
	return c
}

// Validate reports the first impossible value.
func (c *Config) Validate() error {
	positive := func(v float64) bool { return v > 0 && !math.IsInf(v, 0) }
	switch {
	case !slices.Contains(Variants(), c.Variant):
		return fmt.Errorf("variant: %q is unknown; use one of %q", c.Variant, Variants())
	case !slices.Contains(Objectives(), c.Objective):
		return fmt.Errorf("objective: %q is unknown; use one of %q", c.Objective, Objectives())
	case c.NormConstraint != ByWidth && c.NormConstraint != 0 && !positive(c.NormConstraint):
		return fmt.Errorf("norm_constraint: %v is neither a positive number nor 0 (none) nor -1 (as published)", c.NormConstraint)
	case c.Variant == "ft-l" && c.NormConstraint == 0:
		return fmt.Errorf("norm_constraint: ft-l is defined by it; give a positive number or -1, or use ft")
	case c.Variant == "lora" && c.NormConstraint != 0:
		return fmt.Errorf("norm_constraint: %v has no meaning for lora; use 0", c.NormConstraint)
	case c.Variant == "lora" && c.Replay:
		return fmt.Errorf("replay: a low-rank update stands beside those before it; use another variant")
	case c.Variant == "lora" && c.Bias:
		return fmt.Errorf("bias: lora leaves biases alone; use false")
	case !positive(c.LR):
		return fmt.Errorf("lr: %v is not a positive number", c.LR)
	case c.Steps < 1:
		return fmt.Errorf("steps: %d is not at least 1", c.Steps)
	case !(c.StopLoss >= 0):
		return fmt.Errorf("stop_loss: %v is not a number from 0 on", c.StopLoss)
	case c.BatchSize < 1:
		return fmt.Errorf("batch_size: %d is not at least 1", c.BatchSize)
	case c.Variant == "lora" && c.Rank < 1:
		return fmt.Errorf("rank: %d is not at least 1", c.Rank)
	case c.Variant == "lora" && !positive(c.Alpha):
		return fmt.Errorf("alpha: %v is not a positive number", c.Alpha)
	}
	return nil
}

// DefaultBlock is the block that a variant trains in a model of the given
// number of blocks. Published choices by depth:
//
//	variant    28 (GPT-J)   32 (7B models)   48 (GPT-2 XL)   other depths
//	ft         21           21               1               ⌊3/4·L⌋
//	ft-l       0            0                0               0
//	ft-m lora  21           21               0               ⌊21/32·L⌋
//
// The ROME repository has ft at 21 of 28 and 1 of 48; EasyEdit has 21 of 28, 21
// of 32 and 0 of 48. Other depths are scaled from GPT-J's (ft) and the
// 7B models' (ft-m, lora), because GPT-2 XL's early block is the exception.
func DefaultBlock(variant string, layers int) int {
	const depthGPTJ, depth7B, depthXL, published = 28, 32, 48, 21
	switch {
	case variant == "ft-l":
		return 0
	case layers == depthGPTJ || layers == depth7B:
		return published
	case variant == "ft" && layers == depthXL:
		return 1
	case layers == depthXL:
		return 0
	case variant == "ft":
		return layers * published / depthGPTJ
	}
	return layers * published / depth7B
}

// DefaultNorm is ε as published for models of the given width: GPT-2 medium,
// large and XL and GPT-J in the ROME repository. Wider than one of these takes
// the next.
func DefaultNorm(width int) float64 {
	for _, row := range []struct {
		width int
		norm  float64
	}{{1024, 2e-3}, {1280, 1e-3}, {1600, 5e-4}} {
		if width <= row.width {
			return row.norm
		}
	}
	return 5e-5
}

// sites are the layers to train in m.
func (c *Config) sites(m *lm.Model) ([]lm.Site, error) {
	patterns := c.Sites
	if len(patterns) == 0 {
		patterns = []string{fmt.Sprintf("%s@%d", lm.RoleDown, DefaultBlock(c.Variant, m.Config.Layers))}
	}
	return m.FindSites(patterns)
}

// norm is ε for m, 0 for none.
func (c *Config) norm(m *lm.Model) float64 {
	if c.NormConstraint == ByWidth {
		return DefaultNorm(m.Config.Width)
	}
	return c.NormConstraint
}
