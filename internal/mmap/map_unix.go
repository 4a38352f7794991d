//go:build linux || darwin

package mmap

import (
	"os"
	"syscall"
)

func mapping(file *os.File, size int) ([]byte, func([]byte) error, error) {
	data, err := syscall.Mmap(int(file.Fd()), 0, size, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, nil, err
	}
	return data, syscall.Munmap, nil
}
