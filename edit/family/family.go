package family

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"keyhole.example/keyhole/internal/regular"
	"keyhole.example/keyhole/lm"
)

//go:embed *.yaml
var files embed.FS

// general is the family of models that no file matches.
const general = "general"

// folder is where the files lie in the sources, for messages.
const folder = "edit/family"

// maxFile bounds a user's own file.
const maxFile = 1 << 20

// Family is what is known of a model.
type Family struct {
	Name string // of its file, without the ending
	// Prompts are texts that have nothing to do with an edit, for its drift.
	Prompts []string
	// PromptsFrom says where they come from.
	PromptsFrom string

	// Train are the weights that an editor network is best trained to change; nil: nobody
	// has looked.
	Train *Places

	editors map[string]editor
	path    string
}

// Places are weights, as of model.sites, and the rows of an edit that change them, as
// of hypernet.update.rows.
type Places struct {
	From  string   `yaml:"from"`
	Sites []string `yaml:"sites"`
	Rows  string   `yaml:"rows"`
}

// SiteList is the weights as a YAML list on one line.
func (p *Places) SiteList() string {
	var out []string
	for _, s := range p.Sites {
		out = append(out, fmt.Sprintf("%q", s))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

type editor struct {
	From   string    `yaml:"from"`
	Config yaml.Node `yaml:"config"`
}

// Setting are values of an editor's configuration.
type Setting struct {
	File string // the file and its place in the sources
	Text []byte // YAML; its lines have the numbers that they have in the file
	From string // where the values come from
}

// shape recognises models; what is left out fits any.
type shape struct {
	ModelType string `yaml:"model_type"`
	Layers    int    `yaml:"layers"`
	Width     int    `yaml:"width"`
	Vocab     int    `yaml:"vocab"`
}

// fits says whether a model has the shape, and by how many of its marks.
func (s shape) fits(c *lm.Config) (marks int, ok bool) {
	for _, x := range [][2]int{{s.Layers, c.Layers}, {s.Width, c.Width}, {s.Vocab, c.Vocab}} {
		switch {
		case x[0] == 0:
		case x[0] != x[1]:
			return 0, false
		default:
			marks++
		}
	}
	if s.ModelType != "" {
		marks++
	}
	return marks, marks > 0 && (s.ModelType == "" || s.ModelType == c.ModelType)
}

// content is a file.
type content struct {
	path string // for messages

	Match shape `yaml:"match"`
	Drift struct {
		From    string   `yaml:"from"`
		Prompts []string `yaml:"prompts"`
	} `yaml:"drift"`
	Train   *Places           `yaml:"train"`
	Editors map[string]editor `yaml:"editors"`
}

// Of finds the family of a model; nil is a model that is not known yet. Of several
// that fit, the one that names most of the model's marks counts, and of equal ones
// the user's own, which lies in UserFolder.
func Of(m *lm.Model) (*Family, error) {
	all, err := read()
	if err != nil {
		return nil, err
	}
	own, err := readOwn(UserFolder())
	if err != nil {
		return nil, err
	}
	name, c, most := general, all[general], 0
	if m != nil {
		for _, list := range []map[string]content{all, own} {
			for _, n := range slices.Sorted(maps.Keys(list)) {
				if marks, ok := list[n].Match.fits(&m.Config); ok && marks >= most {
					name, c, most = n, list[n], marks
				}
			}
		}
	}
	f := &Family{Name: name, Prompts: c.Drift.Prompts, PromptsFrom: c.Drift.From, Train: c.Train, editors: c.Editors, path: c.path}
	if len(f.Prompts) == 0 {
		f.Prompts, f.PromptsFrom = all[general].Drift.Prompts, all[general].Drift.From
	}
	return f, nil
}

// read reads all files, by name.
func read() (map[string]content, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("families: %w", err)
	}
	out := map[string]content{}
	for _, e := range entries {
		raw, err := files.ReadFile(e.Name())
		if err != nil {
			return nil, fmt.Errorf("families: %w", err)
		}
		c, err := parse(path.Join(folder, e.Name()), raw)
		if err != nil {
			return nil, err
		}
		out[strings.TrimSuffix(e.Name(), ending)] = c
	}
	if len(out[general].Drift.Prompts) == 0 {
		return nil, errors.New("families: there are no general prompts")
	}
	return out, nil
}

const ending = ".yaml"

// parse reads a file's text.
func parse(path string, raw []byte) (content, error) {
	c := content{path: path}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	if t := c.Train; t != nil && (t.From == "" || len(t.Sites) == 0) {
		return c, fmt.Errorf("%s: train: it needs sites, and from, where they come from", path)
	}
	for name, x := range c.Editors {
		if x.From == "" {
			return c, fmt.Errorf("%s: editors.%s: it does not say where its values come from (from: …)", path, name)
		}
	}
	return c, nil
}

// UserFolder is where a user's own files are looked for; "" where the system has
// no such place.
func UserFolder() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "keyhole", "families")
}

// readOwn reads a user's files, by name. A folder that is not there holds none.
func readOwn(dir string) (map[string]content, error) {
	out := map[string]content{}
	if dir == "" {
		return out, nil
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*"+ending))
	if err != nil {
		return nil, fmt.Errorf("families: %w", err)
	}
	for _, path := range paths {
		raw, err := regular.ReadFile(path, maxFile)
		if err != nil {
			return nil, fmt.Errorf("families: %w", err)
		}
		c, err := parse(path, raw)
		if err != nil {
			return nil, err
		}
		if c.Match == (shape{}) {
			return nil, fmt.Errorf("%s: match: it names no model; give at least model_type", path)
		}
		out[strings.TrimSuffix(filepath.Base(path), ending)] = c
	}
	return out, nil
}

// Names are those of the families that the program ships.
func Names() ([]string, error) {
	all, err := read()
	return slices.Sorted(maps.Keys(all)), err
}

// Editors are the names of the editors that the family has settings of.
func (f *Family) Editors() []string {
	var out []string
	for name := range f.editors {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// Setting are the family's values for an editor, if it has any.
func (f *Family) Setting(name string) (Setting, bool, error) {
	e, ok := f.editors[name]
	if !ok {
		return Setting{}, false, nil
	}
	s := Setting{File: f.path, From: strings.TrimSpace(e.From)}
	if e.Config.IsZero() {
		return s, true, nil
	}
	text, err := yaml.Marshal(&e.Config)
	if err != nil {
		return Setting{}, false, fmt.Errorf("%s: %w", s.File, err)
	}
	s.Text = append([]byte(strings.Repeat("\n", e.Config.Line-1)), text...)
	return s, true, nil
}
