package resident

import "golang.org/x/sys/unix"

// Machine is the memory that the machine has, in bytes; 0 where the system does
// not tell.
func Machine() int64 {
	n, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return 0
	}
	return int64(n)
}
