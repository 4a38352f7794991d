package bench

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// status is where Linux tells about a process; see proc_pid_status(5).
const status = "/proc/self/status"

// Resident is the resident memory of a process, in MiB.
type Resident struct {
	RSS  float64 `json:"rss_mib"`
	Peak float64 `json:"peak_mib"` // the largest RSS so far
	Anon float64 `json:"anon_mib"` // of RSS: memory of its own
	File float64 `json:"file_mib"` // of RSS: pages of mapped files
}

// resident measures this process. Where the system does not tell, that is an
// error.
func resident() (Resident, error) {
	var r Resident
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
