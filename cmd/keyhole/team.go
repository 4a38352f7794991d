package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/report"
)

// shared are the commands whose work several processes do together.
var shared = []string{"train", "resume", "eval", "compare", "stats", "trace"}

// membership is this process's part in a job of several; the zero value is none.
type membership struct {
	world   *mpi.World
	threads int // that this process should use
}

// team is the processes of the job; nil: this one is alone.
func (m *membership) team() mpi.Team {
	if m.world == nil {
		return nil
	}
	return m.world
}

// threadsFor is how many threads to use where so many are asked for.
func (m *membership) threadsFor(asked int) int {
	if asked == 0 {
		return m.threads
	}
	return asked
}

// joined makes the commands below c take part in the job that this process was
// launched in. Process 0 alone speaks.
func joined(c *cobra.Command, o *options) {
	around(c, func(c *cobra.Command, args []string, run action) error {
		if err := o.join(c); err != nil {
			return err
		}
		return run(c, args)
	})
}

func (m *membership) join(c *cobra.Command) error {
	l, ok, err := mpi.Launched()
	if err != nil || !ok {
		return err
	}
	if !slices.Contains(shared, c.Name()) {
		if l.Size > 1 {
			return wrongUse("%s is no work that processes share, but a launcher started %d of it; start it without one (%v are shared)", c.CommandPath(), l.Size, shared)
		}
		return nil
	}
	if m.world, err = mpi.Join(l); err != nil {
		return err
	}
	if m.threads, err = mpi.Threads(m.world); err != nil {
		return err
	}
	machines, err := mpi.Machines(m.world)
	if err != nil {
		return err
	}
	if !mpi.Leads(m.world) {
		c.Root().SetOut(io.Discard)
		c.Root().SetErr(io.Discard)
		return nil
	}
	if m.world.Size() > 1 {
		on := "one machine"
		if machines > 1 {
			on = fmt.Sprintf("%d machines", machines)
		}
		fmt.Fprintf(c.ErrOrStderr(), "%d processes on %s take part, with %s\n", m.world.Size(), on, m.world.Library())
	}
	return nil
}

// sayTraffic says what steps cost this process beside computing.
func (m *membership) sayTraffic(w io.Writer, took time.Duration, steps int) {
	if mpi.Alone(m.team()) || steps == 0 {
		return
	}
	t := m.world.Traffic()
	fmt.Fprintf(w, "each step %s came from other processes, in %d calls; process 0 spent %.0f %% of %s in them\n",
		report.Bytes(t.Received/int64(steps)), t.Calls/steps, 100*t.Time.Seconds()/took.Seconds(), took.Round(time.Second/10))
}

// told tells whether all processes know of an error, so that one of them says it.
func told(err error) bool {
	var all *mpi.RankError
	return err == nil || errors.As(err, &all) || errors.Is(err, mpi.ErrStopped) || isInterrupt(err)
}

func isInterrupt(err error) bool {
	var stop *interrupted
	return errors.As(err, &stop)
}

// head is how much earlier process 0 speaks, in case that all fail alike.
const head = 500 * time.Millisecond

// say names the process that fails alone.
func (m *membership) say(w io.Writer, err error) {
	switch {
	case m.world == nil:
		sayUnjoined(w, err)
	case told(err):
		if mpi.Leads(m.world) {
			fmt.Fprintf(w, "keyhole: %v\n", err)
		}
	default:
		if !mpi.Leads(m.world) {
			time.Sleep(head)
		}
		if m.world.Size() > 1 {
			err = fmt.Errorf("%s: %w", mpi.Name(m.world.Rank(), m.world.Size(), m.world.Host()), err)
		}
		fmt.Fprintf(w, "keyhole: %v\n", err)
	}
}

// sayUnjoined says why a process fails that takes part in no job, or not yet. Of a job,
// process 0 alone speaks of wrong use, which all have in common; the others wait
// for it, since a launcher may end all processes as soon as the first has failed.
func sayUnjoined(w io.Writer, err error) {
	if l, ok, _ := mpi.Launched(); ok && l.Rank > 0 {
		time.Sleep(head)
		var failed *failure
		if !errors.As(err, &failed) {
			return
		}
		host, _ := os.Hostname() // "" where it has none
		err = fmt.Errorf("%s: %w", mpi.Name(l.Rank, l.Size, host), err)
	}
	fmt.Fprintf(w, "keyhole: %v\n", err)
}

// leave ends this process's part in the job with an exit status, which it returns
// where there is no job. A process that fails alone ends all others.
func (m *membership) leave(status int, err error) int {
	switch {
	case m.world == nil:
	case told(err):
		_ = m.world.Leave(status) // comes back only if there is no job any more
	default:
		m.world.Abort(status)
	}
	return status
}
