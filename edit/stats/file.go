package stats

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/lm/tensorfile"
)

const (
	format        = "keyhole-moment-1"
	formatPartial = "keyhole-moment-part-1"
	ending        = ".safetensors"
)

// metadata is info as a file keeps it.
func (i Info) metadata(format string) map[string]string {
	return map[string]string{
		"format": format, "model": i.Model, "site": i.Site, "corpus": i.Corpus,
		"seed": strconv.FormatUint(i.Seed, 10), "budget": strconv.Itoa(i.Budget), "context": strconv.Itoa(i.Context),
		"width": strconv.Itoa(i.Width), "tokens": strconv.Itoa(i.Tokens), "texts": strconv.Itoa(i.Texts),
	}
}

// infoKeys are the keys of metadata.
func infoKeys() []string { return slices.Collect(maps.Keys(Info{}.metadata(""))) }

// infoOf is the reverse of metadata.
func infoOf(path string, meta map[string]string, format string) (Info, error) {
	if meta["format"] != format {
		return Info{}, fmt.Errorf("%s: format %q, want %q; this is no file of second moments", path, meta["format"], format)
	}
	i := Info{Model: meta["model"], Site: meta["site"], Corpus: meta["corpus"]}
	var err error
	if i.Seed, err = strconv.ParseUint(meta["seed"], 10, 64); err != nil {
		return Info{}, fmt.Errorf("%s: seed %q is no number", path, meta["seed"])
	}
	for _, f := range []struct {
		name string
		to   *int
	}{{"budget", &i.Budget}, {"context", &i.Context}, {"width", &i.Width}, {"tokens", &i.Tokens}, {"texts", &i.Texts}} {
		if *f.to, err = strconv.Atoi(meta[f.name]); err != nil || *f.to < 0 {
			return Info{}, fmt.Errorf("%s: %s %q is no count", path, f.name, meta[f.name])
		}
	}
	return i, nil
}

// sameRun reports whether two moments come from one run, apart from how far it
// went and from the site.
func (i Info) sameRun(j Info) bool {
	if !lm.OfOneModel(i.Model, j.Model) {
		return false
	}
	i.Site, i.Width, i.Tokens, i.Texts, i.Model = j.Site, j.Width, j.Tokens, j.Texts, j.Model
	return i == j
}

// fileName depends on everything but the counts.
func (i Info) fileName() string {
	_, tok := lm.SplitHash(i.Model)
	if tok != "" {
		tok = fmt.Sprintf(".%.8s", tok)
	}
	return i.named(tok)
}

// earlierName is the name without the tokenizer, which earlier versions gave.
func (i Info) earlierName() string { return i.named("") }

func (i Info) named(tok string) string {
	return fmt.Sprintf("%s.%.8s%s.%.8s.s%d.t%d.c%d%s", i.Site, i.Model, tok, i.Corpus, i.Seed, i.Budget, i.Context, ending)
}

// entry is the upper triangle of the sum.
func (m *Moment) entry(name string) safetensors.Entry {
	upper := make([]float64, 0, m.Width*(m.Width+1)/2)
	for i := range m.Width {
		upper = append(upper, m.Sum[i*m.Width+i:(i+1)*m.Width]...)
	}
	return safetensors.Doubles(name, []int{len(upper)}, upper)
}

// fill reads the upper triangle back.
func (m *Moment) fill(f *safetensors.File, name string) error {
	t, ok := f.Tensor(name)
	const maxWidth = 1 << 20 // keeps the product inside an int
	if !ok || m.Width < 1 || m.Width > maxWidth || t.DType != tensorfile.F64 || len(t.Raw) != 4*m.Width*(m.Width+1) {
		return fmt.Errorf("%s: no tensor %s of %d·%d/2 float64 values", f.Path(), name, m.Width, m.Width+1)
	}
	m.Sum = make([]float64, m.Width*m.Width)
	at := 0
	for i := range m.Width {
		for j := i; j < m.Width; j++ {
			v := math.Float64frombits(binary.LittleEndian.Uint64(t.Raw[at:]))
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("%s: %s has the value %v", f.Path(), name, v)
			}
			m.Sum[i*m.Width+j] = v
			at += 8
		}
	}
	return nil
}

// Save writes the moment to path, whole or not at all.
func (m *Moment) Save(path string) error {
	return safetensors.WriteSealed(path, []safetensors.Entry{m.entry("sum")}, m.metadata(format))
}

// Load reads what Save wrote.
func Load(path string) (m *Moment, err error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sealed, err := f.CheckSeal(infoKeys()...)
	if err != nil {
		return nil, fmt.Errorf("statistics: %w; delete it, and they are collected again", err)
	}
	m = &Moment{path: path}
	if !sealed {
		m.Note = fmt.Sprintf("statistics %s: an earlier version wrote them, without a sum; that they are whole is taken for granted", path)
	}
	if m.Info, err = infoOf(path, f.Metadata(), format); err != nil {
		return nil, err
	}
	if m.Tokens == 0 {
		return nil, fmt.Errorf("%s: statistics of no tokens", path)
	}
	if err := m.fill(f, "sum"); err != nil {
		return nil, err
	}
	return m, nil
}

// Find loads the statistics of a site that dir has, of most tokens if there are
// several. An error that wraps fs.ErrNotExist says that there are none, and
// whether there are some of another model.
func Find(dir string, m *lm.Model, site lm.Site) (*Moment, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*"+ending))
	if err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	hash, err := m.Hash()
	if err != nil {
		return nil, err
	}
	best, most, others := "", 0, 0
	for _, path := range paths {
		f, err := safetensors.Open(path)
		if err != nil {
			return nil, fmt.Errorf("statistics: %w", err)
		}
		i, err := infoOf(path, f.Metadata(), format)
		if closed := f.Close(); closed != nil {
			return nil, closed
		}
		switch {
		case err != nil || i.Site != site.Name: // not for this layer
		case !lm.OfOneModel(i.Model, hash):
			others++
		case i.Tokens > most:
			best, most = path, i.Tokens
		}
	}
	if best == "" {
		also := ""
		if others > 0 {
			also = fmt.Sprintf(" (the %d files there are those of another model)", others)
		}
		return nil, fmt.Errorf("no statistics of %s for this model in %s%s; collect them from a text first: %w", site.Name, dir, also, fs.ErrNotExist)
	}
	found, err := Load(best)
	if err != nil {
		return nil, err
	}
	return found, found.Check(m, site)
}

// load takes what Dir has: all moments complete, or the partial sums of the same
// run.
func (p *pass) load() (done bool, err error) {
	done = true
	for i, m := range p.moments {
		have, err := Load(filepath.Join(p.opts.Dir, m.fileName()))
		if errors.Is(err, fs.ErrNotExist) {
			have, err = Load(filepath.Join(p.opts.Dir, m.earlierName()))
		}
		if errors.Is(err, fs.ErrNotExist) {
			done = false
			break
		}
		if err != nil {
			return false, err
		}
		if !have.sameRun(m.Info) || have.Width != m.Width {
			return false, fmt.Errorf("%s holds statistics of something else; delete it", have.path)
		}
		p.moments[i] = have
	}
	if done {
		return true, nil
	}
	for _, m := range p.moments { // a complete one is collected again with the others
		clear(m.Sum)
		m.Tokens, m.Texts = 0, 0
	}
	return false, p.loadPartial()
}

func (p *pass) partialPath() string {
	return filepath.Join(p.opts.Dir, "part-"+p.moments[0].fileName())
}

func (p *pass) loadPartial() (err error) {
	f, err := safetensors.Open(p.partialPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.CheckSeal(infoKeys()...); err != nil {
		return fmt.Errorf("partial statistics: %w; delete it, and they are collected from the beginning", err)
	}
	i, err := infoOf(f.Path(), f.Metadata(), formatPartial)
	if err != nil {
		return err
	}
	for _, m := range p.moments {
		if _, ok := f.Tensor(m.Site); !ok || !i.sameRun(m.Info) {
			return nil // of other layers: begin anew
		}
	}
	for _, m := range p.moments {
		if err := m.fill(f, m.Site); err != nil {
			return err
		}
		m.Tokens, m.Texts = i.Tokens, i.Texts
	}
	return nil
}

func (p *pass) savePartial() error {
	if err := os.MkdirAll(p.opts.Dir, 0o777); err != nil {
		return fmt.Errorf("folder of statistics: %w", err)
	}
	var entries []safetensors.Entry
	for _, m := range p.moments {
		entries = append(entries, m.entry(m.Site))
	}
	return safetensors.WriteSealed(p.partialPath(), entries, p.moments[0].metadata(formatPartial))
}

// save writes all moments and removes the partial sums.
func (p *pass) save() error {
	if p.opts.Dir == "" {
		return nil
	}
	if err := os.MkdirAll(p.opts.Dir, 0o777); err != nil {
		return fmt.Errorf("folder of statistics: %w", err)
	}
	for _, m := range p.moments {
		m.path = filepath.Join(p.opts.Dir, m.fileName())
		if err := m.Save(m.path); err != nil {
			return err
		}
	}
	if err := os.Remove(p.partialPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("partial statistics: %w", err)
	}
	return nil
}
