package jinja

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// TestGoldenTemplates compares with Jinja2; testdata/make.py wrote the cases.
func TestGoldenTemplates(t *testing.T) {
	data, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Context map[string]json.RawMessage
		Cases   []struct {
			Template    string
			Text, Error *string
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Cases) < 80 {
		t.Fatalf("%d cases", len(golden.Cases))
	}
	values := map[string]any{}
	for name, raw := range golden.Context {
		values[name] = decode(t, raw)
	}
	for _, c := range golden.Cases {
		var got string
		p, err := Parse(c.Template)
		if err == nil {
			got, err = p.Render(values)
		}
		switch {
		case c.Error != nil:
			if err == nil {
				t.Errorf("%q: %q, want an error: %s", c.Template, got, *c.Error)
			}
		case err != nil || got != *c.Text:
			t.Errorf("%q:\n got %q, %v\nwant %q", c.Template, got, err, *c.Text)
		}
	}
}

// decode keeps the order of keys and tells 1 from 1.0.
func decode(t *testing.T, raw []byte) any {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var value func() any
	value = func() any {
		tok, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		switch tok := tok.(type) {
		case json.Delim:
			var list []any
			for d.More() {
				list = append(list, value())
			}
			if _, err := d.Token(); err != nil {
				t.Fatal(err)
			}
			if tok == '{' {
				return NewDict(list...)
			}
			return list
		case json.Number:
			if n, err := tok.Int64(); err == nil {
				return int(n)
			}
			x, _ := tok.Float64()
			return x
		default:
			return tok
		}
	}
	return value()
}

// TestWhatComputesTooMuchEnds tries what would take for ever, or all memory.
func TestWhatComputesTooMuchEnds(t *testing.T) {
	nested := strings.Repeat("{% for i in range(60000) %}", 3) + strings.Repeat("{% endfor %}", 3)
	for _, template := range []string{
		"{% for i in range(10**9) %}{% endfor %}", "{{ range(1000000000) }}", "{{ range(0, -1000000000, -1) | list }}", nested,
		"{{ 'a' * 10**9 }}", "{{ [1] * 10**9 }}", "{{ 1000000000 * 'ab' }}",
		"{% set ns = namespace(s='aa') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
		"{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
		"{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
		"{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s | tojson }}",
		"{% set ns = namespace(s=[1], t=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% set ns.t = [ns.t, ns.t] %}{% endfor %}{{ ns.s == ns.t }}",
		"{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "{% macro a(x) %}{{ a(x ~ x) }}{% endmacro %}{{ a('x') }}",
		"{% macro a(n) %}{{ a(n) }}{{ a(n) }}{% endmacro %}{{ a(1) }}",
		"{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
		"{{ ('a' * 60000).replace('', 'b' * 60000) }}", "{{ ('a\n' * 60000) | indent(60000) }}", "{{ 'a'.ljust(10**9) }}", "{{ 'a' | center(10**9) }}",
		"{{ ('b' * 60000).join('a' * 60000) }}", "{{ range(60000) | map('center', 60000) | join }}",
		"{% for i in range(60000) %}{{ 'a' * 1000 }}{% endfor %}", "{% set b %}{% for i in range(60000) %}{{ 'a' * 1000 }}{% endfor %}{% endset %}",
		"{% for i in range(60000) %}{% for j in range(60000) %}{% set x = i * j %}{% endfor %}{% endfor %}",
		"{% for i in range(60000) %}{% set x = range(60000) | sort(reverse=true) | unique | list %}{% endfor %}",
		"{% for i in range(60000) %}{% set x = ('ab' * 60000) | upper | lower | title | reverse | trim %}{% endfor %}",
	} {
		start := time.Now()
		p, err := Parse(template)
		if err != nil {
			t.Fatalf("%q: %v", template, err)
		}
		_, err = p.Render(nil)
		if !errors.Is(err, ErrBound) {
			t.Errorf("%.80q: %v", template, err)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%.80q took %v", template, took)
		}
	}
}

func TestWhatIsTooDeepOrLargeIsRefused(t *testing.T) {
	n := 5000
	for _, template := range []string{
		"{{ " + strings.Repeat("(", n), "{{ " + strings.Repeat("[", n), "{{ " + strings.Repeat("not ", n) + "1 }}", "{{ " + strings.Repeat("-", n) + "1 }}",
		strings.Repeat("{% if 1 %}", n/2), "{{ 1" + strings.Repeat(" + 1", n) + " }}", "{{ a" + strings.Repeat(".a", n) + " }}",
		"{{ a" + strings.Repeat("|e", n) + " }}", "{{ a" + strings.Repeat("[0]", n) + " }}", "{{ 1" + strings.Repeat(" if 1 else 1", n/4) + " }}",
		"{{ a" + strings.Repeat(" is none", n) + " }}", strings.Repeat("x", largest+1), "{{ " + strings.Repeat("{1:", n),
	} {
		if _, err := Parse(template); err == nil || len(err.Error()) > 200 {
			t.Errorf("%.40q: %.300v", template, err)
		}
	}
}

// FuzzTemplate wants an answer or an error from any template, and soon.
func FuzzTemplate(f *testing.F) {
	data, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		f.Fatal(err)
	}
	var golden struct{ Cases []struct{ Template string } }
	if err := json.Unmarshal(data, &golden); err != nil {
		f.Fatal(err)
	}
	for _, c := range golden.Cases {
		f.Add(c.Template)
	}
	message := NewDict("role", "user", "content", "What is it?")
	f.Fuzz(func(t *testing.T, template string) {
		p, err := Parse(template)
		if err != nil {
			return
		}
		start := time.Now()
		text, err := p.Render(map[string]any{"messages": []any{message}, "n": 7, "list": []any{1, "a"}})
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("took %v", took)
		}
		if len(text) > mostText {
			t.Errorf("%d bytes", len(text))
		}
		if err == nil {
			if again, err := p.Render(map[string]any{"messages": []any{message}, "n": 7, "list": []any{1, "a"}}); again != text || err != nil {
				t.Errorf("another time %q, %v, not %q", again, err, text)
			}
		}
	})
}
