package tokenizer

import (
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
)

var writePatterns = flag.String("patterns", "", "file to write the expressions to, for testdata/make_splits.py")

// published are the expressions of preTokenizers, and others in use.
func published() [][]string {
	all := [][]string{{patternGPT2}, {patternCL100K}, {patternNumbers},
		{`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`},
		{`\s\S+`}}
	for _, p := range preTokenizers() {
		var patterns []string
		for _, part := range p.parts {
			if c, err := parseComponent(json.RawMessage(part)); err == nil && c.Pattern != nil {
				patterns = append(patterns, *c.Pattern.Regex)
			}
		}
		if len(patterns) > 0 {
			all = append(all, patterns)
		}
	}
	return all
}

// TestGoldenSplits compares with the tokenizers library, both what was made by
// hand and what package regexp does.
func TestGoldenSplits(t *testing.T) {
	if *writePatterns != "" {
		data, err := json.Marshal(published())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(*writePatterns, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile("testdata/splits.json")
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Texts []string
		Cases []struct {
			Patterns []string
			Pieces   [][]string
		}
	}
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	checked := map[string]bool{}
	for _, c := range g.Cases {
		checked[strings.Join(c.Patterns, "\x00")] = true
		for name, compile := range map[string]func(string) (scanner, error){"known": scannerOf, "general": scanRegex} {
			var splitters []splitter
			for _, pattern := range c.Patterns {
				next, err := compile(pattern)
				if err != nil {
					t.Fatal(err)
				}
				splitters = append(splitters, splitBy(next))
			}
			for i, text := range g.Texts {
				parts := []aligned{{s: text}}
				for _, split := range splitters {
					var out []aligned
					for _, p := range parts {
						out = split(out, p, false)
					}
					parts = out
				}
				got := []string{}
				for _, p := range parts {
					if p.s != "" {
						got = append(got, p.s)
					}
				}
				if !slices.Equal(got, c.Pieces[i]) {
					t.Errorf("%.60q, %s: %q is cut\n into %q\n want %q", c.Patterns, name, text, got, c.Pieces[i])
				}
			}
		}
	}
	for _, p := range published() {
		if !checked[strings.Join(p, "\x00")] {
			t.Errorf("%.60q has no golden case", p)
		}
	}
}

func TestScanRegex_refuses_what_it_cannot_do(t *testing.T) {
	for pattern, want := range map[string]string{
		`x*`: "empty", `^a`: "anchored", `\bx`: `\b`, `a(?=b)`: "Perl", `a(?!b)`: "Perl", `[`: "missing", `\s+(?!\S)|x`: "without",
		`\u12`: `\u`, `[\S]`: "brackets", strings.Repeat("a", 1<<15): "longer", `(\w)`: `\w`, `a{1,1001}`: "repeat", `\Qa`: `\Q`, `[ab\s+(?!\S)|\s+]`: "part of its own",
	} {
		if _, err := scanRegex(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", pattern, err, want)
		}
	}
}

// FuzzScanRegex wants no panic, and pieces that are the text again.
func FuzzScanRegex(f *testing.F) {
	for _, patterns := range published() {
		for _, p := range patterns {
			f.Add(p, "Don't  stop\n\n 12345 《资》 $x")
		}
	}
	for _, p := range []string{`a|\Qb|\s+(?!\S)|\s+`, `[ab\s+(?!\S)|\s+]`} { // the assertion is quoted, and inside brackets
		f.Add(p, "a b  a")
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		next, err := scanRegex(pattern)
		if err != nil {
			return
		}
		got := ""
		for _, p := range splitBy(next)(nil, aligned{s: text}, false) {
			if p.s == "" {
				t.Fatalf("%q cuts an empty piece out of %q", pattern, text)
			}
			got += p.s
		}
		if got != text {
			t.Fatalf("%q makes %q of %q", pattern, got, text)
		}
	})
}
