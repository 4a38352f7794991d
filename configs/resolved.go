package configs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Value is one resolved value.
type Value struct {
	Key    string // full key: train.steps
	Text   string // the value in canonical YAML, on one line
	Origin Origin
}

// Resolved is a whole configuration: every value in the order of the struct.
type Resolved struct {
	values []Value
}

func resolve(s *schema, c reflect.Value, origins map[string]Origin) *Resolved {
	r := &Resolved{}
	for _, f := range s.values {
		if v := s.get(c, f); v.IsValid() {
			r.values = append(r.values, Value{Key: f.key, Text: canonical(v), Origin: origins[f.key]})
		}
	}
	return r
}

// Values lists all values in the order of the struct.
func (r *Resolved) Values() []Value { return slices.Clone(r.values) }

// Told is a value as it is told to machines.
type Told struct {
	Value  any    `json:"value"`  // a string, a number, a list …, as YAML reads it
	Origin string `json:"origin"` // in words
}

// Told are all values by their keys.
func (r *Resolved) Told() (map[string]Told, error) {
	out := map[string]Told{}
	for _, v := range r.values {
		var x any
		if err := yaml.Unmarshal([]byte(v.Text), &x); err != nil {
			return nil, fmt.Errorf("%s: %w", v.Key, err)
		}
		out[v.Key] = Told{x, v.Origin.String()}
	}
	return out, nil
}

// Bytes writes the configuration as canonical YAML, values on one line each,
// with the origin of each value that is not the default as a comment.
func (r *Resolved) Bytes() []byte { return r.yaml(true) }

// Plain is Bytes without the origins: equal configurations give equal bytes,
// wherever their values came from.
func (r *Resolved) Plain() []byte { return r.yaml(false) }

func (r *Resolved) yaml(origins bool) []byte {
	var b strings.Builder
	var open []string // the section that the last line was in
	for _, v := range r.values {
		path := strings.Split(v.Key, ".")
		same := 0
		for same < len(open) && same < len(path)-1 && open[same] == path[same] {
			same++
		}
		for i := same; i < len(path)-1; i++ {
			fmt.Fprintf(&b, "%s%s:\n", strings.Repeat("  ", i), quote(path[i]))
		}
		open = path[:len(path)-1]
		fmt.Fprintf(&b, "%s%s: %s", strings.Repeat("  ", len(open)), quote(path[len(open)]), v.Text)
		if origins && v.Origin.Layer != FromDefault {
			b.WriteString(" # " + comment(v.Origin.String()))
		}
		b.WriteByte('\n')
	}
	return []byte(b.String())
}

// comment keeps a file name with odd characters from ending the comment.
func comment(s string) string {
	if q := strconv.Quote(s); q[1:len(q)-1] != s {
		return q
	}
	return s
}

// Hash is the SHA-256, in hex, of the canonical values without their origins,
// leaving out the keys and sections named in except.
func (r *Resolved) Hash(except ...string) string {
	h := sha256.New()
	for _, v := range r.values {
		if !slices.ContainsFunc(except, func(e string) bool { return v.Key == e || inside(v.Key, e) }) {
			fmt.Fprintf(h, "%s: %s\n", v.Key, v.Text)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Difference is a key whose value differs between two configurations.
type Difference struct {
	Key  string
	A, B string // canonical YAML; empty where the key does not exist
}

// String gives "train.steps: 100, was 200" with A as the present value.
func (d Difference) String() string {
	show := func(s string) string {
		if s == "" {
			return "absent"
		}
		return shorten(s)
	}
	return fmt.Sprintf("%s: %s, was %s", d.Key, show(d.A), show(d.B))
}

// Diff lists the keys in which a and b differ, in a's order, then those that
// only b has.
func Diff(a, b *Resolved) []Difference {
	inB := map[string]string{}
	for _, v := range b.values {
		inB[v.Key] = v.Text
	}
	inA := map[string]bool{}
	var list []Difference
	for _, v := range a.values {
		inA[v.Key] = true
		if v.Text != inB[v.Key] {
			list = append(list, Difference{Key: v.Key, A: v.Text, B: inB[v.Key]})
		}
	}
	for _, v := range b.values {
		if !inA[v.Key] {
			list = append(list, Difference{Key: v.Key, B: v.Text})
		}
	}
	return list
}

// Parse reads what [Resolved.Bytes] wrote, without the struct behind it, so that
// a configuration saved by another version can still be compared. Origins are
// lost. In canonical YAML a mapping in block style is a section and one in flow
// style is a value.
func Parse(text []byte) (*Resolved, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("resolved config: longer than %d bytes", maxFile)
	}
	root, fault := parseYAML(text)
	if fault != nil {
		return nil, fmt.Errorf("resolved config: line %d: %s", fault.Origin.Line, fault.Problem)
	}
	r := &Resolved{}
	if root == nil {
		return r, nil
	}
	seen := map[string]bool{}
	return r, r.flatten(root, "", seen, 0)
}

func (r *Resolved) flatten(n *yaml.Node, prefix string, seen map[string]bool, depth int) error {
	if n.Kind != yaml.MappingNode || depth > maxDepth {
		return fmt.Errorf("resolved config: line %d: want name: value lines at most %d deep", n.Line, maxDepth)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		key := join(prefix, name.Value)
		if name.Kind != yaml.ScalarNode || seen[key] {
			return fmt.Errorf("resolved config: line %d: key %q is there twice or is not a name", name.Line, name.Value)
		}
		seen[key] = true
		if value.Kind == yaml.MappingNode && value.Style&yaml.FlowStyle == 0 {
			if err := r.flatten(value, key, seen, depth+1); err != nil {
				return err
			}
			continue
		}
		r.values = append(r.values, Value{Key: key, Text: nodeCanonical(value, 0)})
	}
	return nil
}

// canonical writes a value as YAML on one line.
func canonical(v reflect.Value) string {
	if v.Type() == durationType {
		return time.Duration(v.Int()).String()
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "null"
		}
		return canonical(v.Elem())
	case reflect.String:
		return quote(v.String())
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Float32, reflect.Float64:
		return floatText(v.Float(), v.Type().Bits())
	case reflect.Slice:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = canonical(v.Index(i))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case reflect.Map:
		var parts []string
		for _, k := range sortedKeys(v) {
			parts = append(parts, quote(k.String())+": "+canonical(v.MapIndex(k)))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case reflect.Struct:
		var parts []string
		for i := range v.NumField() {
			if name, _, err := nameOf(v.Type(), v.Type().Field(i)); err == nil && name != "" {
				parts = append(parts, quote(name)+": "+canonical(v.Field(i)))
			}
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	if v.CanInt() {
		return strconv.FormatInt(v.Int(), 10)
	}
	return strconv.FormatUint(v.Uint(), 10)
}

func floatText(f float64, bits int) string {
	switch {
	case math.IsInf(f, 1):
		return ".inf"
	case math.IsInf(f, -1):
		return "-.inf"
	case math.IsNaN(f):
		return ".nan"
	}
	return strconv.FormatFloat(f, 'g', -1, bits)
}

func sortedKeys(m reflect.Value) []reflect.Value {
	keys := m.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	return keys
}

var bare = regexp.MustCompile(`^(\.{0,2}/)?[A-Za-z][A-Za-z0-9_./-]*$`)

// quote writes a string as YAML: bare if nobody could take it for anything
// else, and otherwise in double quotes, whose escapes are those of Go.
func quote(s string) string {
	if bare.MatchString(s) {
		switch strings.ToLower(s) {
		case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		default:
			return s
		}
	}
	return strconv.Quote(s)
}

// nodeCanonical writes a YAML node as canonical does its value.
func nodeCanonical(n *yaml.Node, depth int) string {
	if depth > maxDepth {
		return "…"
	}
	var parts []string
	switch n.Kind {
	case yaml.SequenceNode:
		for _, c := range n.Content {
			parts = append(parts, nodeCanonical(c, depth+1))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			parts = append(parts, nodeCanonical(n.Content[i], depth+1)+": "+nodeCanonical(n.Content[i+1], depth+1))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case yaml.AliasNode:
		return "*" + n.Value
	}
	if n.Style&quoted != 0 {
		return quote(n.Value)
	}
	return n.Value
}
