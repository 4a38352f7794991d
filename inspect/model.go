// Package inspect says what a model, a training run or a checkpoint is: what it is made
// of, which edits it has, and whether every byte of it is what was saved.
//
// Read model.go, then run.go.
package inspect

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"keyhole.example/keyhole/edit/kept"
	"keyhole.example/keyhole/edit/saved"
	"keyhole.example/keyhole/internal/console"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/report"
	"keyhole.example/keyhole/workbench"
)

// Model is what a model is.
type Model struct {
	Path         string      `json:"path"`
	Architecture string      `json:"architecture"`
	ModelType    string      `json:"model_type"`
	Parameters   int         `json:"parameters"`
	Hash         string      `json:"sha256"`
	Layers       int         `json:"layers"`
	Width        int         `json:"width"`
	Heads        int         `json:"heads"`
	KVHeads      int         `json:"kv_heads"`
	FFN          int         `json:"ffn"`
	Vocab        int         `json:"vocab"`
	Context      int         `json:"context"`
	Tied         bool        `json:"tied"`
	Tokenizer    *Tokenizer  `json:"tokenizer"`       // null: the model came without
	Notes        []string    `json:"notes,omitempty"` // what its files leave open and was assumed
	Edits        []kept.Info `json:"edits,omitempty"` // of a model that keyhole edit saved
	EditedFrom   string      `json:"edited_from_sha256,omitempty"`
	Sites        []Site      `json:"sites"`
}

// Tokenizer is that of a model.
type Tokenizer struct {
	Kind string `json:"kind"`
	Size int    `json:"size"`
}

// Site is a layer that can be edited.
type Site struct {
	Name  string `json:"name"`
	Block int    `json:"block"`
	Role  string `json:"role"`
	In    int    `json:"in"`
	Out   int    `json:"out"`
}

// OfModel describes the model at a path.
func OfModel(path string, opts lm.LoadOptions) (*Model, error) {
	m, err := workbench.LoadModel(path, opts)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	hash, err := m.Hash()
	if err != nil {
		return nil, err
	}
	c := m.Config
	r := &Model{
		Path: path, Architecture: m.Architecture(), ModelType: c.ModelType, Parameters: m.Parameters(), Hash: hash,
		Layers: c.Layers, Width: c.Width, Heads: c.Heads, KVHeads: c.KVHeads, FFN: c.FFN, Vocab: c.Vocab, Context: c.Context, Tied: c.Tied,
		Sites: []Site{}, Notes: m.Notes(),
	}
	if t := m.Tokenizer; t != nil {
		r.Tokenizer = &Tokenizer{t.Kind(), t.Size()}
	}
	for _, s := range m.Sites() {
		r.Sites = append(r.Sites, Site{s.Name, s.Block, s.Role, s.Linear.In, s.Linear.Out})
	}
	return r, r.addEdits()
}

// addEdits lists the edits of a folder that keyhole edit saved.
func (r *Model) addEdits() error {
	s, err := saved.Open(r.Path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	list, err := kept.Read([]string{r.Path})
	if err != nil {
		return err
	}
	r.EditedFrom = s.Model
	r.Edits = kept.InfoOf(list...)
	return nil
}

// Print writes it for people.
func (r *Model) Print(w io.Writer) error {
	tokens := "none"
	if r.Tokenizer != nil {
		tokens = fmt.Sprintf("%s, %d tokens", r.Tokenizer.Kind, r.Tokenizer.Size)
	}
	p := report.To(w)
	p.Say("%s: %s, %d parameters, sha256 %.12s…", r.Path, r.Architecture, r.Parameters, r.Hash)
	p.Say("%d blocks of width %d, %d heads (%d for keys and values), inner width %d, vocabulary %d, context %d", r.Layers, r.Width, r.Heads, r.KVHeads, r.FFN, r.Vocab, r.Context)
	p.Say("tokenizer: %s\n", tokens)
	for _, note := range r.Notes {
		p.Say("note: %s\n", note)
	}
	if r.EditedFrom != "" {
		p.Say("edits: %d, made to the model with sha256 %.12s…; keyhole edits list %s shows the edits\n", len(r.Edits), r.EditedFrom, console.Shell(r.Path))
	}
	t := &report.Table{Columns: []report.Column{{Name: "site"}, {Name: "block", Right: true}, {Name: "role"}, {Name: "in", Right: true}, {Name: "out", Right: true}}}
	for _, s := range r.Sites {
		t.Row(s.Name, s.Block, s.Role, s.In, s.Out)
	}
	p.Table(t)
	return p.Err()
}
