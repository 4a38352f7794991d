package main

import (
	"github.com/spf13/cobra"

	"keyhole.example/keyhole/edit/saved"
	"keyhole.example/keyhole/lm/tensorfile"
)

// dtypeOf reads a --dtype.
func dtypeOf(name string) (tensorfile.DType, error) {
	d, err := saved.ParseDType(name)
	if err != nil {
		return 0, wrongUse("--%v", err)
	}
	return d, nil
}

// threadsFlag adds --threads.
func threadsFlag(c *cobra.Command) *int {
	return c.Flags().Int("threads", 0, "threads; 0: all cores. No result depends on it")
}
