package configs

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/viper"

	"keyhole.example/keyhole/internal/regular"

	"keyhole.example/keyhole/internal/nearest"
)

const (
	envPrefix = "KEYHOLE_"
	maxFile   = 1 << 20 // bytes; a configuration is a few kilobytes
)

// Options are the layers above the file.
type Options struct {
	// Set holds overrides as they were typed, "train.steps=5"; a later one wins.
	Set []string
	// Env holds NAME=value lines, as os.Environ gives them. A name that begins
	// with KEYHOLE_ must be that of a key, in capitals and with _ for each dot,
	// or reserved. An empty value counts as unset.
	Env []string
	// Saved says that the text is a whole configuration that some version of the
	// program wrote. A key that it lacks came later, and means what its tag
	// absent:"VALUE" says, or today's default if it has none.
	Saved bool
	// ReservedEnv lists names that begin with KEYHOLE_ and are no keys.
	ReservedEnv []string
}

// Load reads the YAML file at path over the defaults that into, a pointer to a
// struct, holds, then applies the overrides of o. An empty file means the
// defaults; so does an empty path. The error joins a *[FieldError] for each
// fault; into is then unchanged.
//
// After reading, the Validate method of the struct and of each section (and of
// each list element) that has one is called, on the resolved values, outermost
// first; a section need not call that of a section within it.
func Load(path string, into any, o Options) (*Resolved, error) {
	if path == "" {
		return Read("", nil, into, o)
	}
	f, err := regular.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read config %s: %w", path, err)
	}
	return Read(path, text, into, o)
}

// Read is [Load] for text that is at hand, such as a preset; name stands for
// the file in messages and origins.
func Read(name string, text []byte, into any, o Options) (*Resolved, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("config %s: longer than %d bytes, which no configuration is; check the path", name, maxFile)
	}
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() || target.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("config: want a pointer to a struct to read into, got %T", into)
	}
	s, err := newSchema(target.Elem().Type())
	if err != nil {
		return nil, err
	}
	base := s.clone(target.Elem())
	if o.Saved {
		s.backdate(base)
	}
	l := &loader{schema: s, file: reader{schema: s, faults: &faults{}, origin: Origin{Layer: FromFile, Name: name}, lines: map[string]int{}}}
	layers, err := l.layers(base, text, o)
	if err != nil {
		return nil, err
	}
	result := s.clone(base)
	origins := map[string]Origin{}
	for _, f := range s.values {
		leaf, ok := layers.Get(f.key).(*leaf)
		if !ok {
			continue // a value of an optional section that is absent
		}
		origins[f.key] = leaf.origin
		if leaf.origin.Layer != FromDefault {
			s.set(result, f, leaf.value)
		}
	}
	l.validate(result, origins)
	if err := l.file.faults.err(); err != nil {
		return nil, err
	}
	target.Elem().Set(result)
	return resolve(s, result, origins), nil
}

// loader fills viper's layers and gathers the faults of all of them.
type loader struct {
	schema *schema
	file   reader
}

// Decoder implements viper's DecoderRegistry: viper reads YAML through our
// strict walk, whatever the format is called.
func (l *loader) Decoder(string) (viper.Decoder, error) { return &l.file, nil }

func (l *loader) layers(defaults reflect.Value, text []byte, o Options) (*viper.Viper, error) {
	v := viper.NewWithOptions(viper.WithDecoderRegistry(l))
	v.SetConfigType("yaml")
	for _, f := range l.schema.values {
		if d := l.schema.get(defaults, f); d.IsValid() {
			v.SetDefault(f.key, &leaf{value: d})
		}
	}
	if err := v.ReadConfig(bytes.NewReader(text)); err != nil {
		return nil, fmt.Errorf("config %s: %w", l.file.origin.Name, err)
	}
	if err := v.MergeConfigMap(l.environment(o)); err != nil {
		return nil, fmt.Errorf("config: merge environment: %w", err)
	}
	l.overrides(o.Set, v)
	return v, nil
}

// environment reads the variables that name keys, as nested maps for viper.
func (l *loader) environment(o Options) map[string]any {
	byName := map[string][]*field{}
	var all []string
	for _, f := range l.schema.values {
		name := EnvName(f.key)
		byName[name] = append(byName[name], f)
		all = append(all, name)
	}
	out := map[string]any{}
	for _, line := range o.Env {
		name, text, _ := strings.Cut(line, "=")
		if !strings.HasPrefix(name, envPrefix) || text == "" || slices.Contains(o.ReservedEnv, name) {
			continue
		}
		origin := Origin{Layer: FromEnv, Name: name}
		switch fields := byName[name]; len(fields) {
		case 0:
			l.file.faults.add(&FieldError{Problem: "names no key of the configuration", Fix: envFix(name, all), Origin: origin})
		case 1:
			r := reader{schema: l.schema, faults: l.file.faults, origin: origin}
			if leaf, ok := r.text(fields[0], text); ok {
				nest(out, fields[0].key, leaf)
			}
		default:
			l.file.faults.add(&FieldError{Problem: fmt.Sprintf("may mean %s or %s", fields[0].key, fields[1].key), Fix: "use --set", Origin: origin})
		}
	}
	return out
}

func envFix(name string, all []string) string {
	if best, ok := nearest.Name(name[len(envPrefix):], trimAll(all, envPrefix)); ok {
		return "did you mean " + envPrefix + best + "? otherwise unset it"
	}
	return "unset it; `keyhole config explain` lists the keys"
}

func trimAll(list []string, prefix string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = strings.TrimPrefix(s, prefix)
	}
	return out
}

// EnvName gives the environment variable for a key: KEYHOLE_TRAIN_STEPS for
// train.steps.
func EnvName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// nest puts a leaf under a dotted key of nested maps.
func nest(out map[string]any, key string, v *leaf) {
	parts := strings.Split(key, ".")
	for _, p := range parts[:len(parts)-1] {
		sub, ok := out[p].(map[string]any)
		if !ok {
			sub = map[string]any{}
			out[p] = sub
		}
		out = sub
	}
	out[parts[len(parts)-1]] = v
}

// overrides applies the --set arguments.
func (l *loader) overrides(set []string, v *viper.Viper) {
	r := reader{schema: l.schema, faults: l.file.faults, origin: Origin{Layer: FromSet}}
	for _, arg := range set {
		key, text, ok := strings.Cut(arg, "=")
		key = strings.TrimSpace(key)
		if !ok {
			r.faults.add(&FieldError{Problem: strconv.Quote(arg) + " is no override", Fix: "write --set key=value, such as --set train.steps=100", Origin: r.origin})
			continue
		}
		f, known := l.schema.find(key)
		switch {
		case !known:
			r.faults.add(&FieldError{Key: key, Value: text, Problem: "unknown key", Fix: suggest(key, "", l.schema.keys(), l.schema.keys()), Origin: r.origin})
		case f.section:
			r.faults.add(&FieldError{Key: key, Value: text, Problem: "is a section", Fix: "set one of its keys: " + strings.Join(names(f.fields), ", "), Origin: r.origin})
		default:
			if leaf, ok := r.text(f, text); ok {
				v.Set(f.key, leaf)
			}
		}
	}
}
