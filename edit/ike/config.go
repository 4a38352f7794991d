package ike

import (
	"fmt"
	"slices"
)

// The variants, which are also the editors' names.
const (
	Paper    = "ike"
	EasyEdit = "ike-easyedit"
	Prompt   = "prompt"
)

// Variants are the values of Config.Variant.
func Variants() []string { return []string{Paper, EasyEdit, Prompt} }

// Values of Config.Order.
const (
	NearestLast  = "nearest_last"
	NearestFirst = "nearest_first"
	RandomOrder  = "random"
)

// Values of Config.Retriever.
const (
	AutoRetriever    = "auto"
	EncoderRetriever = "encoder"
	BM25Retriever    = "bm25"
	RandomRetriever  = "random"
)

// Values of Config.Memory.
const (
	AutoMemory  = "auto"
	NoMemory    = "none"
	StoreMemory = "store"
)

// Config says which demonstrations a context holds.
type Config struct {
	Variant          string  `yaml:"variant" doc:"ike (the paper's), ike-easyedit, prompt (no demonstrations)"`
	Demonstrations   int     `yaml:"demonstrations" doc:"demonstrations, the edit's own not counted"`
	Ratio            Ratio   `yaml:"ratio" doc:"kinds of demonstration; ike alone"`
	Order            string  `yaml:"order" doc:"nearest_last, nearest_first or random"`
	OwnCopy          bool    `yaml:"own_copy" doc:"append the edited fact's own copy demonstration"`
	Retriever        string  `yaml:"retriever" doc:"encoder, bm25, random; auto: encoder if one is given, else bm25"`
	Encoder          string  `yaml:"encoder" doc:"folder of a sentence encoder (BERT); empty: none"`
	Cache            string  `yaml:"cache" doc:"folder where the encoder's vectors of the pool are kept; empty: nowhere"`
	StripParaphrases bool    `yaml:"strip_paraphrases" doc:"take unrelated sentences off the front of paraphrases, as the paper's authors do"`
	Seed             uint64  `yaml:"seed" doc:"seed of kinds, choices and random orders"`
	MaxContext       int     `yaml:"max_context" doc:"tokens of context, query and answer together; 0: what the model takes"`
	QueryTokens      int     `yaml:"query_tokens" doc:"room for a query; a longer one costs demonstrations"`
	AnswerTokens     int     `yaml:"answer_tokens" doc:"room for an answer"`
	Memory           string  `yaml:"memory" doc:"none: the edit is in front of every query; store: the nearest edit, if near enough; auto: store for several edits"`
	Threshold        float64 `yaml:"threshold" doc:"store: least similarity of query and edit, 0 to 1"`
}

// Ratio is how many demonstrations of each kind there are, relative to the
// others.
type Ratio struct {
	Copy   int `yaml:"copy" doc:"the record's own prompt: inject the fact"`
	Update int `yaml:"update" doc:"a paraphrase: generalise"`
	Retain int `yaml:"retain" doc:"a neighbour with its own answer: leave others alone"`
}

// Default is a variant as published. The variant must be one of Variants.
func Default(variant string) Config {
	c := Config{
		Variant: variant, Demonstrations: 32, Ratio: Ratio{Copy: 1, Update: 3, Retain: 4}, Order: NearestLast, OwnCopy: true,
		Retriever: AutoRetriever, StripParaphrases: true, Seed: 42, QueryTokens: 64, AnswerTokens: 32, Memory: AutoMemory, Threshold: 0.7,
	}
	switch variant {
	case EasyEdit:
		c.Demonstrations, c.Order, c.OwnCopy, c.StripParaphrases = 16, NearestFirst, false, false
	case Prompt:
		c.Demonstrations, c.OwnCopy = 0, false
	}
	return c
}

// Validate reports the first impossible value.
func (c *Config) Validate() error {
	if err := c.validateChoices(); err != nil {
		return err
	}
	r := c.Ratio
	switch {
	case c.Demonstrations < 0:
		return fmt.Errorf("demonstrations: %d is negative", c.Demonstrations)
	case c.Variant == Prompt && (c.Demonstrations > 0 || c.OwnCopy):
		return fmt.Errorf("demonstrations: prompt has none; use 0 and own_copy false, or variant ike")
	case r.Copy < 0 || r.Update < 0 || r.Retain < 0:
		return fmt.Errorf("ratio: %d : %d : %d has a negative part", r.Copy, r.Update, r.Retain)
	case r.Copy+r.Update+r.Retain == 0:
		return fmt.Errorf("ratio: all parts are 0; for no demonstrations use demonstrations: 0")
	case c.Retriever == EncoderRetriever && c.Encoder == "":
		return fmt.Errorf("retriever: encoder needs the folder of one in encoder; give it, or use bm25")
	case c.MaxContext < 0:
		return fmt.Errorf("max_context: %d is negative; use 0 for what the model takes", c.MaxContext)
	case c.QueryTokens < 1:
		return fmt.Errorf("query_tokens: %d is not at least 1", c.QueryTokens)
	case c.AnswerTokens < 1:
		return fmt.Errorf("answer_tokens: %d is not at least 1", c.AnswerTokens)
	case !(c.Threshold >= 0 && c.Threshold <= 1):
		return fmt.Errorf("threshold: %v is not in 0 to 1", c.Threshold)
	}
	return nil
}

func (c *Config) validateChoices() error {
	for _, f := range []struct {
		name, value string
		allowed     []string
	}{
		{"variant", c.Variant, Variants()},
		{"order", c.Order, []string{NearestLast, NearestFirst, RandomOrder}},
		{"retriever", c.Retriever, []string{AutoRetriever, EncoderRetriever, BM25Retriever, RandomRetriever}},
		{"memory", c.Memory, []string{AutoMemory, NoMemory, StoreMemory}},
	} {
		if !slices.Contains(f.allowed, f.value) {
			return fmt.Errorf("%s: %q is unknown; use one of %q", f.name, f.value, f.allowed)
		}
	}
	return nil
}
