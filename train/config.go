package train

import (
	"fmt"
	"slices"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit/serac"
	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/meta"
)

// Config is everything that a training run depends on.
type Config struct {
	Compat    string          `yaml:"compat" doc:"keyhole: our defaults; reference: every quirk of the MEND reference"`
	Learner   string          `yaml:"learner" absent:"network" doc:"what is trained: network, an editor network; serac, a scope classifier and a counterfactual model"`
	Seed      uint64          `yaml:"seed" doc:"seed of initial weights, order and draws"`
	Threads   int             `yaml:"threads" doc:"threads; 0: all cores. Results do not depend on it"`
	Model     ModelConfig     `yaml:"model" doc:"base model and edited weights"`
	Data      DataConfig      `yaml:"data" doc:"edits to learn from and to validate on"`
	Hypernet  hypernet.Config `yaml:"hypernet" doc:"the editor network"`
	Objective meta.Config     `yaml:"objective" doc:"the meta-loss"`
	SERAC     serac.Config    `yaml:"serac" doc:"for learner serac: its two networks"`
	Train     LoopConfig      `yaml:"train" doc:"the loop"`
	Memory    MemoryConfig    `yaml:"memory" doc:"what memory is spent on"`
}

// ModelConfig names the base model and what is edited in it.
type ModelConfig struct {
	Path   string   `yaml:"path" doc:"Hugging Face folder or GGUF file; empty or embedded: the embedded model"`
	Pre    string   `yaml:"pre" absent:"" doc:"pre-tokenizer of a GGUF file, in place of the one that it names: llama-bpe, qwen2, …"`
	Sites  []string `yaml:"sites" doc:"edited weights, by name or pattern; empty: the MLP weights of the last blocks"`
	Blocks int      `yaml:"blocks" doc:"how many last blocks are edited where sites is empty"`
}

// DataConfig names the data sets.
type DataConfig struct {
	Train       string   `yaml:"train" doc:"edits to train on; empty or embedded: the embedded set"`
	Val         string   `yaml:"val" doc:"edits to validate on; embedded: the embedded set, also where empty if data.train is; else empty: a share of the training subjects"`
	Split       string   `yaml:"split" doc:"split of the training file, where it has splits; of embedded edits train, val or test, and empty: train"`
	ValSplit    string   `yaml:"val_split" doc:"split of the validation file; of embedded edits train, val or test, and empty: val"`
	Neighbors   string   `yaml:"neighbors" doc:"CounterFact neighbours to merge"`
	Exclude     []string `yaml:"exclude" doc:"files of edits, such as those for the test, about whose subjects nothing is learned"`
	General     string   `yaml:"general" absent:"" doc:"text that no edit is about, embedded or a file, of which the prior (hypernet.update.prior: moment) has as many tokens as of locality texts, so that edits leave it alone too; empty: none"`
	Limit       int      `yaml:"limit" doc:"read at most so many edits; 0: all"`
	SkipBad     bool     `yaml:"skip_bad" doc:"count bad records instead of stopping"`
	Join        string   `yaml:"join" absent:"space" doc:"how answers follow prompts, where records do not say: auto, a space where the writing has one; space; none"`
	Order       string   `yaml:"order" doc:"shuffle: another order each epoch; file: as they stand"`
	Rephrase    bool     `yaml:"rephrase" doc:"score a rephrasing; false: the edit prompt itself"`
	OwnPrompt   bool     `yaml:"own_prompt" doc:"count the edit prompt among the rephrasings that are drawn from; needed where unrelated prompts look like it, as in CounterFact"`
	Prefixes    float64  `yaml:"prefixes" absent:"0" doc:"share of the prompts that an edit is scored on that stand behind a sentence about something else, as CounterFact's paraphrases do"`
	Paraphrases int      `yaml:"paraphrases" absent:"1" doc:"rephrasings of an edit that are scored together"`
	Propagation int      `yaml:"propagation" absent:"0" doc:"questions whose answers follow from an edit, as far as the data has them (another name of its subject, one hop further, the reverse), that are scored with its rephrasings; 0: none"`
	Localities  int      `yaml:"localities" absent:"1" doc:"locality texts of an edit that are scored together"`
	Hard        int      `yaml:"hard" absent:"0" doc:"locality texts that are drawn for an edit, of which training takes those that it changes most, localities many; 0: all that are drawn"`
	Template    string   `yaml:"template" absent:"" doc:"chat: prompts stand in the model's chat template, as the question of a conversation; empty: as they are"`
	MaxLen      int      `yaml:"max_len" doc:"cut rephrasings to their last and unrelated answers to their first so many tokens; edits are never cut; 0: never"`
	Locality    string   `yaml:"locality" doc:"rows whose distribution has to stay: text, answer, or all (as the reference)"`
}

// LoopConfig are the numbers of the loop.
type LoopConfig struct {
	Steps         int     `yaml:"steps" doc:"optimiser steps"`
	Accumulate    int     `yaml:"accumulate" doc:"examples for one optimiser step"`
	Batch         int     `yaml:"batch" doc:"examples that share one graph run; 0: all of a step. Fewer save memory; the order of summation, and so the last digits, depend on it"`
	Edits         int     `yaml:"edits" doc:"edits made together in one example"`
	Part          int     `yaml:"part" absent:"0" doc:"edits of an example whose losses are averaged; the parts' losses add up, as those of the mini-batches of MALMEN do. With batch_mean a gradient is that of its part, at edit time too; 0: all are one part"`
	Turns         int     `yaml:"turns" absent:"0" doc:"examples in a row of which each is made on the model that those before it left (RLEdit); then the base model is edited anew. 0: each is made on the base model"`
	BackDepth     int     `yaml:"back_depth" absent:"1" doc:"with turns: an edit is scored on what so many turns were, its own included"`
	TimeDecay     float64 `yaml:"time_decay" absent:"1" doc:"with back_depth: weight of a turn's loss beside that of the next one"`
	Mix           []int   `yaml:"mix" absent:"[]" doc:"numbers of edits made together, of which each step draws one; it has the fewer examples, so that its edits stay as many. Empty: train.edits"`
	Init          string  `yaml:"init" absent:"" doc:"run or checkpoint folder whose editor the run starts from; empty: a new editor"`
	InitOptimizer string  `yaml:"init_optimizer" absent:"fresh" doc:"what train.init brings of the optimiser: keep, its moments; fresh, nothing"`
	LR            float64 `yaml:"lr" doc:"rate of the network"`
	LRLR          float64 `yaml:"lr_lr" doc:"rate of the step sizes"`
	Schedule      string  `yaml:"schedule" doc:"constant, or cosine: down to a tenth at the last step"`
	Warmup        int     `yaml:"warmup" doc:"steps in which the rates rise linearly"`
	GradClip      float64 `yaml:"grad_clip" doc:"largest norm of all gradients together"`
	ValEvery      int     `yaml:"val_every" doc:"steps between validations; 0: never"`
	ValEdits      int     `yaml:"val_edits" doc:"edits of the validation subset"`
	Patience      int     `yaml:"patience" doc:"stop after so many validations without a better one; 0: never"`
	SaveEvery     int     `yaml:"save_every" doc:"steps between checkpoints; 0: only the last"`
	Keep          int     `yaml:"keep" doc:"checkpoints kept beside the best; 0: all"`
	MaxSkips      int     `yaml:"max_skips" doc:"examples with non-finite loss or gradient that are left out, in a row, before the run stops"`
}

// keepOptimiser is the value of init_optimizer that keeps the moments.
const keepOptimiser = "keep"

// MemoryConfig says what memory is spent on, in MiB.
type MemoryConfig struct {
	Limit  int  `yaml:"limit" doc:"refuse to start when the estimate exceeds it; 0: no limit"`
	Cache  int  `yaml:"cache" doc:"cache of what the frozen blocks make of texts; 0: none"`
	Stream bool `yaml:"stream" doc:"decode quantised weights of frozen blocks at each use instead of keeping them"`
}

// Default is a run with the reference's hyperparameters and our repairs.
func Default() Config {
	return Config{
		Compat: "keyhole", Learner: LearnNetwork,
		Model: ModelConfig{Blocks: 3},
		Data:  DataConfig{Join: "auto", Order: "shuffle", Rephrase: true, Paraphrases: 1, Localities: 1, MaxLen: 32, Locality: "text"},
		Train: LoopConfig{
			Steps: 1000, Accumulate: 10, Edits: 1, LR: 1e-6, LRLR: 1e-4, Schedule: "constant", GradClip: 100, InitOptimizer: "fresh", BackDepth: 1, TimeDecay: 1,
			ValEvery: 100, ValEdits: 100, Patience: 20, SaveEvery: 100, Keep: 2, MaxSkips: 10,
		},
		Hypernet:  hypernet.Default(),
		Objective: meta.Default(),
		SERAC:     serac.Default(),
		Memory:    MemoryConfig{Stream: true},
	}
}

// Validate reports the first impossible value.
func (c *Config) Validate() error {
	if c.Compat != "keyhole" && c.Compat != "reference" {
		return fmt.Errorf("compat: %q is neither keyhole nor reference", c.Compat)
	}
	if c.Learner != LearnNetwork && c.Learner != LearnSERAC {
		return fmt.Errorf("learner: %q is neither %s nor %s", c.Learner, LearnNetwork, LearnSERAC)
	}
	if c.Learner == LearnSERAC && (c.Train.Part > 0 || c.Train.Turns > 0) {
		return fmt.Errorf("train.part and train.turns: they are about editor networks, not about learner: %s", LearnSERAC)
	}
	switch {
	case c.Objective.Short && c.Train.Part == 0:
		return fmt.Errorf("objective.short: it is about parts of an example, and train.part is 0")
	case c.Objective.Margin > 0 && c.Data.Locality != "answer":
		return fmt.Errorf("objective.margin: it is about the answers of texts that must stay; set data.locality: answer")
	case c.Objective.Margin > 0 && c.Train.BackDepth > 1:
		return fmt.Errorf("objective.margin: what train.back_depth looks back at has no edit beside it; leave out one of them")
	case c.Data.Hard > 0 && (c.Train.Part > 0 || c.Train.Turns > 0):
		return fmt.Errorf("data.hard: which texts an edit changes most is found out edit by edit, without train.part and train.turns; leave it out")
	case c.Learner == LearnSERAC && (c.Data.Hard > 0 || c.Objective.Margin > 0):
		return fmt.Errorf("data.hard and objective.margin: they are about editor networks, not about learner: %s", LearnSERAC)
	}
	if c.Data.General != "" && (c.Learner == LearnSERAC || c.Hypernet.Update.Prior != hypernet.Moment) {
		return fmt.Errorf("data.general: %q would have no effect, as only hypernet.update.prior: %s looks at it; set that, or leave it out", c.Data.General, hypernet.Moment)
	}
	if c.Train.Part > 0 && c.Hypernet.Update.Reach > 0 {
		return fmt.Errorf("hypernet.update.reach: with train.part an edit's values are those of its part, and cannot be scaled alone; leave out one of them")
	}
	if c.Threads < 0 {
		return fmt.Errorf("threads: %d is negative; 0 means all cores", c.Threads)
	}
	return nil
}

// Validate reports the first impossible value.
func (c *DataConfig) Validate() error {
	if _, err := data.ParseJoin(c.Join); err != nil {
		return err
	}
	switch {
	case c.Template != "" && c.Template != "chat":
		return fmt.Errorf("template: %q is neither chat nor empty", c.Template)
	case !slices.Contains([]string{"shuffle", "file"}, c.Order):
		return fmt.Errorf("order: %q is neither shuffle nor file", c.Order)
	case !slices.Contains([]string{"text", "answer", "all"}, c.Locality):
		return fmt.Errorf("locality: %q is none of text, answer, all", c.Locality)
	case c.Paraphrases < 1 || c.Localities < 1:
		return fmt.Errorf("paraphrases and localities: %d and %d must be at least 1", c.Paraphrases, c.Localities)
	case c.Propagation < 0:
		return fmt.Errorf("propagation: %d is negative; 0 means none", c.Propagation)
	case !(c.Prefixes >= 0 && c.Prefixes <= 1):
		return fmt.Errorf("prefixes: %g is no share from 0 to 1", c.Prefixes)
	case c.Hard < 0 || c.Hard > 0 && c.Hard <= c.Localities:
		return fmt.Errorf("hard: %d is neither 0 (none) nor more than localities, %d, which are kept of them", c.Hard, c.Localities)
	case c.MaxLen < 0 || c.Limit < 0:
		return fmt.Errorf("max_len and limit: %d and %d must not be negative; 0 means no bound", c.MaxLen, c.Limit)
	}
	return nil
}

// Validate reports the first impossible value.
func (c *ModelConfig) Validate() error {
	if c.Blocks < 1 {
		return fmt.Errorf("blocks: %d is below 1", c.Blocks)
	}
	return nil
}

// Validate reports the first impossible value.
func (c *LoopConfig) Validate() error {
	for _, n := range []struct {
		name     string
		val, low int
	}{
		{"steps", c.Steps, 1}, {"accumulate", c.Accumulate, 1}, {"batch", c.Batch, 0}, {"edits", c.Edits, 1}, {"part", c.Part, 0}, {"turns", c.Turns, 0}, {"back_depth", c.BackDepth, 1}, {"warmup", c.Warmup, 0},
		{"val_every", c.ValEvery, 0}, {"val_edits", c.ValEdits, 1}, {"patience", c.Patience, 0},
		{"save_every", c.SaveEvery, 0}, {"keep", c.Keep, 0}, {"max_skips", c.MaxSkips, 0},
	} {
		if n.val < n.low {
			return fmt.Errorf("%s: %d is below %d", n.name, n.val, n.low)
		}
	}
	for _, n := range c.Mix {
		if n < 1 {
			return fmt.Errorf("mix: %d is below 1", n)
		}
	}
	switch {
	case c.Turns > 0 && len(c.Mix) > 0:
		return fmt.Errorf("turns and mix: the turns of a sequence have as many edits each; use train.edits")
	case c.Turns > 0 && c.Turns%c.Accumulate != 0:
		return fmt.Errorf("turns: %d is no multiple of accumulate, %d, so a sequence would end within an optimiser step", c.Turns, c.Accumulate)
	case c.Turns == 0 && (c.BackDepth != 1 || c.TimeDecay != 1):
		return fmt.Errorf("back_depth and time_decay: they are about turns, and train.turns is 0")
	case !(c.TimeDecay > 0 && c.TimeDecay <= 1):
		return fmt.Errorf("time_decay: %g is no factor above 0 and at most 1", c.TimeDecay)
	case len(c.Mix) > 0 && c.Edits != 1:
		return fmt.Errorf("mix and edits: both say how many edits are made together; leave out edits")
	case c.LR < 0 || c.LRLR < 0:
		return fmt.Errorf("lr and lr_lr: %g and %g must not be negative", c.LR, c.LRLR)
	case c.GradClip <= 0:
		return fmt.Errorf("grad_clip: %g must be positive; a large value means no clipping", c.GradClip)
	case c.InitOptimizer != "fresh" && c.InitOptimizer != keepOptimiser:
		return fmt.Errorf("init_optimizer: %q is neither fresh nor keep", c.InitOptimizer)
	case c.InitOptimizer == keepOptimiser && c.Init == "":
		return fmt.Errorf("init_optimizer: keep needs init, the run whose optimiser is kept")
	case c.Schedule != "constant" && c.Schedule != "cosine":
		return fmt.Errorf("schedule: %q is neither constant nor cosine", c.Schedule)
	}
	return nil
}

// Validate reports the first impossible value.
func (c *MemoryConfig) Validate() error {
	if c.Limit < 0 || c.Cache < 0 {
		return fmt.Errorf("limit and cache: %d and %d must not be negative", c.Limit, c.Cache)
	}
	return nil
}

// Resolve applies what the learner and `compat: reference` imply.
func (c *Config) Resolve() {
	if c.Learner == LearnSERAC {
		c.Data.Locality = "answer" // both networks look at the answer of a text that has to stay
		if c.Compat == "reference" {
			c.SERAC.Supervised, c.SERAC.Soft, c.SERAC.Negatives = false, true, "own"
		}
		return
	}
	if c.Compat != "reference" {
		return
	}
	c.Objective.Descent = false
	c.Objective.DeltaScale = "batch_mean"
	c.Hypernet.StdFloor = 0
	c.Data.Locality = "all"
	c.Train.LRLR = c.Train.LR
	c.Objective.Late = c.Train.Turns > 0
	c.Objective.Short = c.Train.Part > 0 && (c.Train.Turns > 0 || c.Hypernet.Kind == "normalised")
}
