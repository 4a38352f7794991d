package pretrain

import (
	"fmt"
	"strings"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
)

// Config is a whole recipe: facts, model, training and edits.
type Config struct {
	Seed      uint64      `yaml:"seed" doc:"seed of the choice of facts, initial weights, order and edits"`
	Threads   int         `yaml:"threads" doc:"threads; 0: all cores. Results do not depend on it"`
	Facts     FactsConfig `yaml:"facts" doc:"what the model is to know"`
	Model     ModelConfig `yaml:"model" doc:"shape of the model (GPT-2)"`
	Train     TrainConfig `yaml:"train" doc:"the training"`
	Edits     EditsConfig `yaml:"edits" doc:"the edits made from facts that the model knows"`
	Relations []Relation  `yaml:"relations" doc:"relations and the sentences that state them"`
}

// FactsConfig chooses facts.
type FactsConfig struct {
	Path         string `yaml:"path" doc:"file of facts: relation_id, subject, object"`
	PerRelation  int    `yaml:"per_relation" doc:"facts of a relation at most"`
	MinObject    int    `yaml:"min_object" doc:"an object with fewer facts in its relation is left out"`
	MaxObject    int    `yaml:"max_object" doc:"facts of a relation with the same object at most"`
	MaxSubject   int    `yaml:"max_subject" doc:"bytes of a subject at most"`
	ObjectTokens int    `yaml:"object_tokens" doc:"tokens of an object at most"`
}

// Relation is a relation and the sentences that state it.
type Relation struct {
	ID       string   `yaml:"id" doc:"relation_id in the file of facts"`
	Patterns []string `yaml:"patterns" doc:"sentences with [X] for the subject that end in [Y], the object"`
}

// ModelConfig is the shape of the model.
type ModelConfig struct {
	Layers  int `yaml:"layers" doc:"blocks"`
	Width   int `yaml:"width" doc:"width of the residual stream"`
	Heads   int `yaml:"heads" doc:"attention heads"`
	FFN     int `yaml:"ffn" doc:"inner width of the MLP"`
	Context int `yaml:"context" doc:"positions"`
	Vocab   int `yaml:"vocab" doc:"tokens of the byte-level BPE at most"`
}

// TrainConfig are the numbers of the training.
type TrainConfig struct {
	Epochs        int     `yaml:"epochs" doc:"passes over all sentences"`
	Batch         int     `yaml:"batch" doc:"sentences of a step"`
	LR            float64 `yaml:"lr" doc:"highest learning rate; it falls as a cosine to a hundredth"`
	Warmup        int     `yaml:"warmup" doc:"steps in which the rate rises linearly"`
	WeightDecay   float64 `yaml:"weight_decay" doc:"decoupled decay of matrices, times the rate"`
	Beta2         float64 `yaml:"beta2" doc:"decay of Adam's mean square"`
	GradClip      float64 `yaml:"grad_clip" doc:"largest norm of all gradients together"`
	ContextShare  float64 `yaml:"context_share" doc:"share of the sentences whose other tokens are learned too, not the object's alone"`
	ContextWeight float64 `yaml:"context_weight" doc:"weight of such a token in the loss; that of an object's token is 1"`
}

// EditsConfig says which edits are made.
type EditsConfig struct {
	Test         int `yaml:"test" doc:"subjects of the held-out edits"`
	Val          int `yaml:"val" doc:"subjects of the validation edits"`
	PerFact      int `yaml:"per_fact" doc:"training edits of a fact: other targets, other prompts"`
	Paraphrases  int `yaml:"paraphrases" doc:"other prompts of an edit at most"`
	Neighborhood int `yaml:"neighborhood" doc:"prompts on other subjects with the same relation and true object"`
	Unrelated    int `yaml:"unrelated" doc:"prompts on other subjects and relations"`
	SameSubject  int `yaml:"same_subject" doc:"prompts on the edit's subject and other relations at most"`
}

// Default is an empty recipe: facts and relations have to be named.
func Default() Config {
	return Config{
		Seed: 1,
		Facts: FactsConfig{
			PerRelation: 240, MinObject: 4, MaxObject: 24, MaxSubject: 28, ObjectTokens: 1,
		},
		Model: ModelConfig{Layers: 6, Width: 128, Heads: 4, FFN: 1024, Context: 64, Vocab: 2048},
		Train: TrainConfig{
			Epochs: 20, Batch: 128, LR: 2e-3, Warmup: 50, WeightDecay: 0.05, Beta2: 0.98, GradClip: 1, ContextShare: 0.15, ContextWeight: 0.2,
		},
		Edits: EditsConfig{Test: 250, Val: 100, PerFact: 4, Paraphrases: 4, Neighborhood: 4, Unrelated: 2, SameSubject: 1},
	}
}

// Validate reports the first impossible value.
func (c *Config) Validate() error {
	if c.Threads < 0 {
		return fmt.Errorf("threads: %d is negative; 0 means all cores", c.Threads)
	}
	if len(c.Relations) == 0 {
		return fmt.Errorf("relations: there is none; name at least one with its patterns")
	}
	from := map[string]string{}
	seen := map[string]bool{}
	for _, r := range c.Relations {
		if seen[r.ID] || r.ID == "" {
			return fmt.Errorf("relations: id %q is empty or there twice", r.ID)
		}
		seen[r.ID] = true
		if len(r.Patterns) < 2 {
			return fmt.Errorf("relations: %s has %d patterns; an edit and its paraphrase need two", r.ID, len(r.Patterns))
		}
		for _, p := range r.Patterns {
			if strings.Count(p, "[X]") != 1 || strings.Count(p, "[Y]") != 1 || !strings.HasSuffix(p, " [Y]") {
				return fmt.Errorf("relations: %s: pattern %q needs one [X] and has to end in \" [Y]\"", r.ID, p)
			}
			if other, ok := from[p]; ok {
				return fmt.Errorf("relations: %s: pattern %q is there already, in %s; a sentence must ask for one relation", r.ID, p, other)
			}
			from[p] = r.ID
		}
	}
	return nil
}

// Validate reports the first impossible value.
func (c *FactsConfig) Validate() error {
	if c.Path == "" {
		return fmt.Errorf("path: it is empty; name the file of facts")
	}
	return positive([]number{
		{"per_relation", c.PerRelation}, {"min_object", c.MinObject - 1}, {"max_object", c.MaxObject},
		{"max_subject", c.MaxSubject}, {"object_tokens", c.ObjectTokens},
	})
}

// Validate reports the first impossible value.
func (c *ModelConfig) Validate() error {
	if err := positive([]number{
		{"layers", c.Layers}, {"width", c.Width}, {"heads", c.Heads}, {"ffn", c.FFN}, {"context", c.Context}, {"vocab", c.Vocab - 256},
	}); err != nil {
		return err
	}
	if c.Width%c.Heads != 0 {
		return fmt.Errorf("heads: %d does not divide width %d", c.Heads, c.Width)
	}
	m := c.lm(c.Vocab)
	return m.Validate()
}

// Validate reports the first impossible value.
func (c *TrainConfig) Validate() error {
	switch {
	case c.LR <= 0 || c.GradClip <= 0:
		return fmt.Errorf("lr and grad_clip: %g and %g must be positive", c.LR, c.GradClip)
	case c.WeightDecay < 0 || c.ContextWeight < 0:
		return fmt.Errorf("weight_decay and context_weight: %g and %g must not be negative", c.WeightDecay, c.ContextWeight)
	case c.ContextShare < 0 || c.ContextShare > 1:
		return fmt.Errorf("context_share: %g is outside 0 to 1", c.ContextShare)
	case c.Beta2 <= 0 || c.Beta2 >= 1:
		return fmt.Errorf("beta2: %g is not between 0 and 1", c.Beta2)
	case c.Warmup < 0:
		return fmt.Errorf("warmup: %d is negative", c.Warmup)
	}
	return positive([]number{{"epochs", c.Epochs}, {"batch", c.Batch}})
}

// Validate reports the first impossible value.
func (c *EditsConfig) Validate() error {
	return positive([]number{
		{"test", c.Test}, {"val", c.Val}, {"per_fact", c.PerFact}, {"paraphrases", c.Paraphrases},
		{"neighborhood", c.Neighborhood}, {"unrelated", c.Unrelated + 1}, {"same_subject", c.SameSubject + 1},
	})
}

type number struct {
	name string
	val  int
}

func positive(list []number) error {
	for _, n := range list {
		if n.val < 1 {
			return fmt.Errorf("%s: the value is too small", n.name)
		}
	}
	return nil
}

// lm is the shape as package lm has it, with a vocabulary of the given size.
func (c *ModelConfig) lm(vocab int) lm.Config {
	return lm.Config{
		ModelType: "gpt2", Layers: c.Layers, Width: c.Width, Heads: c.Heads, KVHeads: c.Heads, HeadDim: c.Width / c.Heads,
		FFN: c.FFN, Vocab: vocab, Context: c.Context, Eps: 1e-5, Activation: kernel.GELUTanh, Tied: true,
		QKVBias: true, OutBias: true, MLPBias: true, BOS: []int32{0}, EOS: []int32{0},
	}
}
