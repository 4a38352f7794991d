package configs

import (
	"slices"
	"strings"

	"keyhole.example/keyhole/internal/nearest"
)

// suggest says which of the valid names the user may have meant. siblings are
// the names valid at this place, all the full keys of the configuration.
func suggest(name, prefix string, siblings, all []string) string {
	if best, ok := nearest.Name(name, siblings); ok {
		return "did you mean " + join(prefix, best) + "?"
	}
	for _, key := range all { // the right name in the wrong section
		if last := key[strings.LastIndexByte(key, '.')+1:]; strings.EqualFold(last, name) {
			return "did you mean " + key + "?"
		}
	}
	if len(siblings) == 0 {
		return "no key is valid here"
	}
	return "valid keys here are " + strings.Join(siblings, ", ")
}

// join puts a section's key before a name within it.
func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

// names lists the names of fields in declaration order.
func names(fields []*field) []string {
	list := make([]string, len(fields))
	for i, f := range fields {
		list[i] = f.name
	}
	return slices.Clip(list)
}
