// Package built finds the program that a check tries.
package built

import (
	"fmt"
	"os/exec"
	"path/filepath"
)

// Keyhole is the program named, or, if that is "", one that is built in dir from
// the tree that the check runs in.
func Keyhole(named, dir string) (string, error) {
	if named != "" {
		return named, nil
	}
	path := filepath.Join(dir, "keyhole")
	if out, err := exec.Command("go", "build", "-o", path, "./cmd/keyhole").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	return path, nil
}
