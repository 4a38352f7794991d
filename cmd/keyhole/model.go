package main

import (
	"github.com/spf13/cobra"
)

// threadsFlag adds --threads.
func threadsFlag(c *cobra.Command) *int {
	return c.Flags().Int("threads", 0, "threads; 0: all cores. No result depends on it")
}
