package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/data"
)

func dataNewCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "new FILE",
		Short: "Write an example of a file of facts, to be changed",
		Long: `Write a file with five facts, to be changed into your own. A name that ends in
.csv gives a table, .json or .jsonl the facts as JSON, any other YAML with comments
that explain every key. A file that is there is not overwritten.`,
		Example: "  keyhole data new facts.yaml\n  keyhole data new facts.csv",
		Args:    exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			text, err := data.Example(filepath.Ext(args[0]))
			if err != nil {
				return err
			}
			f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
			if errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("%s is there already; choose another name", args[0])
			}
			if err != nil {
				return err
			}
			_, err = f.Write(text)
			if err := errorAfter(err, f.Close()); err != nil {
				return errors.Join(err, os.Remove(args[0]))
			}
			return o.show(c, map[string]any{"file": args[0], "bytes": len(text)}, func(io.Writer) error {
				return saying("wrote %s; change it, then: keyhole data check %s\n", args[0], shell(args[0]))(hinted(c))
			})
		},
	}
}
