package mmap

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"unsafe"
)

// mappings is what is mapped, by address. There is one list because there is
// one address space: a fault has nothing but an address.
type mappings struct {
	mu    sync.Mutex
	files map[*byte]mapped
}

type mapped struct {
	size int
	path string
}

var live = mappings{files: map[*byte]mapped{}}

func (m *mappings) add(data []byte, path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[unsafe.SliceData(data)] = mapped{len(data), path}
}

func (m *mappings) remove(data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, unsafe.SliceData(data))
}

// CutError says that a mapped file could not be read where it had bytes when it
// was opened.
type CutError struct {
	Path      string
	Was, Is   int64 // bytes when it was opened, and now; Is is -1 if it is gone
	Recovered any   // the panic
}

// Error names the file and what to do.
func (e *CutError) Error() string {
	now := fmt.Sprintf("it had %d bytes when it was opened and has %d now", e.Was, e.Is)
	switch {
	case e.Is < 0:
		now = "it is gone"
	case e.Is == e.Was:
		now = "its disk failed, or it was cut short and written again"
	}
	return fmt.Sprintf("%s: the file was changed while it was in use: %s; restore it and start again", e.Path, now)
}

// Fault explains the value that recover gave: for a fault in a mapped file an
// error that names it, else nil.
func Fault(recovered any) error {
	fault, ok := recovered.(interface {
		runtime.Error
		Addr() uintptr
	})
	if !ok {
		return nil
	}
	live.mu.Lock()
	defer live.mu.Unlock()
	for first, f := range live.files {
		start := uintptr(unsafe.Pointer(first))
		if at := fault.Addr(); at < start || at >= start+uintptr(f.size) {
			continue
		}
		e := &CutError{Path: f.path, Was: int64(f.size), Is: -1, Recovered: recovered}
		if info, err := os.Stat(f.path); err == nil {
			e.Is = info.Size()
		}
		return e
	}
	return nil
}
