package wise

import (
	"fmt"
	"slices"

	"keyhole.example/keyhole/edit/keyvalue"
	"keyhole.example/keyhole/lm"
)

// Config is WISE's, in the words of its published configurations.
type Config struct {
	Layer     string  `yaml:"layer" doc:"the MLP matrix, as mlp.down@23; empty: mlp.down at 27 of 32 blocks"`
	LR        float64 `yaml:"edit_lr" doc:"learning rate, by SGD"`
	Steps     int     `yaml:"n_iter" doc:"steps of an edit at most"`
	Alpha     float64 `yaml:"alpha" doc:"largest distance that an unrelated text may have"`
	Beta      float64 `yaml:"beta" doc:"least distance that an edit shall have"`
	Gamma     float64 `yaml:"gamma" doc:"least margin between the two"`
	ActRatio  float64 `yaml:"act_ratio" doc:"share of the edits' least distance that sends a prompt through a memory"`
	MaskRatio float64 `yaml:"mask_ratio" doc:"share of the matrix's entries that a side memory may change"`
	Clamp     float64 `yaml:"norm_constraint" doc:"largest change of an entry; 0: any"`
	Save      int     `yaml:"save_freq" doc:"edits of a side memory"`
	Merge     int     `yaml:"merge_freq" doc:"edits after which side memories become one; a multiple of save_freq"`
	Density   float64 `yaml:"densities" doc:"share of a side memory's largest changes that a merge takes"`
	Algorithm string  `yaml:"merge_alg" absent:"ties" doc:"how side memories become one: ties, magnitude, magnitude_norm, sign, linear, dare_ties, dare_linear, slerp"`
	Retrieve  bool    `yaml:"retrieve" doc:"look through all memories; else merges change the matrix's stand-in"`
	Seed      uint64  `yaml:"seed" doc:"seed of masks and unrelated texts"`
	Capacity  int     `yaml:"capacity" absent:"0" doc:"edits that the side memories hold at most; 0: any number"`
	Compat    string  `yaml:"compat" doc:"follow published code where it goes astray: reference; empty: not"`

	Contexts keyvalue.ContextConfig `yaml:"contexts" doc:"texts put in front of the prompt"`
}

// CompatReference follows the published code.
const CompatReference = "reference"

// Default is the published settings of Llama-2-7B.
func Default() Config {
	return Config{
		LR: 1, Steps: 70, Alpha: 5, Beta: 20, Gamma: 10, ActRatio: 0.88, MaskRatio: 0.2, Clamp: 1, Save: 500, Merge: 1000, Density: 0.53, Algorithm: tiesName, Retrieve: true, Seed: 1,
		Contexts: keyvalue.ContextConfig{Lengths: []int{5, 10}, Count: 5, TopK: 5, Seed: 1, Starts: []string{"I", "You", "Because", "Yes", "Q: "}},
	}
}

// Validate checks every field.
func (c *Config) Validate() error {
	if err := c.Contexts.Validate(); err != nil {
		return fmt.Errorf("contexts: %w", err)
	}
	for _, f := range []struct {
		key   string
		value float64
	}{{"edit_lr", c.LR}, {"alpha", c.Alpha}, {"beta", c.Beta}, {"gamma", c.Gamma}, {"act_ratio", c.ActRatio}} {
		if !(f.value > 0) {
			return fmt.Errorf("%s: %v is not positive", f.key, f.value)
		}
	}
	switch {
	case c.ActRatio > 1:
		return fmt.Errorf("act_ratio: %v keeps nothing: an edit's own prompt would have to lie further from the matrix than it does; use at most 1", c.ActRatio)
	case c.Capacity < 0:
		return fmt.Errorf("capacity: %d is negative; 0 means any number", c.Capacity)
	case c.Steps < 1:
		return fmt.Errorf("n_iter: %d is not positive", c.Steps)
	case !(c.MaskRatio > 0):
		return fmt.Errorf("mask_ratio: %v lets nothing change; use a number above 0, up to 1", c.MaskRatio)
	case !(c.MaskRatio <= 1):
		return fmt.Errorf("mask_ratio: %v is above 1", c.MaskRatio)
	case !(c.Clamp >= 0):
		return fmt.Errorf("norm_constraint: %v is negative", c.Clamp)
	case c.Save < 1:
		return fmt.Errorf("save_freq: %d is not positive", c.Save)
	case c.Merge < c.Save || c.Merge%c.Save != 0:
		return fmt.Errorf("merge_freq: %d is no multiple of save_freq, %d", c.Merge, c.Save)
	case !(c.Density > 0 && c.Density <= 1):
		return fmt.Errorf("densities: %v is not above 0 and up to 1", c.Density)
	case !known(c.Algorithm):
		return fmt.Errorf("merge_alg: %q is none of %s", c.Algorithm, mergeNames())
	case !slices.Contains([]string{"", CompatReference}, c.Compat):
		return fmt.Errorf("compat: %q is not %s", c.Compat, CompatReference)
	}
	return nil
}

func known(algorithm string) bool {
	_, ok := find(algorithm)
	return ok
}

// Site is the matrix that the config names in m.
func (c *Config) Site(m *lm.Model) (lm.Site, error) {
	pattern := c.Layer
	if pattern == "" {
		pattern = fmt.Sprintf("%s@%d", lm.RoleDown, m.Config.Layers*27/32)
	}
	site, err := m.FindSite(pattern)
	if err != nil {
		return lm.Site{}, fmt.Errorf("layer: %w", err)
	}
	return site, nil
}
