package lm

import (
	"fmt"

	"keyhole.example/keyhole/internal/kernel"
)

// Config is the shape of a base model, in one vocabulary for all
// architectures.
type Config struct {
	ModelType  string // model_type of config.json: "gpt2", "llama", …
	Layers     int    // blocks
	Width      int    // of the residual stream, d_model
	Heads      int    // query heads
	KVHeads    int    // key and value heads; divides Heads
	HeadDim    int    // elements per head
	FFN        int    // inner width of the MLP
	Vocab      int    // rows of the embedding and of the head
	Context    int    // positions
	Eps        float64
	Activation kernel.Activation
	Tied       bool // the head is the embedding
	Rope       Rope // unused where positions are learned

	Window     int  // a token sees that many last ones, its own included; 0: all
	WindowFrom int  // first block with the window
	Parallel   bool // attention and MLP read the same input (GPT-J, NeoX, Phi)
	QKVBias    bool // biases of the q, k and v projections
	OutBias    bool // bias of attention's output projection
	MLPBias    bool // biases of the MLP

	ScaleByLayer bool // GPT-2: scores of block i are divided by i+1 besides

	QKNorm     bool    // an RMS norm of each query and key head (Qwen3, Gemma 3)
	AttnScale  float64 // of the scores; 0: 1/√HeadDim
	AttnCap    float64 // scores s become AttnCap·tanh(s/AttnCap) (Gemma 2); 0: they stay
	LogitCap   float64 // the same of the head's logits; 0: they stay
	Sliding    []bool  // which blocks have the window; nil: all from WindowFrom on
	NoRope     []bool  // which blocks do without rotary positions (SmolLM3); nil: none
	LocalBase  float64 // rotary base of the blocks with the window (Gemma 3); 0: no other
	EmbedScale float64 // of the token embeddings (Gemma); 0: 1
	EmbedWidth int     // of the token embeddings (OPT-350m); 0: Width
	NormAfter  bool    // norms behind attention and MLP, so that what the MLP gives is not just added (Gemma, OPT-350m)

	BOS, EOS []int32 // start and end tokens that config.json names
}

// Rope describes rotary positions.
type Rope struct {
	Base        float64 // rope_theta
	Dims        int     // leading dimensions of a head that turn; 0: no rotary positions
	Interleaved bool    // pairs (2i, 2i+1), as in GPT-J; else (i, i+Dims/2)

	Scaling string  // "", or one of the scale constants
	Factor  float64 // of every scaling

	LowFreq, HighFreq  float64   // llama3
	BetaFast, BetaSlow float64   // yarn: rotations over the original context
	Whole              bool      // yarn: bounds of the ramp are whole dimensions
	Attention          float64   // yarn, longrope: what cos and sin are multiplied by
	Short              []float64 // longrope: what each frequency is divided by
	Original           int       // llama3, yarn, longrope: context before scaling
}

// Limits of what a config may claim, far above any published model; they keep
// products of sizes inside an int.
const (
	maxLayers  = 1 << 12
	maxWidth   = 1 << 18
	maxFFN     = 1 << 21
	maxVocab   = 1 << 24
	maxContext = 1 << 24
)

// Validate checks ranges and what has to divide what.
func (c *Config) Validate() error {
	for _, f := range []struct {
		name      string
		value, hi int
	}{
		{"number of layers", c.Layers, maxLayers},
		{"hidden size", c.Width, maxWidth},
		{"number of attention heads", c.Heads, maxWidth},
		{"number of key-value heads", c.KVHeads, maxWidth},
		{"head dimension", c.HeadDim, maxWidth},
		{"size of the MLP", c.FFN, maxFFN},
		{"vocabulary size", c.Vocab, maxVocab},
		{"context length", c.Context, maxContext},
	} {
		if f.value < 1 || f.value > f.hi {
			return fmt.Errorf("%s: %d is not in 1 to %d", f.name, f.value, f.hi)
		}
	}
	switch {
	case c.Heads%c.KVHeads != 0:
		return fmt.Errorf("number of key-value heads: %d does not divide the %d attention heads", c.KVHeads, c.Heads)
	case c.Heads*c.HeadDim > maxWidth:
		return fmt.Errorf("head dimension: %d heads of %d elements are wider than %d", c.Heads, c.HeadDim, maxWidth)
	case c.Sliding != nil && len(c.Sliding) != c.Layers || c.NoRope != nil && len(c.NoRope) != c.Layers:
		return fmt.Errorf("layer types: %d and %d for %d blocks", len(c.Sliding), len(c.NoRope), c.Layers)
	case !(c.AttnScale >= 0 && c.AttnScale < 1e6) || !(c.EmbedScale >= 0 && c.EmbedScale < 1e6):
		return fmt.Errorf("scales of scores and embeddings: %v and %v are not in 0 to 1e6", c.AttnScale, c.EmbedScale)
	case !(c.AttnCap >= 0 && c.AttnCap < 1e6) || !(c.LogitCap >= 0 && c.LogitCap < 1e6):
		return fmt.Errorf("caps of scores and logits: %v and %v are not in 0 to 1e6", c.AttnCap, c.LogitCap)
	case c.LocalBase != 0 && !(c.LocalBase > 1 && c.LocalBase < 1e12):
		return fmt.Errorf("local rotary base: %v is not in 1 to 1e12", c.LocalBase)
	case c.EmbedWidth < 0 || c.EmbedWidth > maxWidth:
		return fmt.Errorf("width of the embeddings: %d is not in 1 to %d", c.EmbedWidth, maxWidth)
	case !(c.Eps >= 0 && c.Eps < 1):
		return fmt.Errorf("norm epsilon: %v is not in 0 to 1", c.Eps)
	case c.Window < 0 || c.WindowFrom < 0:
		return fmt.Errorf("sliding window: %d from block %d on is negative", c.Window, c.WindowFrom)
	}
	for _, id := range append(append([]int32(nil), c.BOS...), c.EOS...) {
		if id < 0 || int(id) >= c.Vocab {
			return fmt.Errorf("start or end token %d is outside the vocabulary of %d", id, c.Vocab)
		}
	}
	return c.Rope.validate(c.HeadDim)
}
