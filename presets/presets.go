// Package presets reads configurations whatever they configure: files and presets of
// trainings, pretrainings and comparisons, with overrides and the variables of the
// environment on top.
package presets

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"keyhole.example/keyhole/compare"
	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/internal/regular"
	"keyhole.example/keyhole/pretrain"
	"keyhole.example/keyhole/train"
)

// reservedEnv are KEYHOLE_ variables that are no keys of the configuration into:
// those that are none at all, and the keys of other kinds.
func reservedEnv(into any) ([]string, error) {
	own, err := configs.Explain(into)
	if err != nil {
		return nil, err
	}
	out := []string{"KEYHOLE_SHARED", "KEYHOLE_DATA", mpi.LibraryVariable}
	for _, k := range Kinds() {
		rows, err := configs.Explain(k.Fresh())
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if r.Env != "" && !slices.ContainsFunc(own, func(o configs.Row) bool { return o.Env == r.Env }) {
				out = append(out, r.Env)
			}
		}
	}
	return out, nil
}

// Kind is what a YAML file can be the configuration of.
type Kind struct {
	Name  string
	Fresh func() any // pointer to the defaults
	mark  string     // top-level key that no other kind has; "" for the kind that is meant else
}

// Kinds are all kinds, that without a mark last.
func Kinds() []Kind {
	return []Kind{
		{"pretrain", func() any { c := pretrain.Default(); return &c }, "relations"},
		{"compare", func() any { c := compare.Default(); return &c }, "editors"},
		{"train", func() any { c := train.Default(); return &c }, ""},
	}
}

// Read reads a YAML file, or a preset by name, with overrides and the environment on
// top.
func Read(name string, into any, set []string) (*configs.Resolved, error) {
	reserved, err := reservedEnv(into)
	if err != nil {
		return nil, err
	}
	opt := configs.Options{Set: set, Env: os.Environ(), ReservedEnv: reserved}
	if _, err := os.Stat(name); err != nil {
		if text, ok := configs.Preset(name); ok {
			return configs.Read(name, text, into, opt)
		}
		if !strings.ContainsAny(name, "./\\") {
			return nil, fmt.Errorf("there is no file and no preset %q; presets are %s", name, strings.Join(configs.Presets(), ", "))
		}
	}
	return configs.Load(name, into, opt)
}

// Find is the kind of a name.
func Find(name string) (Kind, error) {
	for _, k := range Kinds() {
		if k.Name == name {
			return k, nil
		}
	}
	return Kind{}, fmt.Errorf("kind %q is none of train, pretrain, compare", name)
}

// Of finds out what a file, or a preset by name, configures.
func Of(name string) Kind {
	text, err := regular.ReadFile(name, 1<<20)
	if err != nil {
		text, _ = configs.Preset(name)
	}
	var keys map[string]any
	_ = yaml.Unmarshal(text, &keys) // a file that is no YAML is refused, with its line, when it is read
	kinds := Kinds()
	for _, k := range kinds {
		if _, ok := keys[k.mark]; ok {
			return k
		}
	}
	return kinds[len(kinds)-1]
}
