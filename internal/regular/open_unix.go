//go:build unix

package regular

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// openFlags opens without waiting for a pipe's other end; own refuses a link.
func openFlags(path string, flag int, perm fs.FileMode, own bool) (*os.File, error) {
	flag |= unix.O_NONBLOCK | unix.O_NOCTTY
	if own {
		flag |= unix.O_NOFOLLOW
	}
	return os.OpenFile(path, flag, perm)
}
