package serve

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/stats"
	"keyhole.example/keyhole/internal/mmap"
	"keyhole.example/keyhole/workbench"
)

// Options say what is served, and to whom. Bench is needed; the zero value of the
// others is the default.
type Options struct {
	Bench   *workbench.Bench  // the base model; Close of the server leaves it open
	Name    string            // of the model, for people; "": that of its file or folder
	Trained map[string]string // folders of runs whose editors are offered, by name
	Editors []string          // names of the editors that are chosen at first
	Threads int               // of trained editors; 0: all cores
	Store   string            // folder that keeps the edits; "": StoreFolder
	Runs    string            // folder of runs and comparisons to look at; "": none
	Data    map[string]string // files of edits for evaluations by name; the embedded ones are there in any case
	Version string            // of the program

	Token   string   // that requests have to show; "": none
	Hosts   []string // names, beside addresses, by which the server may be asked, in any case
	Waiting int      // jobs that may wait; 0: 32
	Conns   int      // connections at once; 0: 256
	Log     *log.Logger
}

// Server answers for one model.
type Server struct {
	opts    Options
	queue   *queue
	desk    *desk  // the worker's
	store   *store // the worker's
	trials  trials // the worker's
	metrics *metrics
	slow    limits
	started time.Time

	mu    sync.Mutex
	list  []*kept // replaced, never changed
	jobs  jobs    // that clients can name
	files []*file // to be downloaded, the oldest first

	ctx     context.Context // of the jobs
	stop    context.CancelCauseFunc
	stopped chan struct{} // the worker has ended
}

// watcher reports the collection of statistics as progress of the job that needs
// them.
type watcher struct{ d *desk }

func (w watcher) Collecting(text string, done, total int) {
	if w.d.now != nil {
		w.d.now.report(done, total, "collecting statistics from "+text)
	}
}

func (watcher) Collected(string, []*stats.Moment) {}

// NewToken is 256 random bits as text.
func NewToken() string {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// secretID is a name that cannot be guessed: who has it was told of what it names.
func secretID() string {
	var raw [8]byte
	_, _ = rand.Read(raw[:]) // never fails
	return hex.EncodeToString(raw[:])
}

// New opens the store, puts the edits that are on into the model, and starts the
// worker. Close ends it.
func New(ctx context.Context, o Options) (*Server, error) {
	if o.Waiting == 0 {
		o.Waiting = 32
	}
	if o.Conns == 0 {
		o.Conns = 256
	}
	if o.Name == "" {
		o.Name = filepath.Base(o.Bench.Base)
	}
	if o.Log == nil {
		o.Log = log.Default()
	}
	d, err := newDesk(o.Bench)
	if err != nil {
		return nil, err
	}
	if d.offers, err = offers(o.Bench, o.Trained, o.Editors, o.Threads); err != nil {
		return nil, err
	}
	if o.Store == "" {
		if o.Store, err = StoreFolder(o.Bench.Model); err != nil {
			return nil, err
		}
	}
	st, list, err := openStore(o.Store, o.Bench.Model)
	if err != nil {
		return nil, err
	}
	s := &Server{
		opts: o, queue: newQueue(o.Waiting), desk: d, store: st, list: list, metrics: newMetrics(), slow: usual(), started: time.Now(),
		stopped: make(chan struct{}),
	}
	o.Bench.Watcher = watcher{d}
	whole, err := d.join(ctx, on(list))
	if err == nil {
		err = removeFiles(o.Store)
	}
	if err == nil {
		err = d.put(whole)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store %s: %w", o.Store, err), st.close())
	}
	s.ctx, s.stop = context.WithCancelCause(context.WithoutCancel(ctx))
	go s.work()
	return s, nil
}

// Close cancels what runs and waits, and leaves the model as the base model.
func (s *Server) Close() error {
	s.stop(errStopping)
	s.queue.close()
	<-s.stopped
	s.desk.base()
	return errors.Join(removeFiles(s.opts.Store), s.store.close())
}

// work does one job after the other until the server is closed.
func (s *Server) work() {
	defer close(s.stopped)
	debug.SetPanicOnFault(true) // of this goroutine: see package mmap
	for {
		j := s.queue.take(s.ctx)
		if j == nil {
			return
		}
		s.finish(j)
	}
}

// finish does a job that was taken from the queue.
func (s *Server) finish(j *job) {
	j.move(running)
	start := time.Now()
	result, err := s.guarded(j)
	s.metrics.worked(j.kind, time.Since(start))
	s.queue.free()
	j.end(result, err)
}

// pause lets brief jobs that wait be done in the midst of a long one. Behind it the
// model is the one that the long one computes with, whatever was switched meanwhile.
func (s *Server) pause(e *edit.Edited) error {
	for j := s.queue.pop(brief); j != nil; j = s.queue.pop(brief) {
		s.finish(j)
	}
	return s.desk.be(e)
}

// guarded does a job. A panic ends the job, not the server.
func (s *Server) guarded(j *job) (result any, err error) {
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		if err = mmap.Fault(r); err == nil {
			s.opts.Log.Printf("job %s %s: %v\n%s", j.kind, j.id, r, debug.Stack())
			err = errors.New("the server made a mistake; its log says more")
		}
		s.desk.base() // whatever was half done
	}()
	if err := context.Cause(j.ctx); err != nil {
		return nil, err
	}
	before := s.desk.now
	s.desk.now = j
	defer func() { s.desk.now = before }()
	return j.work(j.ctx, j)
}

// do queues a job for a request and waits for what comes of it.
func (s *Server) do(r *http.Request, kind string, work func(context.Context, *job) (any, error)) (any, error) {
	j := newJob(s.ctx, kind, clientOf(r), work)
	if err := s.queue.add(j); err != nil {
		return nil, err
	}
	return j.wait(r.Context())
}

// launch queues a job that goes on without the request, and names it.
func (s *Server) launch(w http.ResponseWriter, r *http.Request, kind string, work func(context.Context, *job) (any, error)) error {
	j := newJob(s.ctx, kind, clientOf(r), work)
	s.mu.Lock()
	s.jobs.name(j)
	s.mu.Unlock()
	if err := s.queue.add(j); err != nil {
		s.mu.Lock()
		s.jobs.forget(j)
		s.mu.Unlock()
		return err
	}
	reply(w, http.StatusAccepted, map[string]string{"job": j.id})
	return nil
}

// Serve answers on a listener until ctx ends. Then it cancels the jobs, lets
// answers be written, and returns.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	h := &http.Server{
		Handler:           s.Handler(ln.Addr()),
		ReadHeaderTimeout: s.slow.header,
		ReadTimeout:       s.slow.body,
		IdleTimeout:       s.slow.idle,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          s.opts.Log,
		BaseContext:       func(net.Listener) context.Context { return s.ctx },
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(bounded(ln, s.opts.Conns)) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	s.stop(errStopping)
	s.queue.close()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.slow.grace)
	defer cancel()
	if err := h.Shutdown(grace); err != nil {
		_ = h.Close() // those who do not read their answers lose them
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
