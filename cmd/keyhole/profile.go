package main

import (
	"fmt"
	"os"
	"runtime/pprof"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/internal/regular"
)

// profiled makes the commands below c write a CPU profile where --cpu-profile
// asks for one.
func profiled(c *cobra.Command, o *options) {
	around(c, func(c *cobra.Command, args []string, run action) error {
		if o.cpuProfile == "" {
			return run(c, args)
		}
		f, err := regular.OpenFile(o.cpuProfile, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
		if err != nil {
			return fmt.Errorf("--cpu-profile: %w", err)
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return errorAfter(fmt.Errorf("--cpu-profile: %w", err), f.Close())
		}
		err = run(c, args)
		pprof.StopCPUProfile()
		return errorAfter(err, f.Close())
	})
}
