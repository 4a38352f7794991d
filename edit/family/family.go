package family

import (
	"embed"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"keyhole.example/keyhole/lm"
)

//go:embed *.yaml
var files embed.FS

// general is the family of models that no file matches.
const general = "general"

// folder is where the files lie in the sources, for messages.
const folder = "edit/family"

// Family is what is known of a model.
type Family struct {
	Name string // of its file, without the ending
	// Prompts are texts that have nothing to do with an edit, for its drift.
	Prompts []string
	// PromptsFrom says where they come from.
	PromptsFrom string

	editors map[string]editor
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

// shape recognises models.
type shape struct {
	ModelType string `yaml:"model_type"`
	Layers    int    `yaml:"layers"`
	Width     int    `yaml:"width"`
	Vocab     int    `yaml:"vocab"`
}

// content is a file.
type content struct {
	Match shape `yaml:"match"`
	Drift struct {
		From    string   `yaml:"from"`
		Prompts []string `yaml:"prompts"`
	} `yaml:"drift"`
	Editors map[string]editor `yaml:"editors"`
}

// Of finds the family of a model; nil is a model that is not known yet.
func Of(m *lm.Model) (*Family, error) {
	all, err := read()
	if err != nil {
		return nil, err
	}
	name := general
	for n, c := range all {
		if m != nil && c.Match == (shape{m.Config.ModelType, m.Config.Layers, m.Config.Width, m.Config.Vocab}) {
			name = n
		}
	}
	c := all[name]
	f := &Family{Name: name, Prompts: c.Drift.Prompts, PromptsFrom: c.Drift.From, editors: c.Editors}
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
		var c content
		d := yaml.NewDecoder(strings.NewReader(string(raw)))
		d.KnownFields(true)
		if err := d.Decode(&c); err != nil {
			return nil, fmt.Errorf("%s: %w", path.Join(folder, e.Name()), err)
		}
		for name, x := range c.Editors {
			if x.From == "" {
				return nil, fmt.Errorf("%s: editors.%s: it does not say where its values come from", path.Join(folder, e.Name()), name)
			}
		}
		out[strings.TrimSuffix(e.Name(), ".yaml")] = c
	}
	if len(out[general].Drift.Prompts) == 0 {
		return nil, errors.New("families: there are no general prompts")
	}
	return out, nil
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
	s := Setting{File: path.Join(folder, f.Name+".yaml"), From: strings.TrimSpace(e.From)}
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
