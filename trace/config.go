package trace

import (
	"fmt"
	"strconv"
	"strings"
)

// Config says what is corrupted, restored and severed.
type Config struct {
	Corrupt    string  `yaml:"corrupt" doc:"what happens to the subject's embeddings: noise (added), replace (noise in their place), mask (a fixed vector in their place)"`
	Noise      string  `yaml:"noise" doc:"level of the noise: s3 is 3 standard deviations of subjects' embeddings; a number is the level itself; u0.5 is uniform noise between -0.5 and 0.5"`
	Samples    int     `yaml:"samples" doc:"draws of noise that probabilities are averaged over"`
	Seed       int     `yaml:"seed" doc:"seed of the noise, as NumPy's RandomState takes it"`
	Mask       string  `yaml:"mask" doc:"vector that corrupt: mask puts in: mean (of the vocabulary's embeddings), zero, or token:TEXT for a token's embedding"`
	Restore    string  `yaml:"restore" doc:"state that is set back: hidden (a block's output), mlp or attn (a module's outputs in a window of blocks)"`
	Window     int     `yaml:"window" doc:"blocks in the window of restore: mlp and attn; 0: a fifth of the depth"`
	Sever      string  `yaml:"sever" doc:"modules frozen at their corrupted outputs behind a restored hidden state: none, mlp, attn"`
	FirstToken bool    `yaml:"first_token" doc:"an expected answer of several tokens counts as known when the model's first token is right"`
	MinEffect  float64 `yaml:"min_effect" doc:"least total effect for which the normalised recovery is defined"`
}

// Values of Config.Corrupt.
const (
	CorruptNoise   = "noise"
	CorruptReplace = "replace"
	CorruptMask    = "mask"
)

// Values of Config.Restore and Config.Sever.
const (
	Hidden = "hidden"
	MLP    = "mlp"
	Attn   = "attn"
	None   = "none"
)

// Default is the reference's tracing of hidden states: ten draws of noise of
// three standard deviations.
func Default() Config {
	return Config{
		Corrupt: CorruptNoise, Noise: "s3", Samples: 10, Seed: 1, Mask: "mean",
		Restore: Hidden, Sever: None, MinEffect: 1e-4,
	}
}

// Validate checks every field.
func (c *Config) Validate() error {
	const maxSeed = 1<<32 - 1
	if _, err := parseNoise(c.Noise); err != nil {
		return err
	}
	switch {
	case c.Corrupt != CorruptNoise && c.Corrupt != CorruptReplace && c.Corrupt != CorruptMask:
		return fmt.Errorf("corrupt: %q is none of noise, replace, mask", c.Corrupt)
	case c.Samples < 1 || c.Samples > 1000:
		return fmt.Errorf("samples: %d is not in 1 to 1000", c.Samples)
	case c.Seed < 0 || c.Seed > maxSeed:
		return fmt.Errorf("seed: %d is not in 0 to %d", c.Seed, maxSeed)
	case c.Mask != "mean" && c.Mask != "zero" && !strings.HasPrefix(c.Mask, "token:"):
		return fmt.Errorf("mask: %q is none of mean, zero, token:TEXT", c.Mask)
	case c.Restore != Hidden && c.Restore != MLP && c.Restore != Attn:
		return fmt.Errorf("restore: %q is none of hidden, mlp, attn", c.Restore)
	case c.Window < 0:
		return fmt.Errorf("window: %d is negative; use 0 for a fifth of the depth", c.Window)
	case c.Sever != None && c.Sever != MLP && c.Sever != Attn:
		return fmt.Errorf("sever: %q is none of none, mlp, attn", c.Sever)
	case c.Sever != None && c.Restore != Hidden:
		return fmt.Errorf("sever: %s goes with restore: hidden, not with restore: %s", c.Sever, c.Restore)
	case !(c.MinEffect > 0 && c.MinEffect < 1):
		return fmt.Errorf("min_effect: %v is not between 0 and 1", c.MinEffect)
	}
	return nil
}

// window is the width of windows in a model of the given depth.
func (c *Config) window(layers int) int {
	const fraction = 5
	if c.Window > 0 {
		return c.Window
	}
	return max(1, (layers+fraction/2)/fraction)
}

// noise is a parsed Config.Noise.
type noise struct {
	uniform bool
	sigmas  float64 // level in standard deviations of embeddings; 0: level holds
	level   float64
}

func parseNoise(text string) (noise, error) {
	bad := fmt.Errorf("noise: %q is no level; write s3 (standard deviations), 0.1 (the level itself) or u0.1 (uniform)", text)
	number := func(digits string) (float64, error) {
		v, err := strconv.ParseFloat(digits, 64)
		if err != nil || !(v > 0 && v < 1e6) {
			return 0, bad
		}
		return v, nil
	}
	if digits, ok := strings.CutPrefix(text, "s"); ok {
		if digits == "" {
			return noise{sigmas: 1}, nil
		}
		v, err := number(digits)
		return noise{sigmas: v}, err
	}
	digits, uniform := strings.CutPrefix(text, "u")
	v, err := number(digits)
	return noise{uniform: uniform, level: v}, err
}
