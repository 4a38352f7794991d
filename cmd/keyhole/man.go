package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func manCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write manual pages",
		Long: `Write a manual page for each command into folder DIR, from what --help says. The
shell's completion is another command's: keyhole completion --help.`,
		Example: "  keyhole man ~/.local/share/man/man1\n  keyhole completion bash > ~/.local/share/bash-completion/completions/keyhole",
		Args:    exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o777); err != nil {
				return err
			}
			root := c.Root()
			root.DisableAutoGenTag = true // the same pages whenever they are written
			if err := doc.GenManTree(root, &doc.GenManHeader{Title: "KEYHOLE", Section: "1", Source: "keyhole", Manual: "Keyhole"}, args[0]); err != nil {
				return fmt.Errorf("manual pages: %w", err)
			}
			pages, err := filepath.Glob(filepath.Join(args[0], "keyhole*.1"))
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(c.OutOrStdout(), map[string]any{"folder": args[0], "pages": len(pages)})
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "wrote %d pages into %s; read one with: man %s\n", len(pages), args[0], pages[0])
			return err
		},
	}
}
