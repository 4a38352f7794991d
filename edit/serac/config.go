package serac

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"keyhole.example/keyhole/encoder"
)

// Config is what SERAC is made of, beside the base model and the weights of the
// two losses.
type Config struct {
	Encoder        string       `yaml:"encoder" absent:"" doc:"folder of the scope classifier's encoder, a BERT or a DistilBERT; empty: a new one over the base model's tokens"`
	New            encoder.Size `yaml:"new_encoder" doc:"size of a new encoder"`
	Pool           string       `yaml:"pool" absent:"" doc:"a text's vector: mean, the mean of its states divided by its norm; first, its first token's state; empty: as the encoder has it"`
	Counterfactual string       `yaml:"counterfactual" absent:"" doc:"model that answers in scope, with the base model's tokens: a folder or a GGUF file; empty: a copy of the base model"`
	FreezeEncoder  bool         `yaml:"freeze_encoder" absent:"false" doc:"leave the classifier's encoder as it is"`
	FreezeModel    bool         `yaml:"freeze_counterfactual" absent:"false" doc:"leave the counterfactual model as it is: it answers with the edit in its context"`
	Context        string       `yaml:"context" absent:"{edit} " doc:"what stands in front of a query in scope; {edit} is the edit's prompt and answer"`

	Supervised bool    `yaml:"supervised" absent:"true" doc:"learn from the right edit and from pairs in and out of scope; false: from the mixture of both models"`
	Negatives  string  `yaml:"negatives" absent:"all" doc:"pairs out of scope: own, each unrelated text with its own edit; all, texts and edits that do not belong together"`
	Beginnings bool    `yaml:"beginnings" absent:"false" doc:"the first half of a prompt, or less, is out of scope too: a text that breaks off there does not ask for the answer yet"`
	Soft       bool    `yaml:"soft" absent:"false" doc:"mix the two models' probabilities; false: one of them answers"`
	Threshold  float64 `yaml:"threshold" absent:"0.5" doc:"a query is in scope where its similarity to the nearest edit is above it"`

	Square  bool `yaml:"square" absent:"true" doc:"similarity is exp(−distance²); false: exp(−distance)"`
	Cosine  bool `yaml:"cosine" absent:"false" doc:"similarity is exp(cosine − 1)"`
	Heads   int  `yaml:"dist_heads" absent:"1" doc:"parts that vectors are cut into, of which the nearest counts"`
	Bounded bool `yaml:"bound_embeds" absent:"false" doc:"tanh of vectors before they are compared"`

	Capacity int `yaml:"capacity" absent:"0" doc:"edits that a memory holds at most; 0: any number"`
}

// Default is the paper's method with a small new encoder and a copy of the base
// model.
func Default() Config {
	return Config{
		New:     encoder.Size{Layers: 2, Width: 128, Heads: 4, Positions: 64},
		Context: "{edit} ", Supervised: true, Negatives: "all", Beginnings: true, Threshold: 0.5, Square: true, Heads: 1,
	}
}

// Validate reports the first impossible value.
func (c *Config) Validate() error {
	switch {
	case c.Pool != "" && c.Pool != encoder.Mean && c.Pool != encoder.First:
		return fmt.Errorf("pool: %q is neither %s nor %s, nor empty", c.Pool, encoder.Mean, encoder.First)
	case !strings.Contains(c.Context, editMark):
		return fmt.Errorf("context: %q has no %s, so that the counterfactual model would not learn of the edit", c.Context, editMark)
	case !slices.Contains([]string{"own", "all"}, c.Negatives):
		return fmt.Errorf("negatives: %q is neither own nor all", c.Negatives)
	case c.Heads < 1:
		return fmt.Errorf("dist_heads: %d is below 1", c.Heads)
	case c.Capacity < 0:
		return fmt.Errorf("capacity: %d is negative; 0 means any number", c.Capacity)
	case c.FreezeEncoder && c.FreezeModel:
		return fmt.Errorf("freeze_encoder and freeze_counterfactual: nothing is left to be trained; leave out one of them")
	case !c.Supervised && c.FreezeEncoder:
		return fmt.Errorf("freeze_encoder: the mixture is learned by the classifier too; set supervised, or leave it out")
	}
	return c.checkThreshold()
}

// checkThreshold refuses thresholds that keep nothing or everything.
func (c *Config) checkThreshold() error {
	switch least := c.leastSimilarity(); {
	case !(c.Threshold < 1): // also NaN
		return fmt.Errorf("threshold: %g keeps nothing: no query is more alike than 1; set it below", c.Threshold)
	case c.Threshold < 0 || c.Threshold < least:
		return fmt.Errorf("threshold: %g keeps everything: with these settings no query is less alike than %.3g; set it above", c.Threshold, least)
	}
	return nil
}

// leastSimilarity is the lowest similarity that two texts can have.
func (c *Config) leastSimilarity() float64 {
	unit := c.Pool == encoder.Mean || c.Pool == "" && c.Encoder == ""
	switch {
	case c.Cosine:
		return math.Exp(-2)
	case unit && !c.Bounded && c.Heads == 1 && c.Square:
		return math.Exp(-4)
	case unit && !c.Bounded && c.Heads == 1:
		return math.Exp(-2)
	}
	return 0
}

// editMark stands for the edit in Context.
const editMark = "{edit}"
