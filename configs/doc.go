// Package configs reads a YAML configuration strictly and remembers where each
// value came from.
//
// It knows no configuration of its own: a caller hands in a pointer to a struct
// that holds the defaults, whose fields carry `yaml:"name"` and `doc:"…"` tags,
// and gets the struct filled in. Nested structs are sections; strings, bools,
// ints, floats, [time.Duration], pointers to these, slices and maps with string
// keys are values. Values are layered, the later winning: defaults, file,
// environment (KEYHOLE_TRAIN_STEPS for train.steps), then --set train.steps=5.
//
// The central type is [Resolved]: every value with its [Origin], as canonical
// YAML and as a hash.
//
// Reading order: load.go (the layers, by way of a viper instance), schema.go
// (the struct as a list of keys), decode.go (one YAML node into one value),
// walk.go (the file, key by key), resolved.go, then fault.go and nearest.go
// for the messages; absent.go for keys that came later.
//
// Promises:
//   - An unknown key, a wrong type, a duplicate key or an impossible value is an
//     error that names file, line, key, value and the way out; all faults of a
//     configuration are reported together, in a fixed order.
//   - On error the struct handed in is as it was.
//   - The environment is what the caller hands in; nothing is read unasked.
//   - Reading [Resolved.Bytes] again gives the same [Resolved.Hash].
//   - What an earlier version saved keeps its meaning: a new key has the tag
//     absent:"VALUE" with what programs did before there was the key, which
//     [Options.Saved] and [Identity] heed, whatever its default is.
//
// Names with dots, such as transformer.h.3.mlp.c_fc.weight, belong in lists or
// in map values: a dot in a key of a section separates sections.
//
// The folder of this package also holds the presets (*.yaml), which are
// embedded; see [Preset].
package configs
