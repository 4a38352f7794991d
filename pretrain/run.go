package pretrain

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/internal/lock"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/lm/tokenizer"
)

// Names of what Run writes.
const (
	ModelDir     = "model"
	TrainFile    = "train.jsonl.gz"
	ValFile      = "val.jsonl.gz"
	TestFile     = "test.jsonl.gz"
	TextFile     = "text.txt.gz"
	ManifestFile = "manifest.json"
)

// textBytes is about how large the text file is before compression.
const textBytes = 200_000

// Progress is what is going on.
type Progress struct {
	Step, Steps int     // optimiser steps
	Loss        float64 // of the step, in nats per weighted token
	Rate        float64 // learning rate
}

// Manifest says what a recipe made.
type Manifest struct {
	Recipe     string            `json:"recipe"` // Config.Hash
	Seed       uint64            `json:"seed"`
	FactsFile  string            `json:"facts_sha256"`
	Facts      int               `json:"facts"`
	Sentences  int               `json:"sentences"`
	Vocab      int               `json:"vocab"`
	Parameters int               `json:"parameters"`
	Loss       float64           `json:"loss"`  // mean of the last epoch
	Known      float64           `json:"known"` // share of sentences
	ByPattern  []PatternShare    `json:"known_by_pattern"`
	Train      int               `json:"train_edits"`
	Val        int               `json:"val_edits"`
	Test       int               `json:"test_edits"`
	Files      map[string]string `json:"files"` // path → SHA-256
}

// PatternShare is the share of known facts in one wording.
type PatternShare struct {
	Relation string  `json:"relation"`
	Pattern  string  `json:"pattern"`
	Facts    int     `json:"facts"`
	Known    float64 `json:"known"`
}

// Hash identifies the recipe: what it makes depends on nothing else but the
// file of facts. Paths and threads do not count.
func (c Config) Hash() string {
	c.Facts.Path, c.Threads = "", 0
	text, err := configs.Identity(c)
	if err != nil {
		panic("pretrain: config is not JSON: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Run follows the recipe and writes the folder dir, whole or not at all: the
// model, the edits, a text and the manifest. Equal recipes give equal bytes.
// report, if not nil, is told of every step. When ctx ends, so does Run.
func Run(ctx context.Context, c Config, dir string, report func(Progress)) (_ *Manifest, err error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("pretrain: %s is not empty; choose another --out", dir)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("pretrain: %w", err)
	}
	r, err := prepare(&c)
	if err != nil {
		return nil, fmt.Errorf("pretrain: %w", err)
	}
	defer r.k.Close()
	forget, err := atomicfile.MakeParent(dir)
	if err != nil {
		return nil, fmt.Errorf("pretrain: %w", err)
	}
	defer func() {
		if err != nil {
			forget()
		}
	}()
	held, err := lock.Beside(dir)
	if err != nil {
		return nil, fmt.Errorf("pretrain: %w", err)
	}
	defer func() { err = errors.Join(err, held.Unlock()) }()
	if err := r.train(ctx, report); err != nil {
		return nil, fmt.Errorf("pretrain: %w", err)
	}
	if err := r.examine(); err != nil {
		return nil, fmt.Errorf("pretrain: %w", err)
	}
	if err := atomicfile.WriteDir(dir, r.write); err != nil {
		return nil, fmt.Errorf("pretrain: %w", err)
	}
	return &r.manifest, nil
}

// recipe is a run of Run.
type recipe struct {
	c        *Config
	k        *kernel.Engine
	facts    []Fact
	corpus   []sentence
	tok      tokenizer.Tokenizer
	model    *lm.Model
	edits    splits
	manifest Manifest
}

func prepare(c *Config) (*recipe, error) {
	all, err := data.LoadFacts(c.Facts.Path, data.Options{})
	if err != nil {
		return nil, err
	}
	r := &recipe{c: c}
	if r.facts, err = chooseFacts(c, all.Items); err != nil {
		return nil, err
	}
	if r.tok, err = makeTokenizer(c, r.facts); err != nil {
		return nil, err
	}
	r.facts = shortObjects(c, r.facts, r.tok)
	if r.corpus, err = corpus(c, r.facts, r.tok); err != nil {
		return nil, err
	}
	if r.model, err = lm.New(c.Model.lm(r.tok.Size()), rand.New(rand.NewPCG(c.Seed, 2))); err != nil {
		return nil, err
	}
	r.model.Tokenizer = r.tok
	if r.k, err = kernel.New(kernel.Options{Threads: c.Threads}); err != nil {
		return nil, err
	}
	r.manifest = Manifest{
		Recipe: c.Hash(), Seed: c.Seed, FactsFile: all.SHA256, Facts: len(r.facts), Sentences: len(r.corpus),
		Vocab: r.tok.Size(), Parameters: r.model.Parameters(), Files: map[string]string{},
	}
	return r, nil
}

// train makes the model know the corpus.
func (r *recipe) train(ctx context.Context, report func(Progress)) error {
	c := &r.c.Train
	order := append([]sentence(nil), r.corpus...)
	batch := min(c.Batch, len(order))
	n, err := newNetwork(r.model, r.k, rows(order, batch))
	if err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(r.c.Seed, 3))
	each := len(order) / batch
	steps := c.Epochs * each
	for range c.Epochs {
		shuffle(rng, order)
		sum := 0.0
		for i := range each {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			rate := c.rate(n.steps, steps)
			loss, err := n.step(order[i*batch:(i+1)*batch], c, rate)
			if err != nil {
				return err
			}
			sum += loss
			if report != nil {
				report(Progress{Step: n.steps, Steps: steps, Loss: loss, Rate: rate})
			}
		}
		r.manifest.Loss = sum / float64(each)
	}
	// what is examined and edited is what will be loaded
	for i, v := range n.values {
		n.values[i] = tensorfile.FromF16(tensorfile.ToF16(v))
	}
	return nil
}

// examine asks the model for everything it was taught, and makes edits of the
// facts that it knows in every wording.
func (r *recipe) examine() error {
	right, err := known(r.model, r.k, r.corpus)
	if err != nil {
		return err
	}
	index := map[string]int{}
	sure := make([]bool, len(r.facts))
	for i := range sure {
		sure[i] = true
	}
	hits := 0
	for i, s := range r.corpus {
		rel := r.c.Relations[r.facts[s.fact].Relation]
		p := rel.Patterns[s.pattern]
		at, ok := index[p]
		if !ok {
			at = len(r.manifest.ByPattern)
			index[p] = at
			r.manifest.ByPattern = append(r.manifest.ByPattern, PatternShare{Relation: rel.ID, Pattern: p})
		}
		share := &r.manifest.ByPattern[at]
		share.Facts++
		if right[i] {
			hits++
			share.Known++
		} else {
			sure[s.fact] = false
		}
	}
	for i := range r.manifest.ByPattern {
		r.manifest.ByPattern[i].Known /= float64(r.manifest.ByPattern[i].Facts)
	}
	r.manifest.Known = float64(hits) / float64(len(r.corpus))
	var facts []Fact
	for i, ok := range sure {
		if ok {
			facts = append(facts, r.facts[i])
		}
	}
	if r.edits, err = makeEdits(r.c, facts); err != nil {
		return err
	}
	r.manifest.Train, r.manifest.Val, r.manifest.Test = len(r.edits.train), len(r.edits.val), len(r.edits.test)
	return nil
}

// write puts everything into a folder.
func (r *recipe) write(dir string) error {
	if err := r.model.Save(filepath.Join(dir, ModelDir), lm.SaveOptions{DType: tensorfile.F16}); err != nil {
		return err
	}
	for name, edits := range map[string][]data.Edit{TrainFile: r.edits.train, ValFile: r.edits.val, TestFile: r.edits.test} {
		if err := writeGzip(filepath.Join(dir, name), func(w io.Writer) error { return data.WriteEdits(w, edits) }); err != nil {
			return err
		}
	}
	if err := writeGzip(filepath.Join(dir, TextFile), r.writeText); err != nil {
		return err
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		r.manifest.Files[filepath.ToSlash(name)] = hex.EncodeToString(sum[:])
		return nil
	})
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(&r.manifest, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, ManifestFile), append(text, '\n'), 0o666)
}

// writeText writes sentences of the corpus in a seeded order, one a line.
func (r *recipe) writeText(w io.Writer) error {
	size := 0
	for _, i := range data.Permutation(r.c.Seed, 1, len(r.corpus)) {
		s := r.corpus[i]
		n, err := fmt.Fprintln(w, r.facts[s.fact].Sentence(r.c, s.pattern))
		if err != nil {
			return err
		}
		if size += n; size >= textBytes {
			break
		}
	}
	return nil
}

// writeGzip compresses what fill writes. The header holds no name and no time,
// so that equal content gives equal files.
func writeGzip(path string, fill func(io.Writer) error) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	z, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err != nil {
		return err
	}
	if err := fill(z); err != nil {
		return err
	}
	return z.Close()
}
