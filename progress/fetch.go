package progress

import (
	"fmt"
	"io"

	"keyhole.example/keyhole/hub"
	"keyhole.example/keyhole/internal/console"
)

// Fetching shows the files that are being fetched, one bar each.
type Fetching struct {
	To   io.Writer
	file string
	task *console.Task
}

// barUnit is what a bar counts: KiB, so that large files fit an int everywhere.
const barUnit = 1 << 10

// Progress is a hub.Client's.
func (s *Fetching) Progress(p hub.Progress) {
	if p.Total == 0 {
		return
	}
	if s.task == nil || s.file != p.File {
		s.Finish()
		if p.Total < 1<<20 {
			return // it is over before anybody has read it
		}
		if p.Done > 0 && p.Done < p.Total {
			fmt.Fprintf(s.To, "going on with %s: %s of %s are there\n", p.File, hub.Size(p.Done), hub.Size(p.Total))
		} else {
			fmt.Fprintf(s.To, "fetching %s, %s\n", p.File, hub.Size(p.Total))
		}
		s.file, s.task = p.File, console.Of(s.To).Begin(p.File, int(p.Done/barUnit), int(p.Total/barUnit))
	}
	s.task.Set(int(p.Done/barUnit), "KiB")
}

// Finish leaves the line as it stands.
func (s *Fetching) Finish() {
	s.task.End()
	s.task, s.file = nil, ""
}
