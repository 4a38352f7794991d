package resident

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// memoryStatus is MEMORYSTATUSEX.
type memoryStatus struct {
	length, load                                                     uint32
	total, free, pageTotal, pageFree, virtual, virtualFree, extended uint64
}

// Machine is the memory that the machine has, in bytes; 0 where the system does
// not tell.
func Machine() int64 {
	var m memoryStatus
	m.length = uint32(unsafe.Sizeof(m))
	ok, _, _ := windows.NewLazySystemDLL("kernel32.dll").NewProc("GlobalMemoryStatusEx").Call(uintptr(unsafe.Pointer(&m)))
	if ok == 0 {
		return 0
	}
	return int64(m.total)
}
