// Package keyhole_test checks that imports run as docs/design.md draws them.
package keyhole_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	module  = "keyhole.example/keyhole"
	drawing = "docs/design.md"
)

// drawn is an entry of the drawing: a package with everything below it, or,
// for a name that ends in /*, only what is below it.
type drawn struct {
	name string
	line int // from the top, counted from 0
}

func (d drawn) holds(pkg string) bool {
	if below, ok := strings.CutSuffix(d.name, "/*"); ok {
		return strings.HasPrefix(pkg, below+"/")
	}
	return pkg == d.name || strings.HasPrefix(pkg, d.name+"/")
}

// readDrawing returns the entries of the indented block under "## Layers".
// Names stand on the left; the words that explain them all begin in the column
// where those of the first line do.
func readDrawing(text string) ([]drawn, error) {
	_, rest, ok := strings.Cut(text, "\n## Layers\n")
	if !ok {
		return nil, fmt.Errorf("%s has no heading \"## Layers\"", drawing)
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	var out []drawn
	line, column := 0, 0
	for l := range strings.Lines(rest) {
		if !strings.HasPrefix(l, "    ") {
			continue
		}
		if line == 0 {
			column = len(explained.FindString(l))
		}
		names := l
		if len(l) > column {
			names = l[:column]
		}
		for _, name := range strings.Fields(names) {
			if !packageName.MatchString(name) {
				return nil, fmt.Errorf("%s: %q in the layers is no package name", drawing, name)
			}
			out = append(out, drawn{name, line})
		}
		line++
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: the block under \"## Layers\" is empty", drawing)
	}
	return out, nil
}

var (
	packageName = regexp.MustCompile(`^[a-z0-9]+(/[a-z0-9]+)*(/\*)?$`)
	explained   = regexp.MustCompile(`^ +\S+ +`) // a line up to its explanation
)

// place finds the entry that holds a package: the longest name wins.
func place(entries []drawn, pkg string) (drawn, bool) {
	best, found := drawn{}, false
	for _, d := range entries {
		if d.holds(pkg) && (!found || len(d.name) > len(best.name)) {
			best, found = d, true
		}
	}
	return best, found
}

// faults lists what contradicts the drawing. imports: by package, the
// packages of this module that it imports, all relative to the module. Inside
// an entry the compiler's ban on cycles is enough.
func faults(entries []drawn, imports map[string][]string) []string {
	var out []string
	for pkg, list := range imports {
		from, ok := place(entries, pkg)
		if !ok {
			out = append(out, fmt.Sprintf("%s is missing from the layers in %s; draw it", pkg, drawing))
			continue
		}
		for _, imported := range list {
			to, ok := place(entries, imported)
			switch {
			case !ok || to == from || to.line > from.line:
			case to.line == from.line:
				out = append(out, fmt.Sprintf("%s imports %s, which stands beside it in %s (%s, %s); imports run downward only", pkg, imported, drawing, from.name, to.name))
			default:
				out = append(out, fmt.Sprintf("%s imports %s, which stands above it in %s (%s over %s); imports run downward only", pkg, imported, drawing, to.name, from.name))
			}
		}
	}
	slices.Sort(out)
	return out
}

// readImports reads the imports of every package of the module. Test files do
// not count: tests may look down from above, as those of meta do from the
// optimiser. All other files do, whatever they are built for.
func readImports() (map[string][]string, error) {
	out := map[string][]string{}
	files := token.NewFileSet()
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return enter(file, d.Name())
		case !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(files, file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := path.Dir(filepath.ToSlash(file))
		if pkg == "." {
			pkg = path.Base(module) // as the drawing calls the root
		}
		list := out[pkg]
		for _, i := range f.Imports {
			name, ok := strings.CutPrefix(strings.Trim(i.Path.Value, `"`), module+"/")
			if ok && !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
		out[pkg] = list
		return nil
	})
	return out, err
}

// enter skips the folders that hold no package of this module.
func enter(file, name string) error {
	if file == "." {
		return nil
	}
	if name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(file, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}

// TestImportsRunDownward compares the real imports with the drawing.
func TestImportsRunDownward(t *testing.T) {
	text, err := os.ReadFile(drawing)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := readDrawing(string(text))
	if err != nil {
		t.Fatal(err)
	}
	imports, err := readImports()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults(entries, imports) {
		t.Error(f)
	}
	for _, d := range entries {
		held := false
		for pkg := range imports {
			at, ok := place(entries, pkg)
			held = held || ok && at == d
		}
		if !held {
			t.Errorf("%s draws %s, which is no package", drawing, d.name)
		}
	}
}

// TestFaultsAreFound shows the test three faults.
func TestFaultsAreFound(t *testing.T) {
	entries, err := readDrawing("# Design\n\n## Layers\n\nText.\n\n    top/*           all of it\n    left   right    one | other\n    low             words; top/x\n\n## Next\n")
	if err != nil {
		t.Fatal(err)
	}
	got := faults(entries, map[string][]string{
		"top/a":   {"top/b", "left", "low/deep"},
		"left":    {"right", "low"},
		"right":   {"top/a"},
		"low":     {"low/deep"},
		"unknown": nil,
	})
	want := []string{"left imports right, which stands beside it", "right imports top/a, which stands above it", "unknown is missing"}
	if len(got) != len(want) {
		t.Fatalf("got %q", got)
	}
	for i, w := range want {
		if !strings.HasPrefix(got[i], w) {
			t.Errorf("%q does not begin with %q", got[i], w)
		}
	}
}
