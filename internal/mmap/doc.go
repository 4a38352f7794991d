// Package mmap gives a file's bytes as read-only memory.
//
// The central type is File. Read mmap.go, fault.go, then map_unix.go (mapping) and
// map_other.go (plain reading, for systems without it).
//
// Promises: nothing is read before it is touched where the system can map;
// only regular files are opened, so a pipe or a device never blocks. A file
// that another program cuts short while it is mapped crashes the reader, as
// with every mapping; where runtime/debug.SetPanicOnFault is on, it panics
// instead, and Fault says which file it was. Replace files by renaming (package
// atomicfile).
package mmap
