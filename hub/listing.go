package hub

import (
	"fmt"
	"io"
	"strings"

	"keyhole.example/keyhole/report"
)

// Listing is what is in the cache of one kind, and what has a short name or a preset.
type Listing struct {
	Cache  string         `json:"cache"`
	Cached []CachedRepo   `json:"cached"`
	Models []Model        `json:"known_models,omitempty"`
	Known  []KnownDataset `json:"known,omitempty"`

	kind Kind
}

// CachedRepo is a repository in the cache.
type CachedRepo struct {
	Name  string   `json:"name"`
	Path  string   `json:"path,omitempty"` // missing: nothing is whole yet
	Bytes int64    `json:"bytes"`
	Parts int      `json:"unfinished_files,omitempty"`
	Files []string `json:"files"`
}

// KnownDataset is a data set with a short name.
type KnownDataset struct {
	Dataset
	Address string `json:"address"` // of the public file; "unknown"
	Path    string `json:"path,omitempty"`
}

// ListModels lists the models in the cache, and those that presets name.
func (c *Client) ListModels() (*Listing, error) {
	l, err := c.listed(ModelKind)
	if err == nil {
		l.Models = Models()
	}
	return l, err
}

// ListDatasets lists the data sets in the cache, and those that have a short name.
func (c *Client) ListDatasets() (*Listing, error) {
	l, err := c.listed(DatasetKind)
	if err != nil {
		return nil, err
	}
	for _, d := range Datasets() {
		k := KnownDataset{Dataset: d, Address: c.Address(d)}
		k.Path, _ = c.Have(d) // one that is damaged is as good as none here
		l.Known = append(l.Known, k)
	}
	return l, nil
}

func (c *Client) listed(kind Kind) (*Listing, error) {
	repos, err := c.List(kind)
	if err != nil {
		return nil, err
	}
	l := &Listing{Cache: c.Cache(), Cached: []CachedRepo{}, kind: kind}
	for _, r := range repos {
		l.Cached = append(l.Cached, CachedRepo{r.Name, r.Path, r.Bytes, r.Parts, append([]string{}, r.Files...)})
	}
	return l, nil
}

// Offered are the names of a kind that can be told without the network, as far as they
// can be read: data sets with short names, then what is whole in the cache of FromEnv,
// with GGUF files one by one.
func Offered(getenv func(string) string, kind Kind) []string {
	var out []string
	if kind == DatasetKind {
		for _, d := range Datasets() {
			out = append(out, d.Name)
		}
	}
	c, err := FromEnv(getenv)
	if err != nil {
		return out
	}
	repos, err := c.List(kind)
	if err != nil {
		return out
	}
	for _, r := range repos {
		if r.Path == "" {
			continue
		}
		out = append(out, r.Name)
		for _, f := range r.Files {
			if strings.HasSuffix(f, ".gguf") {
				out = append(out, r.Name+":"+f)
			}
		}
	}
	return out
}

// Print writes two tables for people.
func (l *Listing) Print(w io.Writer) error {
	p := report.To(w)
	l.printCached(p)
	if l.kind == ModelKind {
		t := &report.Table{Columns: []report.Column{{Name: "known model"}, {Name: "size", Right: true}, {Name: "licence"}, {Name: "what it is"}}}
		for _, m := range l.Models {
			t.Row(m.Name, sizeText(m.Size), m.License, m.About)
		}
		p.Table(t)
		return p.Err()
	}
	t := &report.Table{Columns: []report.Column{{Name: "data set"}, {Name: "here"}, {Name: "size", Right: true}, {Name: "licence"}, {Name: "what it is"}}}
	for _, d := range l.Known {
		here := "yes"
		switch {
		case d.Path == "" && d.Address == Unknown:
			here = "address unknown"
		case d.Path == "":
			here = "no"
		}
		t.Row(d.Name, here, sizeText(d.Size), d.License, d.About)
	}
	p.Table(t)
	return p.Err()
}

func (l *Listing) printCached(p *report.Printer) {
	what := map[Kind]string{ModelKind: "model", DatasetKind: "data set"}[l.kind]
	if len(l.Cached) == 0 {
		p.Say("no %s is in %s\n", what, l.Cache)
		return
	}
	t := &report.Table{Columns: []report.Column{{Name: "cached " + what}, {Name: "size", Right: true}, {Name: "files", Right: true}, {Name: "state"}}}
	for _, r := range l.Cached {
		state := "whole"
		if r.Parts > 0 {
			state = fmt.Sprintf("%d unfinished; keyhole pull %s goes on", r.Parts, r.Name)
		}
		t.Row(r.Name, sizeText(r.Bytes), len(r.Files), state)
	}
	p.Table(t)
	p.Say("in %s\n", l.Cache)
}

// sizeText is a size for a table; 0 stands for an unknown one.
func sizeText(n int64) string {
	if n == 0 {
		return "?"
	}
	return Size(n)
}
