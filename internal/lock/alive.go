package lock

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// Alive reports whether the lock of a folder names a process of this machine that
// is there. It takes no lock, and so disturbs nobody.
func Alive(dir string) bool {
	h := holderOf(filepath.Join(dir, fileName))
	host, err := os.Hostname()
	if h.PID == 0 || err == nil && h.Host != "" && h.Host != oneLine(host) {
		return false
	}
	p, err := os.FindProcess(h.PID)
	if err != nil {
		return false
	}
	defer p.Release()
	err = p.Signal(syscall.Signal(0))
	return err == nil || errors.Is(err, syscall.EPERM)
}
