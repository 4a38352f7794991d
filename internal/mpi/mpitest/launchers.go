package mpitest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Launcher is an mpirun that is installed here.
type Launcher struct {
	Name string // Open MPI or MPICH
	path string
}

// Launchers are those that are installed: Debian's two, or the one that is called
// mpirun. Without any the test is skipped.
func Launchers(t testing.TB) []Launcher {
	t.Helper()
	var out []Launcher
	for _, name := range []string{"mpirun.openmpi", "mpirun.mpich", "mpirun"} {
		path, err := exec.LookPath(name)
		if err != nil || name == "mpirun" && len(out) > 0 {
			continue
		}
		version, err := exec.Command(path, "--version").CombinedOutput()
		if err != nil {
			t.Fatalf("%s --version: %v\n%s", path, err, version)
		}
		l := Launcher{Name: "MPICH", path: path}
		if strings.Contains(string(version), "Open MPI") || strings.Contains(string(version), "Open-MPI") {
			l.Name = "Open MPI"
		}
		out = append(out, l)
	}
	if len(out) == 0 {
		t.Skip("no mpirun is installed; Debian's packages are openmpi-bin and mpich")
	}
	return out
}

// Command starts a program as so many processes, on however few cores.
func (l Launcher) Command(ctx context.Context, processes int, program string, args ...string) *exec.Cmd {
	var flags []string
	if l.Name == "Open MPI" {
		flags = append(flags, "--oversubscribe", "--bind-to", "none")
		if os.Geteuid() == 0 {
			flags = append(flags, "--allow-run-as-root")
		}
	}
	flags = append(flags, "-n", fmt.Sprint(processes), program)
	return exec.CommandContext(ctx, l.path, append(flags, args...)...)
}
