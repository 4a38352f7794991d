//go:build unix

package main

import (
	"os"
	"syscall"
)

// jobSignals are those by which schedulers and launchers tell that time is short:
// mpirun hands SIGUSR1 on to all processes, where it ends the job at SIGTERM.
var jobSignals = []os.Signal{syscall.SIGUSR1}
