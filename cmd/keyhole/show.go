package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/internal/console"
)

// shell is a word as a shell reads it back.
func shell(word string) string { return console.Shell(word) }

// program is how the program was called, so that a hint can be typed as it is
// printed.
func program(called string) string {
	if strings.Contains(filepath.ToSlash(called), "/go-build") {
		return "go run ./cmd/keyhole"
	}
	if !strings.ContainsAny(called, `/\`) {
		return called
	}
	if found, err := exec.LookPath("keyhole"); err == nil {
		a, errA := os.Stat(found)
		b, errB := os.Stat(called)
		if errA == nil && errB == nil && os.SameFile(a, b) {
			return "keyhole"
		}
	}
	return shell(called)
}

// asCalled makes the commands of root in a text begin as the program was called.
func asCalled(root *cobra.Command, called string) func([]byte) []byte {
	var names []string
	for _, c := range root.Commands() {
		names = append(names, c.Name())
	}
	command := regexp.MustCompile(`\bkeyhole (` + strings.Join(names, "|") + `)\b`)
	to := []byte(strings.ReplaceAll(program(called), "$", "$$") + " $1")
	return func(p []byte) []byte { return command.ReplaceAll(p, to) }
}

// hinted is the command's output, for hints that can be typed as they are printed.
func hinted(c *cobra.Command) io.Writer {
	return rewriter{c.OutOrStdout(), asCalled(c.Root(), os.Args[0])}
}

type rewriter struct {
	io.Writer
	edit func([]byte) []byte
}

func (r rewriter) Write(p []byte) (int, error) {
	_, err := r.Writer.Write(r.edit(p))
	return len(p), err
}
