package edit

import (
	"fmt"
	"strings"
)

// Conflict is two requests of which only one can be granted: the same prompt
// with different targets.
type Conflict struct {
	Prompt  string    `json:"prompt"`
	IDs     [2]string `json:"ids"`
	Targets [2]string `json:"targets"`
}

// String names both.
func (c Conflict) String() string {
	return fmt.Sprintf("%s and %s want different answers to %q: %q and %q", c.IDs[0], c.IDs[1], c.Prompt, c.Targets[0], c.Targets[1])
}

// Conflicts finds requests that contradict an earlier one. Blanks around
// prompts and targets do not count.
func Conflicts(requests []Request) []Conflict {
	first := map[string]*Request{}
	var out []Conflict
	for i := range requests {
		r := &requests[i]
		key := strings.TrimSpace(r.Prompt)
		f, ok := first[key]
		if !ok {
			first[key] = r
			continue
		}
		if strings.TrimSpace(f.Target) != strings.TrimSpace(r.Target) {
			out = append(out, Conflict{key, [2]string{f.ID, r.ID}, [2]string{f.Target, r.Target}})
		}
	}
	return out
}
