package mpi

import (
	"os"

	"golang.org/x/sys/unix"
)

// unread is how many bytes of what this process wrote into a pipe nobody has read
// yet; 0 where f is no pipe.
func unread(f *os.File) int {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return 0
	}
	n, err := unix.IoctlGetInt(int(f.Fd()), unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return n
}
