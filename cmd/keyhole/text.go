package main

import (
	"context"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/internal/atomicfile"
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

// isFree refuses a path where something is.
func isFree(path string) error { return atomicfile.Free(path) }
