package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/alphaedit"
	"keyhole.example/keyhole/edit/family"
	"keyhole.example/keyhole/edit/ft"
	"keyhole.example/keyhole/edit/gated"
	"keyhole.example/keyhole/edit/grace"
	"keyhole.example/keyhole/edit/ike"
	"keyhole.example/keyhole/edit/memit"
	"keyhole.example/keyhole/edit/nearest"
	"keyhole.example/keyhole/edit/rome"
	"keyhole.example/keyhole/edit/wise"
	"keyhole.example/keyhole/lm"
)

// None is the name of the editor that changes nothing.
const None = "none"

// Entry is an editor that needs no trained checkpoint.
type Entry struct {
	Name, About string
	Subject     bool // its requests have to name the subject
	InContext   bool // it changes no weights: its edits are kept in a store
	Memory      bool // it changes no weights: its edits are a memory behind a layer
	Together    bool // several requests are one edit: made one by one, edits do not add up

	Fresh func() any // pointer to its default config; nil if it has none
	make  func(ctx context.Context, in Ingredients, config any, b *Built) error
}

// Entries lists the editors: the one place to register another.
func Entries() []Entry {
	list := []Entry{
		{Name: None, About: "changes nothing: what the base model answers", make: makeNone},
		{Name: "rome", About: "one layer's weight, where the fact is looked up", Subject: true,
			Fresh: func() any { c := rome.Default(); return &c }, make: makeROME},
		{Name: "memit", About: "ROME over several layers, for many edits at once", Subject: true, Together: true,
			Fresh: func() any { c := memit.Default(); return &c }, make: makeMEMIT},
		{Name: "alphaedit", About: "MEMIT in directions that old facts hardly use, for batch after batch", Subject: true, Together: true,
			Fresh: func() any { c := alphaedit.Default(); return &c }, make: makeAlphaEdit},
	}
	list = append(list, Entry{Name: "grace", About: "no weight: a codebook behind one layer, whose values answer near their keys", Memory: true, Together: true,
		Fresh: func() any { c := grace.Default(); return &c }, make: makeGRACE})
	list = append(list, Entry{Name: "nearest", About: "no weight: ROME's values in a store behind one layer, used near their keys", Memory: true, Subject: true,
		Fresh: func() any { c := defaultNearest(); return &c }, make: makeNearest})
	list = append(list, Entry{Name: "gated", About: "no weight: each edit of another editor by itself, used whole in texts that hold its key", Memory: true, Subject: true,
		Fresh: func() any { c := defaultGated(); return &c }, make: makeGated})
	list = append(list, Entry{Name: "wise", About: "no weight: side memories of one matrix, which answer where they are moved", Memory: true,
		Fresh: func() any { c := wise.Default(); return &c }, make: makeWISE})
	for _, v := range ft.Variants() {
		list = append(list, Entry{Name: v, About: "fine-tuning: " + ftAbout(v), Together: v != "lora",
			Fresh: func() any { c := ft.Default(v); return &c }, make: makeFT})
	}
	for _, v := range ike.Variants() {
		list = append(list, Entry{Name: v, About: ikeAbout(v), InContext: true,
			Fresh: func() any { c := ike.Default(v); return &c }, make: makeIKE})
	}
	return list
}

// nearestConfig is a store's settings and those of the editor of its values.
type nearestConfig struct {
	nearest.Settings `yaml:",inline"`
	ROME             rome.Config `yaml:"rome" doc:"the editor that finds the values"`
}

func defaultNearest() nearestConfig {
	return nearestConfig{Settings: nearest.DefaultSettings(), ROME: rome.Default()}
}

// Validate checks both.
func (c *nearestConfig) Validate() error {
	return errors.Join(c.Settings.Validate(), c.ROME.Validate())
}

// Kept is the key of an editor's configuration that names whose edits it keeps.
const Kept = "editor"

// gatedConfig is a store's settings and whose edits it keeps.
type gatedConfig struct {
	gated.Settings `yaml:",inline"`
	Editor         string      `yaml:"editor" doc:"whose edits are kept: rome, or the run folder of a trained editor"`
	ROME           rome.Config `yaml:"rome" doc:"rome's settings, where editor is rome"`
}

func defaultGated() gatedConfig {
	return gatedConfig{Settings: gated.DefaultSettings(), Editor: "rome", ROME: rome.Default()}
}

// Validate checks all of it.
func (c *gatedConfig) Validate() error {
	if c.Editor == "" {
		return errors.New("editor: it is empty; use rome or a run folder")
	}
	return errors.Join(c.Settings.Validate(), c.ROME.Validate())
}

func ftAbout(variant string) string {
	switch variant {
	case "ft-l":
		return "each weight stays near its old value"
	case "ft-m":
		return "the weight alone, without its bias, the loss on the target"
	case "lora":
		return "a change of low rank"
	}
	return "one layer, until the target is said"
}

func ikeAbout(variant string) string {
	switch variant {
	case ike.Prompt:
		return "the new fact alone before each question"
	case ike.EasyEdit:
		return "demonstrations before each question, as EasyEdit does it"
	}
	return "demonstrations before each question: copy, update, retain"
}

// Names are the names of all entries, in their order.
func Names() []string {
	var names []string
	for _, e := range Entries() {
		names = append(names, e.Name)
	}
	return names
}

// InContext are the names of those that change no weights.
func InContext() []string {
	var names []string
	for _, e := range Entries() {
		if e.InContext {
			names = append(names, e.Name)
		}
	}
	return names
}

// Trained are the names of editors that have to be trained first.
func Trained() []string { return []string{"keyhole", "mend", "rates", "serac"} }

// NameError says that a name or an override does not fit the catalogue.
type NameError struct{ problem string }

func (e *NameError) Error() string { return e.problem }

// Find returns the entry of a name, or a *NameError that says what there is.
func Find(name string) (Entry, error) {
	list := Entries()
	i := slices.IndexFunc(list, func(e Entry) bool { return e.Name == name })
	switch {
	case slices.Contains(Trained(), name):
		return Entry{}, &NameError{fmt.Sprintf("editor %s has to be trained: give its run folder instead of its name (keyhole train makes one)", name)}
	case i < 0:
		return Entry{}, &NameError{fmt.Sprintf("there is no editor %q; it is one of %s, or a run folder", name, strings.Join(Names(), ", "))}
	}
	return list[i], nil
}

// Config is the entry's configuration for a model: the published values, over
// them those of the model's family (package edit/family), over them overrides as
// "lr=1e-3". It is a pointer to the editor's struct, nil if it has none; the
// resolved values say where each comes from. m may be nil: a model that is not
// known yet.
func (e Entry) Config(m *lm.Model, set []string) (any, *configs.Resolved, error) {
	switch {
	case e.Fresh == nil && len(set) > 0:
		return nil, nil, &NameError{fmt.Sprintf("editor %s has nothing to be set", e.Name)}
	case e.Fresh == nil:
		return nil, nil, nil
	}
	known, err := family.Of(m)
	if err != nil {
		return nil, nil, err
	}
	s, ok, err := known.Setting(e.Name)
	if err != nil {
		return nil, nil, err
	}
	if !ok {
		s.File = "editor " + e.Name
	}
	config := e.Fresh()
	r, err := configs.Read(s.File, s.Text, config, configs.Options{Set: set})
	return config, r, err
}

// Has reports whether the configuration has a key.
func (e Entry) Has(key string) bool {
	if e.Fresh == nil {
		return false
	}
	rows, err := configs.Explain(e.Fresh())
	return err == nil && slices.ContainsFunc(rows, func(r configs.Row) bool { return r.Key == key })
}

// unedited is the editor none.
type unedited struct{}

func (unedited) Name() string { return None }

func (unedited) Apply(_ context.Context, _ *lm.Model, r []edit.Request) (*edit.Edited, error) {
	return &edit.Edited{Editor: None, Requests: r}, nil
}

// Locate replaces the models that overrides, "key=value", name by the paths that find
// gives for them.
func Locate(set []string, find func(name string) (string, error)) ([]string, error) {
	out := slices.Clone(set)
	for i, s := range out {
		key, value, _ := strings.Cut(s, "=")
		if strings.TrimSpace(key) != "encoder" {
			continue
		}
		path, err := find(strings.TrimSpace(value))
		if err != nil {
			return nil, err
		}
		out[i] = key + "=" + path
	}
	return out, nil
}
