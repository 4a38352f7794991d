package eval

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/internal/resident"
)

// divided reports whether processes share the records. Those of a sequence wait
// for one another: process 0 evaluates them alone.
func (r *run) divided() bool { return !mpi.Alone(r.Team) && !r.inSequence() }

// idle reports whether this process has nothing to do.
func (r *run) idle() bool { return r.inSequence() && !mpi.Leads(r.Team) }

// compareTeam fails unless all processes evaluate the same.
func (r *run) compareTeam(h Header) error {
	if mpi.Alone(r.Team) {
		return nil
	}
	program, err := mpi.Program()
	if err = mpi.Agree(r.Team, err); err != nil {
		return err
	}
	settings, err := json.Marshal([]any{h.Record, h.Metrics, h.Seed, h.Refs, h.Batch, h.Text, h.Texts, r.n, r.Pack})
	if err = mpi.Agree(r.Team, err); err != nil {
		return err
	}
	return mpi.Same(r.Team, [][2]string{
		{"program", program}, {"base model", h.Model}, {"data set", h.Edits}, {"editor", h.Editor}, {"configuration of the editor", h.Config}, {"setting", string(settings)},
	})
}

// open opens the results file, which process 0 alone has, and gives all processes
// the lines that it holds.
func (r *run) open(h Header) error {
	var err error
	if r.Out != "" && mpi.Leads(r.Team) {
		if r.file, err = openResults(r.Out, h); err == nil {
			r.old = r.file.lines
			r.noteModel(h)
			for _, t := range readTimes(timesName(r.Out)) {
				r.count(t)
			}
		}
	}
	if err = mpi.Agree(r.Team, err); err != nil || r.Out == "" || mpi.Alone(r.Team) {
		return err
	}
	var mine []byte
	if mpi.Leads(r.Team) {
		if mine, err = json.Marshal(r.old); err != nil {
			return err
		}
	}
	all, err := r.Team.Gather(mine)
	if err != nil {
		return err
	}
	return json.Unmarshal(all[0], &r.old)
}

// inPieces does the records from lo on, so many at a time. Processes that share
// them take a piece each, round by round, and merge what came of it in the order
// of the records.
func (r *run) inPieces(ctx context.Context, lo, size int, piece func(lo, hi int) error) error {
	processes, rank := 1, 0
	if r.divided() {
		processes, rank = r.Team.Size(), r.Team.Rank()
	}
	for ; lo < r.n; lo += processes * size {
		if !r.divided() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := piece(lo, min(lo+size, r.n)); err != nil {
				return err
			}
			continue
		}
		stop, err := mpi.Any(r.Team, ctx.Err() != nil)
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case stop:
			return mpi.ErrStopped
		}
		if mine := lo + rank*size; mine < r.n {
			err = piece(mine, min(mine+size, r.n))
		}
		if err := r.merge(err); err != nil {
			return err
		}
	}
	return nil
}

// given is what a process has evaluated in a round.
type given struct {
	Lines       []placed
	Edits       int
	Edit, Score time.Duration
	PeakBytes   int64
}

// placed is a line and its place.
type placed struct {
	Place int
	Line  *Line
}

// merge ends a round, in which this process failed with err, if not nil. The round
// took as long as the slowest process.
func (r *run) merge(err error) error {
	if err := mpi.Agree(r.Team, err); err != nil {
		return err
	}
	mine, err := json.Marshal(given{r.pending, r.edits, r.editTime, r.scoreTime, resident.PeakBytes()})
	if err = mpi.Agree(r.Team, err); err != nil {
		return err
	}
	all, err := r.Team.Gather(mine)
	if err != nil {
		return err
	}
	r.pending, r.edits, r.editTime, r.scoreTime = nil, 0, 0, 0
	for rank, b := range all {
		var g given
		if err := json.Unmarshal(b, &g); err != nil {
			return fmt.Errorf("what process %d evaluated: %w", rank, err)
		}
		r.edits += g.Edits
		r.editTime, r.scoreTime = max(r.editTime, g.Edit), max(r.scoreTime, g.Score)
		r.peak = max(r.peak, g.PeakBytes)
		for _, x := range g.Lines {
			if err := r.write(x.Place, x.Line); err != nil {
				return err
			}
		}
	}
	return r.mark()
}
