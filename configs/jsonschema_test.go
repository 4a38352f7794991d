package configs_test

import (
	"encoding/json"
	"strings"
	"testing"

	"keyhole.example/keyhole/configs"
)

// TestJSONSchema: every key that can be explained is in the schema, with its
// default and documentation, and what the schema says is closed.
func TestJSONSchema(t *testing.T) {
	c := defaults()
	s, err := configs.JSONSchema(c, "test")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := json.Unmarshal(raw, &root); err != nil {
		t.Fatal(err)
	}
	rows, err := configs.Explain(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if strings.ContainsAny(r.Key, "[]{}") {
			continue
		}
		at := root
		for _, name := range strings.Split(r.Key, ".") {
			if at["additionalProperties"] != false {
				t.Errorf("%s: an object on the way takes any key", r.Key)
			}
			properties, _ := at["properties"].(map[string]any)
			next, ok := properties[name].(map[string]any)
			if !ok {
				t.Fatalf("%s is missing", r.Key)
			}
			at = next
		}
		if r.Doc != "" && at["description"] != r.Doc {
			t.Errorf("%s: description %v, want %q", r.Key, at["description"], r.Doc)
		}
	}
	if _, err := configs.JSONSchema(*c, "test"); err == nil {
		t.Error("a struct that is no pointer is accepted")
	}
}
