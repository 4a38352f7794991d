package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/trace"
	"keyhole.example/keyhole/workbench"
)

// tracerOf is the tracer of the facts of a file.
func tracerOf(b *workbench.Bench, cfg trace.Config, facts *data.Collection[data.Fact]) (*trace.Tracer, error) {
	var subjects []string
	for _, x := range facts.Items {
		subjects = append(subjects, x.Subject)
	}
	return trace.New(b.Model, b.Engine, cfg, subjects)
}

// traceAll gives the tables of the facts to add, in file order, until limit of
// them are known. Other processes trace some of them before their turn.
func (f *traceFlags) traceAll(c *cobra.Command, t *trace.Tracer, log *traceLog, facts []data.Fact, limit int, add func(*trace.Result) error, out *traced) error {
	out.Unknown, out.LeftOut = 0, map[string]int{}
	ahead := map[int]tracedFact{} // of facts that are not in the file
	for known, i := 0, 0; known < limit && i < len(facts); i++ {
		x, seen := log.done[i]
		if !seen {
			var err error
			if _, done := ahead[i]; !done {
				if err = f.round(c, t, facts, f.next(log, len(facts), i), ahead); err != nil {
					return err
				}
			}
			x = ahead[i]
			delete(ahead, i)
			if err := log.put(x); err != nil {
				return err
			}
		}
		switch {
		case x.Unknown:
			out.Unknown++
		case x.Result == nil:
			out.LeftOut[x.LeftOut]++
		default:
			if err := add(x.Result); err != nil {
				return err
			}
			known++
		}
	}
	return f.dismiss()
}

// fact traces one fact of the file.
func (f *traceFlags) fact(c *cobra.Command, t *trace.Tracer, x data.Fact) (tracedFact, error) {
	if x.Prompt == "" {
		return tracedFact{}, fmt.Errorf("%s: facts without prompts cannot be traced; give known facts (with prompt and subject)", f.file)
	}
	prompt, err := f.ask(x.Prompt)
	if err != nil {
		return tracedFact{LeftOut: err.Error()}, nil
	}
	r, err := t.Trace(c.Context(), trace.Query{Prompt: prompt, Subject: x.Subject, Answer: x.Object, Join: f.how.Join, Occurrence: f.how.Occurrence})
	switch {
	case stopped(c) != nil:
		return tracedFact{}, stopped(c)
	case errors.Is(err, trace.ErrUnknown):
		return tracedFact{Unknown: true}, nil
	case errors.Is(err, context.Canceled):
		return tracedFact{}, err
	case err != nil:
		return tracedFact{LeftOut: err.Error()}, nil
	}
	return tracedFact{Result: r}, nil
}

// compareTeam fails unless all processes trace the same.
func (f *traceFlags) compareTeam(model string, facts *data.Collection[data.Fact], cfg trace.Config) error {
	if mpi.Alone(f.team) {
		return nil
	}
	program, err := mpi.Program()
	if err = mpi.Agree(f.team, err); err != nil {
		return err
	}
	return mpi.Same(f.team, [][2]string{
		{"program", program}, {"base model", model}, {"file of facts", facts.SHA256}, {"setting", fmt.Sprint(cfg, f.restores, f.how, f.chat)},
	})
}

// next are the facts from i on that are traced in one round, each by a process.
func (f *traceFlags) next(log *traceLog, facts, i int) []int {
	n := 1
	if !mpi.Alone(f.team) {
		n = f.team.Size()
	}
	var list []int
	for ; len(list) < n && i < facts; i++ {
		if _, seen := log.done[i]; !seen {
			list = append(list, i)
		}
	}
	return list
}

// round traces facts, each of which a process takes, and puts what came of them
// into done.
func (f *traceFlags) round(c *cobra.Command, t *trace.Tracer, facts []data.Fact, list []int, done map[int]tracedFact) error {
	if mpi.Alone(f.team) {
		x, err := f.fact(c, t, facts[list[0]])
		x.Fact = list[0]
		done[list[0]] = x
		return err
	}
	list, err := f.order(list)
	if err != nil {
		return err
	}
	return f.share(c, t, facts, list, done)
}

// order gives all processes process 0's list of facts.
func (f *traceFlags) order(list []int) ([]int, error) {
	err := agreed(f.team, &list)
	return list, err
}

// dismiss tells the other processes that no fact is left.
func (f *traceFlags) dismiss() error {
	if mpi.Alone(f.team) {
		return nil
	}
	_, err := f.order(nil)
	return err
}

// help traces what process 0 orders, for every kind of restored state.
func (f *traceFlags) help(c *cobra.Command, b *workbench.Bench, cfg trace.Config, facts *data.Collection[data.Fact]) error {
	for _, restore := range f.restores {
		cfg.Restore = restore
		t, err := tracerOf(b, cfg, facts)
		if err != nil {
			return err
		}
		for {
			list, err := f.order(nil)
			if err != nil {
				return err
			}
			if len(list) == 0 {
				break
			}
			if err := f.share(c, t, facts.Items, list, map[int]tracedFact{}); err != nil {
				return err
			}
		}
	}
	return nil
}

// share traces this process's part of a list and exchanges what came of it.
func (f *traceFlags) share(c *cobra.Command, t *trace.Tracer, facts []data.Fact, list []int, done map[int]tracedFact) error {
	var mine []byte
	var err error
	if r := f.team.Rank(); r < len(list) {
		var x tracedFact
		if x, err = f.fact(c, t, facts[list[r]]); err == nil {
			x.Fact = list[r]
			mine, err = json.Marshal(x)
		}
	}
	stop, failed := mpi.Any(f.team, stopped(c) != nil)
	switch {
	case failed != nil:
		return failed
	case stopped(c) != nil:
		return stopped(c)
	case stop:
		return mpi.ErrStopped
	}
	if err = mpi.Agree(f.team, err); err != nil {
		return err
	}
	all, err := f.team.Gather(mine)
	if err != nil {
		return err
	}
	for r, i := range list {
		var x tracedFact
		if err := json.Unmarshal(all[r], &x); err != nil {
			return fmt.Errorf("what process %d traced: %w", r, err)
		}
		done[i] = x
	}
	return nil
}
