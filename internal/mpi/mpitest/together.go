package mpitest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
)

// Member is a process of a job that is a goroutine.
type Member struct {
	rank int
	job  *job
}

type job struct {
	size  int
	mu    sync.Mutex
	turn  *sync.Cond
	given [][]byte
	count int // that have given
	round *round
	over  error
}

// round is what a call in which all took part has come to.
type round struct{ all [][]byte }

// Together runs fn as so many processes and returns their errors by rank. Once
// one has ended, calls in which it does not take part fail in the others.
func Together(size int, fn func(m *Member) error) []error {
	j := &job{size: size, given: make([][]byte, size)}
	j.turn = sync.NewCond(&j.mu)
	errs := make([]error, size)
	var all sync.WaitGroup
	for r := range size {
		all.Go(func() {
			errs[r] = fn(&Member{r, j})
			j.mu.Lock()
			defer j.mu.Unlock()
			if j.over == nil {
				j.over = errors.Join(fmt.Errorf("process %d of %d has ended", r, size), errs[r])
			}
			j.turn.Broadcast()
		})
	}
	all.Wait()
	return errs
}

// Rank is the number of the process.
func (m *Member) Rank() int { return m.rank }

// Size is the number of processes.
func (m *Member) Size() int { return m.job.size }

// Host is a made-up machine.
func (m *Member) Host() string { return fmt.Sprintf("node%d", m.rank) }

// Gather gives every process what each of them gave, by rank.
func (m *Member) Gather(mine []byte) ([][]byte, error) {
	j := m.job
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.round == nil {
		j.round = &round{}
	}
	r := j.round
	j.given[m.rank] = bytes.Clone(mine)
	if j.count++; j.count == j.size {
		r.all = j.given
		j.given, j.count, j.round = make([][]byte, j.size), 0, nil
		j.turn.Broadcast()
	}
	for r.all == nil {
		if j.over != nil {
			return nil, j.over
		}
		j.turn.Wait()
	}
	out := make([][]byte, j.size)
	for i, b := range r.all {
		out[i] = bytes.Clone(b)
	}
	return out, nil
}

// Spread makes data of all processes that of rank 0.
func (m *Member) Spread(data []byte) error {
	var mine []byte
	if m.rank == 0 {
		mine = data
	}
	all, err := m.Gather(mine)
	if err != nil {
		return err
	}
	if len(all[0]) != len(data) {
		return fmt.Errorf("spread: %d bytes of process 0, %d of process %d", len(all[0]), len(data), m.rank)
	}
	copy(data, all[0])
	return nil
}
