//go:build !unix

package regular

import (
	"io/fs"
	"os"
)

// openFlags looks before it opens, as nothing better is to be had; own refuses a
// link.
func openFlags(path string, flag int, perm fs.FileMode, own bool) (*os.File, error) {
	look := os.Stat
	if own {
		look = os.Lstat
	}
	if info, err := look(path); err == nil && !info.Mode().IsRegular() {
		return nil, refusal(path, info.Mode())
	}
	return os.OpenFile(path, flag, perm)
}
