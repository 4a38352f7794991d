package encoder

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/tokenizer"
	"keyhole.example/keyhole/nn/eager"
)

// Size is that of a new encoder.
type Size struct {
	Layers    int `yaml:"layers" absent:"2" doc:"blocks of a new encoder"`
	Width     int `yaml:"width" absent:"128" doc:"width of a new encoder"`
	Heads     int `yaml:"heads" absent:"4" doc:"heads of a new encoder"`
	Positions int `yaml:"positions" absent:"64" doc:"tokens at which a new encoder cuts texts"`
}

// Validate reports the first impossible value.
func (s *Size) Validate() error { return s.shape(1).check() }

func (s *Size) shape(vocab int) *shape {
	return &shape{
		ModelType: "bert", Layers: s.Layers, Width: s.Width, Heads: s.Heads, FFN: 4 * s.Width, Vocab: vocab,
		Positions: s.Positions, Types: 1, Eps: 1e-12, Activation: "gelu", Embedding: "absolute",
	}
}

// New is an untrained encoder of texts as tok cuts them, with BERT's initial
// weights: normal with deviation 0.02, biases 0, gains 1. It computes with k.
func New(size Size, tok tokenizer.Tokenizer, k *kernel.Engine, rng *rand.Rand) (*Encoder, error) {
	s := size.shape(tok.Size())
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("new encoder: %w", err)
	}
	net, err := bind(lm.FreshWeights(rng), s)
	if err != nil {
		return nil, fmt.Errorf("new encoder: %w", err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "new %+v of %d tokens", size, tok.Size()))
	return &Encoder{pool: Mean, shape: s, limit: s.Positions, net: net, tok: tok, hash: hex.EncodeToString(sum[:]), ops: eager.New(k)}, nil
}
