// Package mmap gives a file's bytes as read-only memory.
//
// The central type is File. Read mmap.go, then map_unix.go (mapping) and
// map_other.go (plain reading, for systems without it).
//
// Promises: nothing is read before it is touched where the system can map;
// only regular files are opened, so a pipe or a device never blocks. A file
// that another program cuts short while it is mapped crashes the reader, as
// with every mapping: replace files by renaming (package atomicfile) instead.
package mmap
