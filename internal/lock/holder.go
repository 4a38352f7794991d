package lock

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"keyhole.example/keyhole/internal/regular"
)

// Holder is the process that holds a lock, as far as it is known.
type Holder struct {
	PID     int // 0: nothing is known
	Host    string
	Since   string // RFC 3339
	Command string
}

// String names the process, such as "process 12 on host since …: keyhole train".
func (h Holder) String() string {
	if h.PID == 0 {
		return "another process"
	}
	s := fmt.Sprintf("process %d", h.PID)
	if h.Host != "" {
		s += " on " + h.Host
	}
	if h.Since != "" {
		s += " since " + h.Since
	}
	if h.Command != "" {
		s += " (" + h.Command + ")"
	}
	return s
}

// InUseError says that another process holds the lock of a file or folder.
type InUseError struct {
	Place string
	Holder
}

// Error names the process and the way out.
func (e *InUseError) Error() string {
	return fmt.Sprintf("%s is in use by %v; wait for it, stop it, or choose another place", e.Place, e.Holder)
}

// longest is more than the text of any lock.
const longest = 1 << 13

func writeHolder(f *os.File) error {
	host, err := os.Hostname()
	if err != nil {
		host = "" // the process id alone is of use
	}
	const longestCommand = 1 << 11
	command := strings.Join(os.Args, " ")
	if len(command) > longestCommand {
		command = command[:longestCommand] + "…"
	}
	text := fmt.Sprintf("pid %d\nhost %s\nsince %s\ncommand %s\n", os.Getpid(), oneLine(host), time.Now().Format(time.RFC3339), oneLine(command))
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(text), 0)
	return err
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// holderOf reads a lock's file; what it does not say stays empty.
func holderOf(path string) Holder {
	text, err := regular.ReadOwn(path, longest)
	if err != nil {
		return Holder{}
	}
	h, err := parseHolder(string(text))
	if err != nil {
		return Holder{}
	}
	return h
}

// parseHolder reads what writeHolder wrote, or the first version, a bare process
// id. An empty text is a lock that was just taken.
func parseHolder(text string) (Holder, error) {
	if text == "" {
		return Holder{}, nil
	}
	var h Holder
	if pid, err := strconv.Atoi(strings.TrimSpace(text)); err == nil && pid > 0 {
		h.PID = pid
		return h, nil
	}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch {
		case ok && key == "pid" && h.PID == 0:
			pid, err := strconv.Atoi(value)
			if err != nil || pid < 1 {
				return Holder{}, errNotALock
			}
			h.PID = pid
		case ok && key == "host" && h.PID > 0:
			h.Host = value
		case ok && key == "since" && h.PID > 0:
			h.Since = value
		case ok && key == "command" && h.PID > 0:
			h.Command = value
		default:
			return Holder{}, errNotALock
		}
	}
	return h, nil
}

var errNotALock = errors.New("the file of this name holds something that is no lock; move it away")
