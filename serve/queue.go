package serve

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// What happens to jobs that are not done.
var (
	errFull      = errors.New("too many requests are waiting; ask again in a moment")
	errStopping  = errors.New("the server is stopping")
	errGone      = errors.New("the client went away")
	errCancelled = errors.New("it was cancelled")
)

// queue is jobs that wait for the model. Clients take turns: one job of each, in
// the order in which they came.
type queue struct {
	mu    sync.Mutex
	lines []*line // of the clients that wait, the next one first
	n     int
	limit int
	busy  int           // that were taken and are not over
	wake  chan struct{} // has room for one
	shut  bool
}

// line is a client's jobs, the oldest first.
type line struct {
	client string
	jobs   []*job
}

func newQueue(limit int) *queue { return &queue{limit: limit, wake: make(chan struct{}, 1)} }

// add puts a job at the end of its client's line.
func (q *queue) add(j *job) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drop()
	switch {
	case q.shut:
		return errStopping
	case q.n >= q.limit:
		return errFull
	}
	at := slices.IndexFunc(q.lines, func(l *line) bool { return l.client == j.client })
	if at < 0 {
		at = len(q.lines)
		q.lines = append(q.lines, &line{client: j.client})
	}
	q.lines[at].jobs = append(q.lines[at].jobs, j)
	q.n++
	q.signal()
	return nil
}

// drop takes out the jobs that were cancelled while they waited.
func (q *queue) drop() {
	for _, l := range q.lines {
		l.jobs = slices.DeleteFunc(l.jobs, func(j *job) bool {
			gone := j.ctx.Err() != nil
			if gone {
				q.n--
				j.end(nil, context.Cause(j.ctx))
			}
			return gone
		})
	}
	q.lines = slices.DeleteFunc(q.lines, func(l *line) bool { return len(l.jobs) == 0 })
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// pop is the next job of those that fit, or nil.
func (q *queue) pop(fits func(*job) bool) *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drop()
	for i, l := range q.lines {
		at := slices.IndexFunc(l.jobs, fits)
		if at < 0 {
			continue
		}
		j := l.jobs[at]
		l.jobs = slices.Delete(l.jobs, at, at+1)
		q.lines = slices.Delete(q.lines, i, i+1)
		if len(l.jobs) > 0 {
			q.lines = append(q.lines, l)
		}
		q.n--
		q.busy++
		return j
	}
	return nil
}

// anyJob fits always.
func anyJob(*job) bool { return true }

// brief reports whether a job takes seconds at most, so that it may be done in a
// pause of one that takes long.
func brief(j *job) bool {
	switch j.kind {
	case "next", "edits", "completion", "generate", "trial":
		return true
	}
	return false
}

// take waits for the next job; nil: ctx has ended.
func (q *queue) take(ctx context.Context) *job {
	for ctx.Err() == nil {
		if j := q.pop(anyJob); j != nil {
			return j
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
		}
	}
	return nil
}

// free says that a job that was taken is over.
func (q *queue) free() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.busy--
}

// count is how many jobs run and wait.
func (q *queue) count() (running, waiting int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drop()
	return q.busy, q.n
}

// close ends all jobs that wait, and takes no more.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.shut = true
	for _, l := range q.lines {
		for _, j := range l.jobs {
			j.cancel(errStopping)
		}
	}
	q.drop()
}
