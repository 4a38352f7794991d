package serve

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"
)

// The states of a job.
const (
	waiting   = "waiting"
	running   = "running"
	done      = "done"
	failed    = "failed"
	cancelled = "cancelled"
)

// progress is how far a job is.
type progress struct {
	Done  int    `json:"done"`
	Total int    `json:"total"`
	Text  string `json:"text"`
}

// event is something that happened to a job, for those who follow it.
type event struct {
	seq  int
	name string
	data json.RawMessage
}

// job is a piece of work with the model. Those who follow it see all its events,
// but of several reports of progress in a row only the last.
type job struct {
	id, kind, client string
	work             func(context.Context, *job) (any, error)
	ctx              context.Context
	cancel           context.CancelCauseFunc

	mu       sync.Mutex
	state    string
	progress progress
	result   any
	err      error
	events   []event
	seq      int
	changed  chan struct{} // closed at the next event
	ended    time.Time
}

func newJob(ctx context.Context, kind, client string, work func(context.Context, *job) (any, error)) *job {
	ctx, cancel := context.WithCancelCause(ctx)
	j := &job{kind: kind, client: client, work: work, ctx: ctx, cancel: cancel, changed: make(chan struct{})}
	j.move(waiting)
	return j
}

// jobState is what the API tells of a job.
type jobState struct {
	ID       string     `json:"id"`
	Kind     string     `json:"kind"`
	State    string     `json:"state"`
	Progress progress   `json:"progress"`
	Result   any        `json:"result,omitempty"`
	Error    *errorBody `json:"error,omitempty"`
}

// snapshot is the job as it is now.
func (j *job) snapshot() jobState {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := jobState{ID: j.id, Kind: j.kind, State: j.state, Progress: j.progress, Result: j.result}
	if j.err != nil {
		s.Error = errorOf(j.err)
	}
	return s
}

// over reports whether nothing more will happen.
func over(state string) bool { return state == done || state == failed || state == cancelled }

// emit adds an event. The caller holds mu, or is alone with the job.
func (j *job) emit(name string, v any) {
	raw, err := encode(v)
	if err != nil {
		raw = []byte(`{}`)
	}
	if n := len(j.events); n > 0 && name == "progress" && j.events[n-1].name == name {
		j.events = j.events[: n-1 : n-1] // those who read the old one keep it
	}
	j.seq++
	j.events = append(j.events, event{j.seq, name, raw})
	close(j.changed)
	j.changed = make(chan struct{})
}

// move changes the state.
func (j *job) move(state string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.state = state
	j.emit("state", map[string]string{"state": state})
}

// report says how far the work is.
func (j *job) report(done, total int, text string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := progress{done, total, text}
	if p != j.progress {
		j.progress = p
		j.emit("progress", p)
	}
}

// tell gives out something that the work has made so far.
func (j *job) tell(name string, v any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.emit(name, v)
}

// token gives out a piece of a text.
func (j *job) token(text string) { j.tell("token", map[string]string{"text": text}) }

// end settles what came of the job.
func (j *job) end(result any, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if over(j.state) {
		return
	}
	j.result, j.err, j.ended = result, err, time.Now()
	switch {
	case err == nil:
		j.state = done
		j.emit("state", map[string]string{"state": done})
		j.emit("result", result)
	case j.ctx.Err() != nil:
		j.result, j.err, j.state = nil, context.Cause(j.ctx), cancelled
		j.emit("state", map[string]string{"state": cancelled})
		j.emit("cancelled", errorOf(j.err))
	default:
		j.result, j.state = nil, failed
		j.emit("state", map[string]string{"state": failed})
		j.emit("failed", errorOf(err))
	}
	j.cancel(nil)
}

// after are the events behind the one of a number, whether they are the last, and
// what closes when there are more.
func (j *job) after(seq int) (list []event, last bool, more <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	at, _ := slices.BinarySearchFunc(j.events, seq+1, func(e event, n int) int { return e.seq - n })
	return j.events[at:], over(j.state), j.changed
}

// wait waits until the job is over, or ctx is; then the job is cancelled.
func (j *job) wait(ctx context.Context) (any, error) {
	for {
		_, last, more := j.after(0)
		if last {
			j.mu.Lock()
			defer j.mu.Unlock()
			return j.result, j.err
		}
		select {
		case <-more:
		case <-ctx.Done():
			j.cancel(errGone)
			return nil, errGone
		}
	}
}
