//go:build !linux && !darwin && !windows

package resident

// Machine is the memory that the machine has; 0, since this system does not tell.
func Machine() int64 { return 0 }
