package eval

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"keyhole.example/keyhole/internal/regular"
	"keyhole.example/keyhole/internal/seal"
)

// timing is how long a group of edits took. Times are kept beside the results,
// in a file of their own, so that the results do not depend on the machine.
type timing struct {
	Edits     int     `json:"edits"`
	Edit      float64 `json:"edit_seconds"`
	Score     float64 `json:"score_seconds"`
	PeakBytes int64   `json:"peak_bytes,omitempty"`

	Tokens *tokenTimes `json:"tokens,omitempty"` // at the end of a sequence
}

// timesName is the file of times beside a results file.
func timesName(results string) string { return results + ".times" }

// readTimes reads what can be read: times are no result, so a damaged line is
// passed over.
func readTimes(path string) []timing {
	raw, err := regular.ReadFile(path, maxResults)
	if err != nil {
		return nil
	}
	var out []timing
	for sc := bufio.NewScanner(bytes.NewReader(raw)); sc.Scan(); {
		var t timing
		text, _, err := seal.Open(sc.Bytes())
		if err == nil && json.Unmarshal(text, &t) == nil && (t.Edits > 0 || t.Tokens != nil) {
			out = append(out, t)
		}
	}
	return out
}

// appendTime adds a line to the file.
func appendTime(path string, t timing) error {
	raw, err := marshalLine(t)
	if err != nil {
		return err
	}
	f, err := regular.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("file of times: %w", err)
	}
	if _, err := f.Write(raw); err != nil {
		f.Close()
		return fmt.Errorf("file of times: %w", err)
	}
	return f.Close()
}
