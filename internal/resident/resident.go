// Package resident tells how much memory this process takes, where Linux says it.
package resident

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
)

// status is where Linux tells about a process; see proc_pid_status(5).
const status = "/proc/self/status"

// Memory is the resident memory of a process, in MiB.
type Memory struct {
	RSS  float64 `json:"rss_mib"`
	Peak float64 `json:"peak_mib"` // the largest RSS so far
	Anon float64 `json:"anon_mib"` // of RSS: memory of its own
	File float64 `json:"file_mib"` // of RSS: pages of mapped files
}

// Read measures this process. Where the system does not tell, that is an error.
func Read() (Memory, error) { return read(status) }

// Of measures another process.
func Of(pid int) (Memory, error) { return read(fmt.Sprintf("/proc/%d/status", pid)) }

func read(status string) (Memory, error) {
	var r Memory
	f, err := os.Open(status)
	if err != nil {
		return r, fmt.Errorf("resident memory: %w", err)
	}
	defer f.Close()
	left := map[string]*float64{"VmRSS": &r.RSS, "VmHWM": &r.Peak, "RssAnon": &r.Anon, "RssFile": &r.File}
	for in := bufio.NewScanner(f); in.Scan(); {
		name, rest, _ := strings.Cut(in.Text(), ":")
		to := left[name]
		if to == nil {
			continue
		}
		kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
		if err != nil {
			return r, fmt.Errorf("resident memory: %s: %s: %w", status, name, err)
		}
		*to = kb / 1024
		delete(left, name)
	}
	if len(left) > 0 {
		return r, fmt.Errorf("resident memory: %s has no %v", status, slices.Sorted(maps.Keys(left)))
	}
	return r, nil
}

// PeakBytes is the largest resident memory so far, 0 where the system does not
// tell.
func PeakBytes() int64 {
	r, err := Read()
	if err != nil {
		return 0
	}
	return int64(r.Peak * (1 << 20))
}

// ResetPeak gives free memory back and lets the peak begin anew, where the system
// can; elsewhere it goes on.
func ResetPeak() {
	debug.FreeOSMemory()
	const resetHighWater = "5" // see proc_pid_clear_refs(5)
	_ = os.WriteFile("/proc/self/clear_refs", []byte(resetHighWater), 0)
}
