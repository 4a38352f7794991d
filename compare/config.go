package compare

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/workbench"
)

// Config is the configuration of a comparison.
type Config struct {
	Seed     uint64          `yaml:"seed" doc:"seed of borrowed prompts and sampled texts"`
	Threads  int             `yaml:"threads" doc:"threads; 0: all cores. No result depends on it"`
	Model    string          `yaml:"model" doc:"base model: Hugging Face folder or GGUF file; empty: the embedded model"`
	Pre      string          `yaml:"pre" doc:"pre-tokenizer of a GGUF file, in place of the one that it names: llama-bpe, qwen2, …"`
	Data     Data            `yaml:"data" doc:"edits to evaluate on"`
	Protocol string          `yaml:"protocol" doc:"single, batch, sequential (asked at the end), sequential-immediate or sequential-both"`
	Batch    int             `yaml:"batch" doc:"edits made together, for protocol batch, 0: 10, and rounds of sequential ones, 0: 1"`
	Rounds   int             `yaml:"rounds" doc:"rounds of a sequence before the next begins with the base model; 0: all"`
	Ability  string          `yaml:"ability" doc:"text on which the model at the end of a sequence is compared with the base: a file, or embedded; empty: none"`
	MaxLen   int             `yaml:"max_len" doc:"cut prompts to their last and answers to their first so many tokens; 0: never"`
	Metrics  []string        `yaml:"metrics" doc:"families of metrics; empty: those that the data allow"`
	Corpus   string          `yaml:"corpus" doc:"text for the editors' statistics; empty: the embedded text"`
	Demos    workbench.Demos `yaml:"demos" doc:"edits for ike's demonstrations"`
	Editors  []Entry         `yaml:"editors" doc:"what is compared"`
}

// Data names the edits.
type Data struct {
	Path       string `yaml:"path" doc:"file of edits; empty: the embedded held-out edits"`
	Split      string `yaml:"split" doc:"split of the file, where it has splits"`
	Neighbors  string `yaml:"neighbors" doc:"CounterFact neighbours to merge"`
	Locality   string `yaml:"locality" doc:"unrelated questions to borrow where edits have none"`
	Join       string `yaml:"join" doc:"how answers follow prompts, where records do not say: auto, a space where the writing has one; space; none"`
	Occurrence string `yaml:"occurrence" doc:"which one is meant where a subject stands in its prompt more than once: first or last"`
	Template   string `yaml:"template" doc:"chat: prompts stand in the model's chat template; empty: as they are"`
	Distinct   bool   `yaml:"distinct" doc:"keep the first edit about each subject"`
	Limit      int    `yaml:"limit" doc:"evaluate so many first edits; 0: all"`
	SkipBad    bool   `yaml:"skip_bad" doc:"count bad records instead of stopping"`
}

// Entry is one editor of a comparison.
type Entry struct {
	Name   string   `yaml:"name" doc:"its name in tables; empty: that of the editor"`
	Editor string   `yaml:"editor" doc:"an editor that needs no training"`
	Run    string   `yaml:"run" doc:"run or checkpoint folder of a trained editor, or whose edits the editor keeps"`
	Train  string   `yaml:"train" doc:"config or preset to train with where run holds nothing yet; without run, in the folder of the comparison"`
	Set    []string `yaml:"set" doc:"overrides of the editor's config, or, without one, of that of train"`
}

// Default is a configuration that names no editors yet.
func Default() Config { return Config{Protocol: "single"} }

// Validate reports impossible values that concern no single editor.
func (c *Config) Validate() error {
	bad := func(key string, value any, problem string, args ...any) error {
		return &configs.FieldError{Key: key, Value: value, Problem: fmt.Sprintf(problem, args...)}
	}
	if _, err := eval.FindProtocol(c.Protocol); err != nil {
		return bad("protocol", c.Protocol, "this is none of %s", strings.Join(eval.ProtocolNames(), ", "))
	}
	if t := c.Data.Template; t != "" && t != "chat" {
		return bad("data.template", t, "this is neither chat nor empty")
	}
	if !eval.InSequence(c.Protocol) && (c.Rounds > 0 || c.Ability != "") {
		return bad("protocol", c.Protocol, "rounds and ability are for sequential protocols")
	}
	for _, n := range []struct {
		key          string
		value, least int
	}{{"threads", c.Threads, 0}, {"batch", c.Batch, 0}, {"rounds", c.Rounds, 0}, {"data.limit", c.Data.Limit, 0}, {"max_len", c.MaxLen, -1}} {
		if n.value < n.least {
			return bad(n.key, n.value, "it is below %d", n.least)
		}
	}
	if err := eval.CheckFamilies(c.Metrics); err != nil {
		return bad("metrics", nil, "%v", err)
	}
	if len(c.Editors) == 0 {
		return bad("editors", nil, "there is none; name at least one")
	}
	seen := map[string]bool{}
	for i, e := range c.Editors {
		if label := e.Label(); label != "" && seen[label] {
			return bad(fmt.Sprintf("editors[%d]", i), nil, "two are called %s; give them names", label)
		}
		seen[e.Label()] = true
	}
	return nil
}

// Validate reports an entry that names no editor, or nothing that it has.
func (e *Entry) Validate() error {
	switch {
	case e.Editor == "" && e.Run == "" && e.Train == "":
		return errors.New("it needs editor, run or train")
	case e.Editor == "" && e.Run != "" && e.Train == "" && len(e.Set) > 0:
		return errors.New("set changes nothing of a run that is there; leave it out, or name what to train")
	case strings.ContainsAny(e.Label(), `/\`) || strings.HasPrefix(e.Label(), "."):
		return fmt.Errorf("%q is no name for a file; give it a name of letters and digits", e.Label())
	case e.Editor != "":
		entry, err := catalog.Find(e.Editor)
		if err != nil {
			return err
		}
		if e.trained() && !entry.Has(catalog.Kept) {
			return fmt.Errorf("editor %s keeps no other editor's edits, so it goes neither with run nor with train", e.Editor)
		}
		if _, _, err := entry.Config(nil, e.Set); err != nil {
			return fmt.Errorf("%v", err) // its keys are not this file's
		}
	}
	return nil
}

// trained reports whether the entry is of a trained editor, alone or inside another.
func (e Entry) trained() bool { return e.Run != "" || e.Train != "" }

// Label is the entry's name in tables and files.
func (e Entry) Label() string {
	switch {
	case e.Name != "":
		return e.Name
	case e.Editor != "":
		return e.Editor
	case e.Run != "":
		return filepath.Base(filepath.Clean(e.Run))
	}
	return e.Train
}

// Locate replaces the names of models and data in the config by the paths that the
// functions find for them.
func (c *Config) Locate(model, data func(name string) (string, error)) error {
	var err error
	if c.Model, err = model(c.Model); err != nil {
		return err
	}
	for _, n := range append(c.Demos.Files(), &c.Data.Path, &c.Data.Neighbors, &c.Data.Locality, &c.Corpus, &c.Ability) {
		if *n, err = data(*n); err != nil {
			return err
		}
	}
	for i := range c.Editors {
		if c.Editors[i].Set, err = catalog.Locate(c.Editors[i].Set, model); err != nil {
			return err
		}
	}
	return nil
}
