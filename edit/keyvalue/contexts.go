package keyvalue

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	normal "golang.org/x/text/unicode/norm"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/tokenizer"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/text"
)

// ContextConfig says which texts are put in front of prompts.
type ContextConfig struct {
	Lengths   []int    `yaml:"lengths" doc:"lengths of the texts that the model makes, in tokens, the start included"`
	Count     int      `yaml:"count" doc:"texts of each length"`
	TopK      int      `yaml:"top_k" doc:"each token is drawn from that many best ones"`
	Seed      uint64   `yaml:"seed" doc:"seed of the draws"`
	Starts    []string `yaml:"starts" doc:"words that the texts begin with in turn; none: the token that begins or ends a text"`
	Templates []string `yaml:"templates" doc:"texts to use instead, each with {} at its end for the prompt"`
}

// Validate checks every field.
func (c *ContextConfig) Validate() error {
	for _, t := range c.Templates {
		if !strings.HasSuffix(t, "{}") {
			return fmt.Errorf("templates: %q has no {} at its end for the prompt", t)
		}
	}
	for _, n := range c.Lengths {
		if n < 2 || n > 1000 {
			return fmt.Errorf("lengths: %d is not in 2 to 1000", n)
		}
	}
	switch {
	case c.Count < 0 || c.Count > 1000:
		return fmt.Errorf("count: %d is not in 0 to 1000", c.Count)
	case c.TopK < 1:
		return fmt.Errorf("top_k: %d is not positive", c.TopK)
	}
	return nil
}

// ContextCache keeps the contexts of each model; the zero value is empty. It may
// be used by several goroutines.
type ContextCache struct {
	mu      sync.Mutex
	byModel map[string][]string // by hash
}

// Of are m's contexts, made at the first call by m as it is then.
func (cc *ContextCache) Of(m *lm.Model, k *kernel.Engine, c ContextConfig) ([]string, error) {
	hash, err := m.Hash()
	if err != nil {
		return nil, err
	}
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if texts, ok := cc.byModel[hash]; ok {
		return texts, nil
	}
	texts, err := Contexts(m, eager.New(k), c)
	if err != nil {
		return nil, err
	}
	if cc.byModel == nil {
		cc.byModel = map[string][]string{}
	}
	cc.byModel[hash] = texts
	return texts, nil
}

// Contexts makes the texts, without the empty one: those of the templates, or
// samples of the model as it is, each followed by a full stop and a space.
func Contexts(m *lm.Model, o *eager.Ops, c ContextConfig) ([]string, error) {
	var out []string
	if len(c.Templates) > 0 {
		for _, t := range c.Templates {
			if prefix := strings.TrimSuffix(t, "{}"); prefix != "" {
				out = append(out, prefix)
			}
		}
		return out, nil
	}
	if len(c.Lengths)*c.Count == 0 {
		return nil, nil
	}
	starts, opts, err := draws(m, c)
	if err != nil {
		return nil, fmt.Errorf("contexts: %w", err)
	}
	rest, err := m.GenerateAll(o, starts, opts)
	if err != nil {
		return nil, fmt.Errorf("contexts: %w", err)
	}
	for i, ids := range rest {
		s := normal.NFKD.String(m.Tokenizer.DecodeSkip(append(starts[i], ids...)))
		out = append(out, strings.ReplaceAll(s, "\n\n", " ")+". ")
	}
	return out, nil
}

// draws are the beginnings of the texts, and how they go on.
func draws(m *lm.Model, c ContextConfig) (starts [][]int32, opts []lm.GenerateOptions, err error) {
	tok := m.Tokenizer
	if tok == nil {
		return nil, nil, errors.New("the model has no tokenizer")
	}
	for _, length := range c.Lengths {
		for i := range c.Count {
			var start []int32
			if len(c.Starts) > 0 {
				start = text.Prompt(tok, c.Starts[i%len(c.Starts)])
			} else if id, ok := beginning(tok); ok {
				start = []int32{id}
			} else {
				return nil, nil, errors.New("the tokenizer has no token that begins or ends a text; give starts or templates")
			}
			// Each text has a seed of its own, so that it does not depend on the others.
			const stride = 0x9e3779b97f4a7c15
			opts = append(opts, lm.GenerateOptions{
				Tokens:  max(0, length-len(start)),
				Sampler: lm.Sampler{Temperature: 1, TopK: c.TopK, Seed: c.Seed + uint64(len(opts)+1)*stride},
			})
			starts = append(starts, start)
		}
	}
	return starts, opts, nil
}

func beginning(tok tokenizer.Tokenizer) (int32, bool) {
	if id, ok := tok.BOS(); ok {
		return id, true
	}
	return tok.EOS()
}
