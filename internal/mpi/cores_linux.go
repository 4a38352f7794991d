package mpi

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// allowed is the set of cores that this process may run on, as bytes of bits.
func allowed() string {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return ""
	}
	return string(unsafe.Slice((*byte)(unsafe.Pointer(&set)), unsafe.Sizeof(set)))
}
