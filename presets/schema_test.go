package presets

import (
	"encoding/json"
	"fmt"
	"testing"

	"go.yaml.in/yaml/v3"

	"keyhole.example/keyhole/configs"
)

// TestSchemasHoldEveryPreset: each preset's keys are in the schema of its kind, and
// its values are of the types that this names.
func TestSchemasHoldEveryPreset(t *testing.T) {
	seen := map[string]int{}
	for _, name := range configs.Presets() {
		kind := Of(name)
		seen[kind.Name]++
		made, err := configs.JSONSchema(kind.Fresh(), kind.Name)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := json.Marshal(made)
		if err != nil {
			t.Fatal(err)
		}
		var schema map[string]any
		if err := json.Unmarshal(raw, &schema); err != nil {
			t.Fatal(err)
		}
		text, _ := configs.Preset(name)
		var values any
		if err := yaml.Unmarshal(text, &values); err != nil {
			t.Fatal(err)
		}
		if err := fitsSchema(schema, values, name); err != nil {
			t.Error(err)
		}
	}
	for _, kind := range Kinds() {
		if seen[kind.Name] == 0 {
			t.Errorf("no preset is a %s config, so nothing was checked of its schema", kind.Name)
		}
	}
	for _, bad := range []any{map[string]any{"nosuch": 1}, map[string]any{"train": map[string]any{"steps": "many"}}, map[string]any{"threads": 1.5}} {
		schema, err := configs.JSONSchema(Kinds()[2].Fresh(), "train")
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := json.Marshal(schema)
		var s map[string]any
		_ = json.Unmarshal(raw, &s)
		if fitsSchema(s, bad, "bad") == nil {
			t.Errorf("the schema takes %v", bad)
		}
	}
}

// fitsSchema checks a value against the words of JSON Schema that ours use.
func fitsSchema(schema map[string]any, value any, at string) error {
	if options, ok := schema["anyOf"].([]any); ok {
		var err error
		for _, o := range options {
			if err = fitsSchema(o.(map[string]any), value, at); err == nil {
				return nil
			}
		}
		return err
	}
	var types []any
	switch t := schema["type"].(type) {
	case string:
		types = []any{t}
	case []any:
		types = t
	default:
		return nil // any value
	}
	is := map[string]bool{}
	switch v := value.(type) {
	case nil:
		is["null"] = true
	case bool:
		is["boolean"] = true
	case int:
		is["integer"], is["number"] = true, true
	case float64:
		is["number"] = true
		if v == float64(int(v)) {
			is["integer"] = true
		}
	case string:
		is["string"] = true
	case []any:
		is["array"] = true
		items, _ := schema["items"].(map[string]any)
		for i, x := range v {
			if err := fitsSchema(items, x, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	case map[string]any:
		is["object"] = true
		properties, _ := schema["properties"].(map[string]any)
		for k, x := range v {
			next, ok := properties[k].(map[string]any)
			if !ok {
				if next, ok = schema["additionalProperties"].(map[string]any); !ok {
					return fmt.Errorf("%s: key %s is not in the schema", at, k)
				}
			}
			if err := fitsSchema(next, x, at+"."+k); err != nil {
				return err
			}
		}
	}
	for _, t := range types {
		if is[t.(string)] {
			return nil
		}
	}
	return fmt.Errorf("%s: %v is none of %v", at, value, types)
}
