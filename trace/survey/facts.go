package survey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/trace"
)

// tracer is that of the facts of the file.
func (s *Survey) tracer(m *lm.Model, k *kernel.Engine, cfg trace.Config) (*trace.Tracer, error) {
	var subjects []string
	for _, x := range s.Facts.Items {
		subjects = append(subjects, x.Subject)
	}
	return trace.New(m, k, cfg, subjects)
}

// traceAll gives the tables of the facts to add, in file order, until limit of
// them are known. Other processes trace some of them before their turn.
func (s *Survey) traceAll(ctx context.Context, t *trace.Tracer, log *factLog, limit int, add func(*trace.Result) error, out *Found) error {
	out.Unknown, out.LeftOut = 0, map[string]int{}
	ahead := map[int]traced{} // of facts that are not in the file
	for known, i := 0, 0; known < limit && i < len(s.Facts.Items); i++ {
		x, seen := log.done[i]
		if !seen {
			var err error
			if _, done := ahead[i]; !done {
				if err = s.round(ctx, t, s.next(log, i), ahead); err != nil {
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
	return s.dismiss()
}

// fact traces one fact of the file.
func (s *Survey) fact(ctx context.Context, t *trace.Tracer, x data.Fact) (traced, error) {
	if x.Prompt == "" {
		return traced{}, fmt.Errorf("%s: facts without prompts cannot be traced; give known facts (with prompt and subject)", s.File)
	}
	prompt, err := s.ask(x.Prompt)
	if err != nil {
		return traced{LeftOut: err.Error()}, nil
	}
	r, err := t.Trace(ctx, trace.Query{Prompt: prompt, Subject: x.Subject, Answer: x.Object, Join: s.How.Join, Occurrence: s.How.Occurrence})
	switch {
	case context.Cause(ctx) != nil:
		return traced{}, context.Cause(ctx)
	case errors.Is(err, trace.ErrUnknown):
		return traced{Unknown: true}, nil
	case errors.Is(err, context.Canceled):
		return traced{}, err
	case err != nil:
		return traced{LeftOut: err.Error()}, nil
	}
	return traced{Result: r}, nil
}

// compareTeam fails unless all processes trace the same.
func (s *Survey) compareTeam(model string, cfg trace.Config) error {
	if mpi.Alone(s.Team) {
		return nil
	}
	program, err := mpi.Program()
	if err = mpi.Agree(s.Team, err); err != nil {
		return err
	}
	return mpi.Same(s.Team, [][2]string{
		{"program", program}, {"base model", model}, {"file of facts", s.Facts.SHA256}, {"setting", fmt.Sprint(cfg, s.Restores, s.How, s.Chat)},
	})
}

// next are the facts from i on that are traced in one round, each by a process.
func (s *Survey) next(log *factLog, i int) []int {
	n := 1
	if !mpi.Alone(s.Team) {
		n = s.Team.Size()
	}
	var list []int
	for ; len(list) < n && i < len(s.Facts.Items); i++ {
		if _, seen := log.done[i]; !seen {
			list = append(list, i)
		}
	}
	return list
}

// round traces facts, each of which a process takes, and puts what came of them
// into done.
func (s *Survey) round(ctx context.Context, t *trace.Tracer, list []int, done map[int]traced) error {
	if mpi.Alone(s.Team) {
		x, err := s.fact(ctx, t, s.Facts.Items[list[0]])
		x.Fact = list[0]
		done[list[0]] = x
		return err
	}
	list, err := s.order(list)
	if err != nil {
		return err
	}
	return s.share(ctx, t, list, done)
}

// order gives all processes process 0's list of facts.
func (s *Survey) order(list []int) ([]int, error) {
	err := mpi.Share(s.Team, &list)
	return list, err
}

// dismiss tells the other processes that no fact is left.
func (s *Survey) dismiss() error {
	if mpi.Alone(s.Team) {
		return nil
	}
	_, err := s.order(nil)
	return err
}

// help traces what process 0 orders, for every kind of restored state.
func (s *Survey) help(ctx context.Context, m *lm.Model, k *kernel.Engine, cfg trace.Config) error {
	for _, restore := range s.Restores {
		cfg.Restore = restore
		t, err := s.tracer(m, k, cfg)
		if err != nil {
			return err
		}
		for {
			list, err := s.order(nil)
			if err != nil {
				return err
			}
			if len(list) == 0 {
				break
			}
			if err := s.share(ctx, t, list, map[int]traced{}); err != nil {
				return err
			}
		}
	}
	return nil
}

// share traces this process's part of a list and exchanges what came of it.
func (s *Survey) share(ctx context.Context, t *trace.Tracer, list []int, done map[int]traced) error {
	var mine []byte
	var err error
	if r := s.Team.Rank(); r < len(list) {
		var x traced
		if x, err = s.fact(ctx, t, s.Facts.Items[list[r]]); err == nil {
			x.Fact = list[r]
			mine, err = json.Marshal(x)
		}
	}
	stop, failed := mpi.Any(s.Team, context.Cause(ctx) != nil)
	switch {
	case failed != nil:
		return failed
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case stop:
		return mpi.ErrStopped
	}
	if err = mpi.Agree(s.Team, err); err != nil {
		return err
	}
	all, err := s.Team.Gather(mine)
	if err != nil {
		return err
	}
	for r, i := range list {
		var x traced
		if err := json.Unmarshal(all[r], &x); err != nil {
			return fmt.Errorf("what process %d traced: %w", r, err)
		}
		done[i] = x
	}
	return nil
}
