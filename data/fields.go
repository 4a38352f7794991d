package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// fields reads one JSON object of a record. It remembers the first failure in
// the record's verdict, so that a parser reads straight on and the caller asks
// once at the end.
type fields struct {
	values map[string]json.RawMessage
	keys   []string // in file order
	path   string   // of the object in its record, "" at the top
	read   map[string]bool
	v      *verdict
}

// verdict is what the parsers found out about one record.
type verdict struct {
	field, bad string   // the first failure
	drop       string   // a rule of the format that leaves the record out
	notes      []string // parts that were left out of a kept record
	objects    []*fields
}

// unread are the keys that nobody asked for, with the objects that hold them.
func (v *verdict) unread() []string {
	var out []string
	for _, f := range v.objects {
		for _, k := range f.keys {
			if name := index.ReplaceAllString(f.at(k), "[]"); !f.read[k] && !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// index is a place in a list.
var index = regexp.MustCompile(`\[\d+\]`)

// fresh is the object as nobody has read it.
func (f *fields) fresh() *fields {
	c := &fields{values: f.values, keys: f.keys, path: f.path, read: map[string]bool{}, v: new(verdict)}
	c.v.objects = []*fields{c}
	return c
}

// readAll marks every key as read.
func (f *fields) readAll() {
	for _, k := range f.keys {
		f.read[k] = true
	}
}

func (v *verdict) fail(field, reason string) {
	if v.bad == "" {
		v.field, v.bad = field, reason
	}
}

// parseObject splits raw into the fields of one object.
func parseObject(raw []byte) (*fields, error) {
	f := &fields{values: make(map[string]json.RawMessage), read: map[string]bool{}, v: new(verdict)}
	f.v.objects = []*fields{f}
	switch k := kindOf(raw); {
	case k == "an object":
	case len(raw) > 0 && !json.Valid(raw):
		return nil, fmt.Errorf("not valid JSON: %.30q", raw)
	default:
		return nil, fmt.Errorf("want an object, found %s", k)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if _, err := dec.Token(); err != nil {
		return nil, jsonError(err)
	}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, jsonError(err)
		}
		key, ok := tok.(string)
		if !ok {
			return nil, fmt.Errorf("not valid JSON: a key is not a string")
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, jsonError(err)
		}
		if _, twice := f.values[key]; twice {
			return nil, fmt.Errorf("field %q occurs twice", key)
		}
		f.values[key] = value
		f.keys = append(f.keys, key)
	}
	if _, err := dec.Token(); err != nil {
		return nil, jsonError(err)
	}
	if rest := bytes.TrimSpace(raw[dec.InputOffset():]); len(rest) > 0 {
		return nil, fmt.Errorf("not valid JSON: text after the object; want one object a line")
	}
	return f, nil
}

func jsonError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("not valid JSON: the record ends early")
	}
	return fmt.Errorf("not valid JSON: %w", err)
}

// kindOf names the type of a JSON value by its first byte.
func kindOf(raw []byte) string {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if len(raw) == 0 {
		return "nothing"
	}
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return "a number"
	}
	return fmt.Sprintf("text that starts with %q", raw[0])
}

func (f *fields) at(key string) string {
	if f.path == "" {
		return key
	}
	return f.path + "." + key
}

func (f *fields) fail(key, format string, args ...any) {
	f.v.fail(f.at(key), fmt.Sprintf(format, args...))
}

// has reports whether all keys are there, null or not.
func (f *fields) has(keys ...string) bool {
	for _, k := range keys {
		if _, ok := f.values[k]; !ok {
			return false
		}
	}
	return true
}

// is reports whether key is there with a value of the kind that kindOf names.
func (f *fields) is(key, kind string) bool { return f.has(key) && kindOf(f.values[key]) == kind }

// value returns the value of key, or nil where it is missing or null.
func (f *fields) value(key string) json.RawMessage {
	f.read[key] = true
	raw := f.values[key]
	if len(raw) == 0 || raw[0] == 'n' {
		return nil
	}
	return raw
}

// need is value with a failure where there is none.
func (f *fields) need(key string) json.RawMessage {
	raw := f.value(key)
	if raw == nil {
		f.fail(key, "is missing")
	}
	return raw
}

func decodeString(v *verdict, field string, raw json.RawMessage) string {
	var s string
	if kindOf(raw) != "a string" {
		out := ""
		if k := kindOf(raw); k == "a number" || k == "a boolean" {
			out = fmt.Sprintf("; write it in quotes, as it shall stand in the text: %q", strings.TrimSpace(string(raw)))
		}
		v.fail(field, "want a string, found "+kindOf(raw)+out)
		return ""
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		v.fail(field, jsonError(err).Error())
	}
	return strings.TrimSpace(s)
}

func decodeList(v *verdict, field string, raw json.RawMessage) []json.RawMessage {
	var list []json.RawMessage
	if kindOf(raw) != "a list" {
		v.fail(field, "want a list, found "+kindOf(raw))
		return nil
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		v.fail(field, jsonError(err).Error())
	}
	return list
}

// text returns a required string that must not be blank.
func (f *fields) text(key string) string {
	raw := f.need(key)
	if raw == nil {
		return ""
	}
	s := decodeString(f.v, f.at(key), raw)
	if s == "" {
		f.fail(key, "is empty")
	}
	return s
}

// blank returns a required string that may be empty.
func (f *fields) blank(key string) string {
	if f.need(key) == nil {
		return ""
	}
	return f.optional(key)
}

// optional returns a string that may be missing, null or empty.
func (f *fields) optional(key string) string {
	raw := f.value(key)
	if raw == nil {
		return ""
	}
	return decodeString(f.v, f.at(key), raw)
}

// list returns the strings of a list that may be missing, blank ones too.
func (f *fields) list(key string) []string {
	raw := f.value(key)
	if raw == nil {
		return nil
	}
	var out []string
	for i, item := range decodeList(f.v, f.at(key), raw) {
		out = append(out, decodeString(f.v, fmt.Sprintf("%s[%d]", f.at(key), i), item))
	}
	return out
}

// texts returns the strings of a list that may be missing without the blank
// ones.
func (f *fields) texts(key string) []string {
	return slices.DeleteFunc(f.list(key), func(s string) bool { return s == "" })
}

// answers reads a string, a list of strings, or a list of lists of aliases;
// blanks are left out. The field may be missing.
func (f *fields) answers(key string) [][]string {
	raw := f.value(key)
	switch {
	case raw == nil:
		return nil
	case kindOf(raw) == "a string":
		return one(decodeString(f.v, f.at(key), raw))
	case kindOf(raw) != "a list":
		f.fail(key, "want a string or a list, found %s", kindOf(raw))
		return nil
	}
	var out [][]string
	for i, item := range decodeList(f.v, f.at(key), raw) {
		path := fmt.Sprintf("%s[%d]", f.at(key), i)
		if kindOf(item) == "a string" {
			out = append(out, one(decodeString(f.v, path, item))...)
			continue
		}
		var aliases []string
		for j, alias := range decodeList(f.v, path, item) {
			if s := decodeString(f.v, fmt.Sprintf("%s[%d]", path, j), alias); s != "" {
				aliases = append(aliases, s)
			}
		}
		if len(aliases) > 0 {
			out = append(out, aliases)
		}
	}
	return out
}

// object returns the object under key; where it is missing or no object, it
// fails and returns one without fields.
func (f *fields) object(key string) *fields {
	if raw := f.need(key); raw != nil {
		return f.child(f.at(key), raw)
	}
	return &fields{path: f.at(key), read: map[string]bool{}, v: f.v}
}

// objects returns the objects of a list that may be missing.
func (f *fields) objects(key string) []*fields {
	raw := f.value(key)
	if raw == nil {
		return nil
	}
	var out []*fields
	for i, item := range decodeList(f.v, f.at(key), raw) {
		out = append(out, f.child(fmt.Sprintf("%s[%d]", f.at(key), i), item))
	}
	return out
}

func (f *fields) child(path string, raw json.RawMessage) *fields {
	c, err := parseObject(raw)
	if err != nil {
		f.v.fail(path, err.Error())
		c = &fields{read: map[string]bool{}}
	}
	c.path, c.v = path, f.v
	f.v.objects = append(f.v.objects, c)
	return c
}

var integer = regexp.MustCompile(`^-?\d{1,18}$`)

// id returns an identifier that is an integer or a string that is not blank.
func (f *fields) id(key string) string {
	raw := f.need(key)
	if raw == nil || kindOf(raw) == "a string" {
		return f.text(key)
	}
	if !integer.Match(raw) {
		f.fail(key, "want an integer or a string, found %s", kindOf(raw))
	}
	return string(raw)
}

// optionalID is id for a field that may be missing.
func (f *fields) optionalID(key string) string {
	if f.value(key) == nil {
		return ""
	}
	return f.id(key)
}

// note says that a part of the record was left out.
func (f *fields) note(reason string) { f.v.notes = append(f.v.notes, reason) }

// dropIf leaves the record out by a rule of its format.
func (f *fields) dropIf(cond bool, reason string) {
	if cond && f.v.drop == "" {
		f.v.drop = reason
	}
}

// addTo adds a prompt of the given kind, or a note where it lacks a text or an
// answer.
func (f *fields) addTo(m *map[string][]Prompt, kind, prompt string, answers [][]string) {
	if prompt == "" || len(answers) == 0 {
		f.note(kind + " prompt without text or answer")
		return
	}
	addPrompt(m, kind, Prompt{Prompt: prompt, Answers: answers})
}
