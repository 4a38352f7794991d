// Command mutants breaks one line at a time and demands that the test which is
// there for it fails. list.go has the lines; the working tree stays as it is.
//
//	go run ./checks/mutants                 all of them, about two minutes
//	go run ./checks/mutants patience        those whose names begin so
//
// It exits with 1 if a test passes with its line broken, or fails without.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "mutants: %v\n", err)
		os.Exit(1)
	}
}

func run(names []string, out io.Writer) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	sound := map[string]error{} // by test: what it says of the tree as it is
	var alive []string
	n := 0
	for _, m := range list {
		if len(names) > 0 && !slices.ContainsFunc(names, func(s string) bool { return strings.HasPrefix(m.name, s) }) {
			continue
		}
		n++
		key := m.pkg + " " + m.test
		if _, ran := sound[key]; !ran {
			sound[key] = m.passes(root, "")
		}
		err := sound[key]
		if err == nil {
			err = m.kill(root, tmp)
		}
		if err != nil {
			alive = append(alive, m.name)
			fmt.Fprintf(out, "ALIVE   %s: %v\n", m.name, err)
			continue
		}
		fmt.Fprintf(out, "killed  %-45s by %s in %s\n", m.name, m.test, m.pkg)
	}
	switch {
	case n == 0:
		return fmt.Errorf("none of the mutants is called %v", names)
	case len(alive) > 0:
		return fmt.Errorf("%d of %d are alive: %s", len(alive), n, strings.Join(alive, ", "))
	}
	fmt.Fprintf(out, "all %d killed\n", n)
	return nil
}

// moduleRoot is the folder of go.mod.
func moduleRoot() (string, error) {
	b, err := exec.Command("go", "env", "GOMOD").Output()
	file := strings.TrimSpace(string(b))
	if err != nil || filepath.Base(file) != "go.mod" {
		return "", fmt.Errorf("run it inside the module (%v)", err)
	}
	return filepath.Dir(file), nil
}

// mutant is a line that is broken and the test that has to notice.
type mutant struct {
	name      string
	in        string // the package of the line
	old, new  string // old stands in the package once
	pkg, test string
}

// broken finds the line: its file, relative to the module, and the file's text
// with the line broken.
func (m mutant) broken(root string) (file, text string, err error) {
	paths, err := filepath.Glob(filepath.Join(root, m.in, "*.go"))
	if err != nil {
		return "", "", err
	}
	n := 0
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return "", "", err
		}
		if found := strings.Count(string(b), m.old); found > 0 && !strings.HasSuffix(path, "_test.go") {
			n += found
			file, text = filepath.Join(m.in, filepath.Base(path)), strings.Replace(string(b), m.old, m.new, 1)
		}
	}
	if n != 1 {
		return "", "", fmt.Errorf("package %s has %q %d times, want once; bring checks/mutants/list.go up to date", m.in, m.old, n)
	}
	return file, text, nil
}

// kill is an error if the test does not fail with the line broken.
func (m mutant) kill(root, tmp string) error {
	file, text, err := m.broken(root)
	if err != nil {
		return err
	}
	broken, overlay := filepath.Join(tmp, "broken.go"), filepath.Join(tmp, "overlay.json")
	if err := os.WriteFile(broken, []byte(text), 0o600); err != nil {
		return err
	}
	b, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, file): broken}})
	if err != nil {
		return err
	}
	if err := os.WriteFile(overlay, b, 0o600); err != nil {
		return err
	}
	var failed *failure
	switch err := m.passes(root, overlay); {
	case err == nil:
		return fmt.Errorf("%s passes with %q", m.test, m.new)
	case !errors.As(err, &failed):
		return err
	}
	return nil
}

// failure is a test that failed, which is more than one that did not build.
type failure struct{ test, output string }

func (f *failure) Error() string { return f.test + " fails:\n" + f.output }

// passes runs the test, with an overlay of files if one is named.
func (m mutant) passes(root, overlay string) error {
	args := []string{"test", "-count=1", "-v", "-run", "^" + m.test + "$"}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	c := exec.Command("go", append(args, "./"+m.pkg)...)
	c.Dir = root
	b, err := c.CombinedOutput()
	out := string(b)
	switch {
	case strings.Contains(out, "--- FAIL: "+m.test):
		return &failure{m.test, out}
	case err != nil:
		return fmt.Errorf("%s: %w:\n%s", m.test, err, out)
	case !strings.Contains(out, "--- PASS: "+m.test):
		return fmt.Errorf("%s has no test %s", m.pkg, m.test)
	}
	return nil
}
