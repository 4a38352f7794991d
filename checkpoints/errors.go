package checkpoints

import (
	"errors"
	"fmt"
	"path/filepath"

	"keyhole.example/keyhole/internal/lock"
)

// ErrNone says that a folder holds no checkpoint yet, or none of that role.
var ErrNone = errors.New("no such checkpoint yet")

// errGone says that a pointer's checkpoint was deleted.
var errGone = errors.New("which is missing")

// ErrNewer says that a checkpoint was written in a later format.
var ErrNewer = errors.New("written by a newer keyhole; use that version or a later one")

// CorruptError says that a checkpoint is not what was saved.
type CorruptError struct {
	Folder string // path of the step folder, or of the store for a pointer
	File   string // name in Folder
	Offset int64  // first byte known to be bad or missing; -1 if unknown
	Err    error  // what is wrong
	Use    string // name of the latest other checkpoint that is intact; empty if none
}

// Error names the file, what is wrong, and the way out.
func (e *CorruptError) Error() string {
	at := ""
	if e.Offset >= 0 {
		at = fmt.Sprintf(" at byte %d", e.Offset)
	}
	out := "no other checkpoint here is intact: restore a copy or train again"
	if e.Use != "" {
		bad := e.Folder
		if _, isStep := stepOf(filepath.Base(bad)); !isStep { // a pointer
			bad = filepath.Join(bad, e.File)
		}
		out = fmt.Sprintf("delete %s and resume: the newest whole checkpoint is %s", bad, e.Use)
	}
	return fmt.Sprintf("checkpoint %s: %s is damaged%s: %v; %s", e.Folder, e.File, at, e.Err, out)
}

// Unwrap gives the cause.
func (e *CorruptError) Unwrap() error { return e.Err }

// InUseError says which process holds a folder's lock.
type InUseError = lock.InUseError
