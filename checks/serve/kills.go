package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"keyhole.example/keyhole/edit"
)

// item is an edit of the list, as far as this check looks at it.
type item struct {
	ID string `json:"id"`
	On bool   `json:"on"`
}

// change is a change of the list: how it is asked for, and what it makes of a list.
// What a new edit is called, the server says.
type change struct {
	method, path string
	body         any
	make         func(list []item) []item
}

// killing kills servers.
type killing struct {
	program, store string
	seed           uint64
}

// all kills so many times, and says what came of it as Markdown.
func (k *killing) all(n int) (string, error) {
	rng := rand.New(rand.NewPCG(k.seed, 7))
	var sure []item    // what the server said is there
	var maybe [][]item // what may be there instead: a change was under way
	changes, under := 0, 0
	for i := range n {
		s, err := start(k.program, k.store)
		if err != nil {
			return "", fmt.Errorf("after %d kills: %w", i, err)
		}
		var have struct{ Edits []item }
		if err := s.must(http.StatusOK, "GET", "/api/v1/edits", nil, &have); err != nil {
			return "", errors.Join(err, s.kill())
		}
		switch {
		case alike(have.Edits, sure):
		case slices.ContainsFunc(maybe, func(m []item) bool { return alike(have.Edits, m) }):
			under++
		default:
			return "", errors.Join(fmt.Errorf("after %d kills the list is %v; it was %v, or %v", i, have.Edits, sure, maybe), s.kill())
		}
		if err := k.files(have.Edits); err != nil {
			return "", errors.Join(fmt.Errorf("after %d kills: %w", i, err), s.kill())
		}
		sure, maybe = have.Edits, nil
		trial, err := s.trial("lora")
		if err != nil {
			return "", errors.Join(err, s.kill())
		}
		stop := time.AfterFunc(time.Duration(rng.IntN(1500))*time.Millisecond, func() { _ = s.process.Process.Kill() })
		for {
			c := next(rng, sure, trial)
			var one item
			status, err := s.ask(c.method, c.path, c.body, &one)
			if err != nil { // killed
				maybe = append(maybe, c.make(slices.Clone(sure)))
				break
			}
			if status >= 300 {
				return "", errors.Join(fmt.Errorf("%s %s: status %d", c.method, c.path, status), s.kill())
			}
			sure = c.make(slices.Clone(sure))
			if c.path == "/api/v1/edits" {
				sure[len(sure)-1] = one
			}
			changes++
		}
		stop.Stop()
		_ = s.kill() // it is dead already
	}
	s, err := start(k.program, k.store)
	if err != nil {
		return "", fmt.Errorf("after %d kills: %w", n, err)
	}
	return fmt.Sprintf("\n## Killed\n\n%d times the server was killed with SIGKILL while it saved changes of the list (an edit\nkept, switched, moved, deleted), each started again in the same folder. All %d changes\nthat it had answered were there; of those that it had not, %d were there as a whole and\n%d not at all. No file was left over, none was missing.\n", n, changes, under, n-under), s.kill()
}

// next draws a change.
func next(rng *rand.Rand, list []item, trial string) change {
	const most = 12
	kind := rng.IntN(4)
	if len(list) == 0 {
		kind = 0
	} else if len(list) >= most {
		kind = 1
	}
	at := 0
	if len(list) > 0 {
		at = rng.IntN(len(list))
	}
	switch kind {
	case 0:
		return change{"POST", "/api/v1/edits", map[string]string{"trial": trial}, func(l []item) []item { return append(l, item{unknown, true}) }}
	case 1:
		return change{"DELETE", "/api/v1/edits/" + list[at].ID, nil, func(l []item) []item { return slices.Delete(l, at, at+1) }}
	case 2:
		on := !list[at].On
		return change{"PATCH", "/api/v1/edits/" + list[at].ID, map[string]bool{"on": on}, func(l []item) []item { l[at].On = on; return l }}
	}
	order := rng.Perm(len(list))
	var ids []string
	for _, i := range order {
		ids = append(ids, list[i].ID)
	}
	return change{"POST", "/api/v1/edits/order", map[string][]string{"ids": ids}, func(l []item) []item {
		var out []item
		for _, i := range order {
			out = append(out, l[i])
		}
		return out
	}}
}

// unknown is the ID of an edit whose answer did not come.
const unknown = "?"

func alike(have, want []item) bool {
	return slices.EqualFunc(have, want, func(a, b item) bool { return a.On == b.On && (a.ID == b.ID || b.ID == unknown) })
}

// files demands a file for each edit, and no other.
func (k *killing) files(list []item) error {
	entries, err := os.ReadDir(filepath.Join(k.store, "files"))
	if err != nil {
		return err
	}
	var have, want []string
	for _, e := range entries {
		have = append(have, e.Name())
	}
	for _, e := range list {
		want = append(want, e.ID+edit.FileExt)
	}
	slices.Sort(want)
	if slices.Sort(have); !slices.Equal(have, want) {
		return fmt.Errorf("the files are %v, and those of the edits %v", have, want)
	}
	return nil
}
