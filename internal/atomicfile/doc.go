// Package atomicfile writes files and folders so that a reader, or a machine
// that loses power, sees either what was there before or the whole of the new,
// never a part. It is the only package that calls os.Rename.
//
// Read file.go (Write, one file), then folder.go (WriteDir and ReplaceDir,
// whole folders), then temporary.go (names of unfinished work, and how to
// clear it away after a crash).
//
// Every way of writing follows the same steps: build under a temporary name
// next to the target, fsync, rename, fsync the folder that holds it. If a step
// fails, what was built is removed and the target is as before. After a kill
// in between, a name for which IsTemporary holds may stay behind; listings
// skip it, RemoveTemporary deletes it.
package atomicfile
