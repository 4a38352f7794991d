package mmap

import (
	"fmt"
	"io/fs"
	"os"
)

// File is the content of an open file.
type File struct {
	data    []byte
	release func([]byte) error
}

// Open maps the file read-only. An empty file gives no bytes and no error.
func Open(path string) (*File, error) {
	// Asked before opening: opening a pipe waits for its other end.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("%s, not a regular file", kind(info.Mode()))}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil {
		return nil, err
	}
	size := info.Size()
	if size == 0 {
		return &File{}, nil
	}
	if int64(int(size)) != size {
		return nil, &fs.PathError{Op: "map", Path: path, Err: fmt.Errorf("%d bytes are more than this machine can address", size)}
	}
	data, release, err := mapping(file, int(size))
	if err != nil {
		return nil, &fs.PathError{Op: "map", Path: path, Err: err}
	}
	live.add(data, path)
	return &File{data: data, release: release}, nil
}

func kind(mode fs.FileMode) string {
	if mode.IsDir() {
		return "a folder"
	}
	return "a device, pipe or socket"
}

// Bytes returns the content, valid until Close. It must not be written to.
func (f *File) Bytes() []byte { return f.data }

// Close gives the memory back; every slice of Bytes is invalid from then on.
// Further calls do nothing.
func (f *File) Close() error {
	if f.release == nil {
		return nil
	}
	data, release := f.data, f.release
	f.data, f.release = nil, nil
	live.remove(data)
	return release(data)
}
