package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// stopped is what ended the command's context, or nil.
func stopped(c *cobra.Command) error {
	if c.Context().Err() == nil {
		return nil
	}
	return context.Cause(c.Context())
}

// errorAfter is the first error, or that of what was done last.
func errorAfter(err, last error) error {
	if err != nil {
		return err
	}
	return last
}

// oneLine is s without line breaks, for a cell of a table.
func oneLine(s string) string {
	return strings.NewReplacer("\n", "⏎", "\r", "", "\t", " ").Replace(strings.TrimSpace(s))
}

// figuresText are figures by name, to stand behind a line.
func figuresText(figures map[string]any) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(figures)) {
		switch v := figures[name].(type) {
		case float64:
			fmt.Fprintf(&b, ", %s %.4g", name, v)
		case string, bool, int:
			fmt.Fprintf(&b, ", %s %v", name, v)
		}
	}
	return b.String()
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
