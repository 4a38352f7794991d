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
	out, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Skip("no mpirun is installed; Debian's packages are openmpi-bin and mpich")
	}
	return out
}

// Find is Launchers for those who have no test at hand.
func Find() ([]Launcher, error) {
	var out []Launcher
	for _, name := range []string{"mpirun.openmpi", "mpirun.mpich", "mpirun"} {
		path, err := exec.LookPath(name)
		if err != nil || name == "mpirun" && len(out) > 0 {
			continue
		}
		version, err := exec.Command(path, "--version").CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("%s --version: %w\n%s", path, err, version)
		}
		l := Launcher{Name: "Open MPI", path: path}
		if strings.Contains(string(version), "HYDRA") {
			l.Name = "MPICH"
		}
		out = append(out, l)
	}
	return out, nil
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
