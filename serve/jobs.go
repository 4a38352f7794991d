package serve

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// keptJobs is how many jobs that are over can still be asked for.
const keptJobs = 64

// jobs are those that clients can name, the oldest first.
type jobs struct {
	list []*job
	n    int
}

// name gives a job its name, and forgets the oldest that are over.
func (js *jobs) name(j *job) {
	js.n++
	j.id = strconv.Itoa(js.n)
	js.list = append(js.list, j)
	spare := len(js.list) - keptJobs
	js.list = slices.DeleteFunc(js.list, func(j *job) bool {
		if spare <= 0 || !over(j.snapshot().State) {
			return false
		}
		spare--
		return true
	})
}

func (js *jobs) forget(j *job) {
	js.list = slices.DeleteFunc(js.list, func(x *job) bool { return x == j })
}

func (js *jobs) find(id string) *job {
	at := slices.IndexFunc(js.list, func(j *job) bool { return j.id == id })
	if at < 0 {
		return nil
	}
	return js.list[at]
}

func (s *Server) named(r *http.Request) (*job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.jobs.find(r.PathValue("id")); j != nil {
		return j, nil
	}
	return nil, missing("job", r.PathValue("id"))
}

func (s *Server) job(w http.ResponseWriter, r *http.Request) error {
	j, err := s.named(r)
	if err != nil {
		return err
	}
	reply(w, http.StatusOK, j.snapshot())
	return nil
}

func (s *Server) cancel(w http.ResponseWriter, r *http.Request) error {
	j, err := s.named(r)
	if err != nil {
		return err
	}
	j.cancel(errCancelled)
	s.queue.count() // one that waits is over at once
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// follow gives a job's events, those that were first, until it is over.
func (s *Server) follow(w http.ResponseWriter, r *http.Request) error {
	j, err := s.named(r)
	if err != nil {
		return err
	}
	seen, _ := strconv.Atoi(r.Header.Get("Last-Event-ID")) // 0 for one who begins
	e := s.events(w)
	for {
		list, last, more := j.after(seen)
		for _, x := range list {
			if err := e.send(x.seq, x.name, x.data); err != nil {
				return nil // the client is gone
			}
			seen = x.seq
		}
		if last {
			return nil
		}
		if !e.wait(r, more) {
			return nil
		}
	}
}

// sender writes server-sent events.
type sender struct {
	w       http.ResponseWriter
	control *http.ResponseController
	beat    time.Duration
}

// events begins an answer of events.
func (s *Server) events(w http.ResponseWriter) *sender {
	w.Header().Set("Content-Type", "text/event-stream")
	e := &sender{w: w, control: http.NewResponseController(w), beat: s.slow.beat}
	w.WriteHeader(http.StatusOK)
	_ = e.control.Flush()
	return e
}

// send writes one event; data is one line.
func (e *sender) send(id int, name string, data []byte) error {
	if _, err := fmt.Fprintf(e.w, "id: %d\nevent: %s\ndata: %s\n\n", id, name, data); err != nil {
		return err
	}
	return e.control.Flush()
}

// data writes an event without a name, as OpenAI's clients read them.
func (e *sender) data(data []byte) error {
	if _, err := fmt.Fprintf(e.w, "data: %s\n\n", data); err != nil {
		return err
	}
	return e.control.Flush()
}

// wait waits for more, with a sign of life now and then; false: the client is gone.
func (e *sender) wait(r *http.Request, more <-chan struct{}) bool {
	beat := time.NewTicker(e.beat)
	defer beat.Stop()
	for {
		select {
		case <-more:
			return true
		case <-r.Context().Done():
			return false
		case <-beat.C:
			if _, err := e.w.Write([]byte(": still here\n\n")); err != nil {
				return false
			}
			if err := e.control.Flush(); err != nil {
				return false
			}
		}
	}
}
