package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// names are the files and folders that have been seen below a folder.
type names struct {
	dir   string
	known map[string]bool
}

// look adds what is there now.
func (n *names) look() {
	// What vanishes while it is walked over is no fault.
	_ = filepath.WalkDir(n.dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			n.known[path] = true
		}
		return nil
	})
}

// seconds is what a line of a training log tells of time, and the line's sum.
var seconds = regexp.MustCompile(`,"(seconds|sum)":[^,}]*`)

// files reads all files below dir, by their names from there.
func (k kind) files(dir string) (map[string][]byte, error) {
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if matches(k.loose, name) {
			return nil
		}
		out[name] = nil
		if matches(k.timed, name) {
			return nil
		}
		b, err := os.ReadFile(path)
		if filepath.Base(name) == "log.jsonl" {
			b = seconds.ReplaceAll(b, nil)
		}
		out[name] = b
		return err
	})
	return out, err
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := filepath.Match(p, name)
		return ok && err == nil
	})
}

// differs says how a trial's folder is not that of the uninterrupted run.
func (k kind) differs(whole, dir string) error {
	want, err := k.files(whole)
	if err != nil {
		return err
	}
	got, err := k.files(dir)
	if err != nil {
		return err
	}
	if len(want) == 0 {
		return errors.New("the uninterrupted run wrote nothing")
	}
	var litter, missing, other []string
	for name, b := range got {
		w, ok := want[name]
		switch {
		case !ok:
			litter = append(litter, name)
		case !bytes.Equal(b, w):
			other = append(other, name)
		}
	}
	for name := range want {
		if _, ok := got[name]; !ok {
			missing = append(missing, name)
		}
	}
	var faults []string
	for _, f := range []struct {
		what  string
		names []string
	}{{"litter", litter}, {"missing", missing}, {"other bytes", other}} {
		if len(f.names) > 0 {
			slices.Sort(f.names)
			faults = append(faults, fmt.Sprintf("%s: %s", f.what, strings.Join(f.names, " ")))
		}
	}
	if faults == nil {
		return nil
	}
	return errors.New(strings.Join(faults, "; "))
}
