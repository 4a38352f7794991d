package mpi

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// Team is processes that do one thing together. All of them make the same calls
// in the same order. A nil Team is one process alone.
type Team interface {
	Rank() int    // of this process, from 0
	Size() int    // number of processes
	Host() string // machine of this process
	// Gather gives every process what each of them gave, by rank. The result is
	// valid until the next call.
	Gather(mine []byte) (all [][]byte, err error)
	// Spread makes data, of one length in all processes, that of rank 0.
	Spread(data []byte) error
}

var _ Team = (*World)(nil)

// Traffic is what a process has exchanged with the others.
type Traffic struct {
	Calls          int
	Sent, Received int64         // bytes
	Time           time.Duration // in calls, most of it waiting for others to be there
}

// Alone reports whether there is no other process.
func Alone(t Team) bool { return t == nil || t.Size() == 1 }

// Leads reports whether this process is the one that writes and speaks.
func Leads(t Team) bool { return t == nil || t.Rank() == 0 }

// RankError is the failure of a process, which all processes know of.
type RankError struct {
	Rank, Size int
	Host       string
	All        bool // all processes failed in the same way
	Err        error
}

// Error names the process.
func (e *RankError) Error() string {
	if e.All {
		return e.Err.Error()
	}
	return fmt.Sprintf("%s: %v", Name(e.Rank, e.Size, e.Host), e.Err)
}

// Unwrap is the process's own error.
func (e *RankError) Unwrap() error { return e.Err }

// Name is how a process is called in messages.
func Name(rank, size int, host string) string {
	return fmt.Sprintf("process %d of %d on %s", rank, size, host)
}

// Agree makes the error of one process that of all: a *RankError, of the first
// that has one.
func Agree(t Team, err error) error {
	if Alone(t) {
		return err
	}
	mine := ""
	if err != nil {
		mine = t.Host() + "\x00" + err.Error()
	}
	all, failed := t.Gather([]byte(mine))
	if failed != nil {
		return errors.Join(err, failed)
	}
	var first *RankError
	same := true
	for r, b := range all {
		host, text, bad := strings.Cut(string(b), "\x00")
		same = same && bad && (first == nil || text == first.Err.Error())
		if bad && first == nil {
			first = &RankError{Rank: r, Size: t.Size(), Host: host, Err: errors.New(text)}
		}
	}
	if first == nil {
		return nil
	}
	if first.All = same; first.Rank == t.Rank() || same {
		first.Err = err // with its kind
	}
	return first
}

// ErrStopped says that work was ended, and what is done kept, since another process
// of the job was told to stop.
var ErrStopped = errors.New("another process of the job was told to stop")

// Program identifies the running program by its bytes.
func Program() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("program: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("program: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("program: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Any reports whether any process says yes.
func Any(t Team, yes bool) (bool, error) {
	if Alone(t) {
		return yes, nil
	}
	var mine []byte
	if yes {
		mine = []byte{1}
	}
	all, err := t.Gather(mine)
	for _, b := range all {
		yes = yes || len(b) > 0
	}
	return yes, err
}

// Same fails unless the named things are alike in all processes, which wants no
// more than to compare their texts.
func Same(t Team, things [][2]string) error {
	if Alone(t) {
		return nil
	}
	var mine []string
	for _, x := range things {
		mine = append(mine, x[1])
	}
	all, err := t.Gather([]byte(strings.Join(append(mine, t.Host()), "\x00")))
	if err != nil {
		return err
	}
	first := strings.Split(string(all[0]), "\x00")
	for r, b := range all {
		other := strings.Split(string(b), "\x00")
		for i, x := range things {
			if len(other) != len(first) || other[i] != first[i] {
				return &RankError{All: true, Err: fmt.Errorf("%s has another %s than %s: %s, not %s; give all of them the same",
					Name(r, t.Size(), other[len(other)-1]), x[0], Name(0, t.Size(), first[len(first)-1]), other[min(i, len(other)-1)], first[i])}
			}
		}
	}
	return nil
}

// Threads is how many threads this process should use: the cores that it may run
// on, shared with the processes that may run on the same ones.
func Threads(t Team) (int, error) {
	cores := runtime.NumCPU()
	if Alone(t) {
		return cores, nil
	}
	mine := allowed()
	host, err := os.Hostname()
	if err != nil {
		host = t.Host()
	}
	all, err := t.Gather([]byte(host + "\x00" + mine))
	if err != nil {
		return 0, err
	}
	sharing := 0
	for _, b := range all {
		if h, theirs, _ := strings.Cut(string(b), "\x00"); h == host && overlap(mine, theirs) {
			sharing++
		}
	}
	return max(cores/max(sharing, 1), 1), nil
}

// Machines is on how many machines the processes of a team are. All of them call it.
func Machines(t Team) (int, error) {
	hosts, err := t.Gather([]byte(t.Host()))
	if err != nil {
		return 0, err
	}
	different := map[string]bool{}
	for _, h := range hosts {
		different[string(h)] = true
	}
	return len(different), nil
}

// overlap reports whether two sets of cores, bytes of bits, have one in common.
// An empty set is not known, and may be any.
func overlap(a, b string) bool {
	if a == "" || b == "" {
		return true
	}
	for i := range min(len(a), len(b)) {
		if a[i]&b[i] != 0 {
			return true
		}
	}
	return false
}

// Share makes v, which JSON can hold, that of process 0 in all processes.
func Share(t Team, v any) error {
	if Alone(t) {
		return nil
	}
	var mine []byte
	if Leads(t) {
		var err error
		if mine, err = json.Marshal(v); err != nil {
			return err
		}
	}
	all, err := t.Gather(mine)
	if err != nil {
		return err
	}
	return json.Unmarshal(all[0], v)
}
