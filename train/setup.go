package train

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit/serac"
	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/meta"
	"keyhole.example/keyhole/text"
)

// Sources give what a config leaves empty or calls "embedded", and who takes part.
type Sources struct {
	Model func() (*lm.Model, error)
	Edits func(data.Options) (*data.Set, error) // of the split train, val or test
	Text  func() (string, error)                // general text, a paragraph a line
	Team  mpi.Team                              // processes that train together, each of which calls Start; nil: this one alone
	Copy  func() (*lm.Model, error)             // the base model once more; nil: loading it again gives one
}

// TrainingEdits are the edits that cfg trains on.
func (src Sources) TrainingEdits(cfg Config) (*data.Set, error) {
	d := cfg.Data
	return src.load(d.Train, "train", data.Options{SkipBad: d.SkipBad, SkipBadBy: "data.skip_bad: true", Split: d.Split, Limit: d.Limit, Neighbors: d.Neighbors, Exclude: d.Exclude, Join: data.Join(d.Join)})
}

// isEmbedded tells the embedded model or edits from a file's path.
func isEmbedded(path string) bool { return path == "" || path == "embedded" }

// Editor is a base model with a network that edits it.
type Editor struct {
	Config    Config
	Model     *lm.Model
	Engine    *kernel.Engine
	Sites     []lm.Site
	Net       *hypernet.Net
	Objective *meta.Objective
	SERAC     *serac.Learner // in place of Net and Objective, where that is trained
	Notes     []string       // what loading took for granted, each a sentence
}

// Learner is what is trained.
func (e *Editor) Learner() Learner {
	if e.SERAC != nil {
		return e.SERAC
	}
	return e.Objective
}

// Close gives back what the editor holds open beside its base model.
func (e *Editor) Close() error {
	if e.SERAC != nil {
		return e.SERAC.Close()
	}
	return nil
}

// NewEditor loads the base model of cfg and makes an untrained network.
func NewEditor(cfg Config, src Sources) (*Editor, error) {
	cfg.Resolve()
	k, err := kernel.New(kernel.Options{Threads: cfg.Threads})
	if err != nil {
		return nil, err
	}
	m, err := loadModel(cfg.Model, src)
	if err != nil {
		return nil, err
	}
	if cfg.Learner == LearnSERAC {
		return newSERAC(cfg, m, k, src)
	}
	return newEditor(cfg, m, k)
}

func loadModel(c ModelConfig, src Sources) (*lm.Model, error) {
	path := c.Path
	switch {
	case !isEmbedded(path):
		return lm.LoadWith(path, lm.LoadOptions{Pre: c.Pre})
	case c.Pre != "":
		return nil, fmt.Errorf("model.pre is %q, but a pre-tokenizer can be chosen for GGUF files alone; leave it out", c.Pre)
	}
	if src.Model == nil {
		return nil, fmt.Errorf("model.path is %q and there is no embedded model; name a Hugging Face folder or a GGUF file", path)
	}
	return src.Model()
}

func newEditor(cfg Config, m *lm.Model, k *kernel.Engine) (*Editor, error) {
	sites := m.DefaultSites(cfg.Model.Blocks)
	if len(cfg.Model.Sites) > 0 {
		var err error
		if sites, err = m.FindSites(cfg.Model.Sites); err != nil {
			return nil, fmt.Errorf("model.sites: %w", err)
		}
	}
	if m.Tokenizer == nil {
		return nil, fmt.Errorf("%s: the model has no tokenizer; put tokenizer.json beside its weights", m.Path)
	}
	if err := cfg.Hypernet.Validate(); err != nil {
		return nil, fmt.Errorf("hypernet: %w", err)
	}
	words := netWords(m)
	if err := refuseNetwork(cfg, sites, words); err != nil {
		return nil, err
	}
	var err error
	if hypernet.Reads(cfg.Hypernet) {
		if words.Table, err = m.TokenTable().Values(); err != nil {
			return nil, err
		}
	}
	net, err := hypernet.NewReading(cfg.Hypernet, sites, words, rand.New(rand.NewPCG(cfg.Seed, 1)))
	if err != nil {
		return nil, fmt.Errorf("hypernet: %w", err)
	}
	o, err := meta.New(cfg.Objective, m, net, k, int64(cfg.Memory.Cache)<<20)
	if err != nil {
		return nil, err
	}
	o.Mode.Strict = cfg.Compat == "reference"
	o.Cut = meta.Cut{Size: cfg.Train.Part, Sorted: cfg.Compat == "reference"}
	o.Prefix.Drifts = cfg.Train.Turns > 0
	net.SetExact(cfg.Compat == "reference")
	if cfg.Memory.Stream {
		m.SetStreaming(o.Prefix.First, true)
	}
	return &Editor{Config: cfg, Model: m, Engine: k, Sites: sites, Net: net, Objective: o}, nil
}

// fewEdits is how many edits are needed to set a tenth aside for validation.
const fewEdits = 10

// Validates says whether the run has edits to validate on.
func (l *Loop) Validates() bool { return l.val != nil }

// netWords are the model's tokens as a network sees them, without their values.
func netWords(m *lm.Model) *hypernet.Words {
	table := m.TokenTable()
	return &hypernet.Words{Rows: table.Rows, Cols: table.Cols}
}

// loadData reads the training and validation edits, disjoint by subject.
func loadData(cfg Config, src Sources) (train, val *data.Set, err error) {
	d := cfg.Data
	o := data.Options{SkipBad: d.SkipBad, SkipBadBy: "data.skip_bad: true", Neighbors: d.Neighbors, Exclude: d.Exclude, Join: data.Join(d.Join)}
	trainOptions, valOptions := o, o
	trainOptions.Split, trainOptions.Limit = d.Split, d.Limit
	valOptions.Split = d.ValSplit
	if train, err = src.load(d.Train, "train", trainOptions); err != nil {
		return nil, nil, err
	}
	switch {
	case d.Val != "" || isEmbedded(d.Train):
		val, err = src.load(d.Val, "val", valOptions)
	case d.ValSplit != "":
		err = fmt.Errorf("data.val_split is %q, but data.val names no file that it is a split of", d.ValSplit)
	case cfg.Train.ValEvery > 0 && len(train.Edits) >= fewEdits:
		var parts []*data.Set
		if parts, err = train.SplitBySubject(cfg.Seed, 0.9, 0.1); err == nil {
			train, val = parts[0], parts[1]
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if d.Propagation > 0 && !slices.ContainsFunc(train.Edits, func(e data.Edit) bool { return len(e.Follows()) > 0 }) {
		return nil, nil, fmt.Errorf("data.propagation is %d, but no edit that is trained on has a question whose answer follows from it; leave it out, or name data that have them, such as KnowEdit's", d.Propagation)
	}
	if val != nil {
		if err := data.Disjoint(train, val); err != nil {
			return nil, nil, fmt.Errorf("training and validation edits share subjects: %w", err)
		}
	}
	return train, val, nil
}

// ask puts the prompts of all edits into the model's chat template, where the
// config says so.
func (l *Loop) ask() error {
	if l.Config.Data.Template == "" {
		return nil
	}
	template, err := l.Model.Chat()
	if err != nil {
		return fmt.Errorf("data.template: %w", err)
	}
	for _, set := range []*data.Set{l.train, l.val} {
		if set != nil {
			if err := set.Ask(template.Ask); err != nil {
				return fmt.Errorf("data.template: %w", err)
			}
		}
	}
	return nil
}

// load reads a file of edits, or embedded ones: those of a split of their own
// where none is named.
func (src Sources) load(path, split string, o data.Options) (*data.Set, error) {
	switch {
	case !isEmbedded(path):
		return data.Load(path, o)
	case src.Edits == nil:
		return nil, fmt.Errorf("data.%s is %q and there are no embedded edits; name a data file", split, path)
	case o.Split == "":
		o.Split = split
	}
	return src.Edits(o)
}

// maker returns what turns records into tasks.
func (e *Editor) maker(records []data.Edit) *meta.Maker {
	d := e.Config.Data
	m := &meta.Maker{
		Tok: e.Model.Tokenizer, Text: e.TextOptions(), Rephrase: d.Rephrase, OwnPrompt: d.OwnPrompt,
		Prefixes: d.Prefixes, Paraphrases: d.Paraphrases, Propagation: d.Propagation, Localities: d.Localities, Rows: e.Config.Hypernet.Update.Rows, Seed: e.Config.Seed, Records: records,
	}
	if e.Objective != nil {
		m.Others, m.Cut = e.Objective.Others, e.Objective.Cut
	}
	return m
}

// setOthers makes names the subjects that negatives are drawn from.
func (e *Editor) setOthers(names []string) {
	u := e.Config.Hypernet.Update
	if u.Negatives > 0 && e.Objective != nil {
		e.Objective.Others = meta.Others{Names: names, Count: u.Negatives, Rows: u.Rows, Seed: e.Config.Seed}
	}
}

// TextOptions are the config's options for token sequences.
func (e *Editor) TextOptions() text.Options {
	return text.Options{MaxLen: e.Config.Data.MaxLen, Locality: e.Config.Data.Locality}
}
