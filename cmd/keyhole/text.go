package main

import (
	"context"

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
