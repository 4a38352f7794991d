package serve

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// metrics are counted for Prometheus.
type metrics struct {
	mu       sync.Mutex
	requests map[requestKind]uint64
	took     histogram
	refused  map[string]uint64 // by reason
	jobs     map[string]*work  // by kind
	tokens   uint64
}

type requestKind struct {
	method, route string
	code          int
}

type work struct {
	n       uint64
	seconds float64
}

// histogram counts how long requests took; bounds are in seconds.
type histogram struct {
	counts [len(bounds) + 1]uint64
	sum    float64
}

var bounds = [...]float64{.001, .005, .02, .1, .5, 2, 10, 60}

func newMetrics() *metrics {
	return &metrics{requests: map[requestKind]uint64{}, refused: map[string]uint64{}, jobs: map[string]*work{}}
}

// count counts what a handler answers. mux knows the routes.
func (m *metrics) count(mux *http.ServeMux, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		_, route := mux.Handler(r)
		if _, p, ok := strings.Cut(route, " "); ok {
			route = p
		}
		seen := &noted{ResponseWriter: w}
		next.ServeHTTP(seen, r)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.requests[requestKind{methodOf(r), route, cmp.Or(seen.status, http.StatusOK)}]++
		seconds := time.Since(start).Seconds()
		at, _ := slices.BinarySearch(bounds[:], seconds)
		m.took.counts[at]++
		m.took.sum += seconds
	})
}

// noted remembers an answer's status.
type noted struct {
	http.ResponseWriter
	status int
}

func (n *noted) WriteHeader(status int) {
	n.status = cmp.Or(n.status, status)
	n.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (n *noted) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// methodOf is the method, or "other": clients do not choose how many there are.
func methodOf(r *http.Request) string {
	switch r.Method {
	case "GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS":
		return r.Method
	}
	return "other"
}

func (m *metrics) refuse(reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refused[reason]++
}

func (m *metrics) worked(kind string, d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.jobs[kind] == nil {
		m.jobs[kind] = &work{}
	}
	m.jobs[kind].n++
	m.jobs[kind].seconds += d.Seconds()
}

func (m *metrics) made(tokens int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tokens += uint64(tokens)
}

// prometheus writes all figures in Prometheus' text format, version 0.0.4.
func (s *Server) prometheus(w http.ResponseWriter, _ *http.Request) error {
	running, waits := s.queue.count()
	s.mu.Lock()
	all, active := len(s.list), len(on(s.list))
	s.mu.Unlock()
	var b strings.Builder
	family := func(name, kind, help string) { fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind) }
	gauge := func(name, help string, v int) {
		family(name, "gauge", help)
		fmt.Fprintf(&b, "%s %d\n", name, v)
	}
	gauge("keyhole_jobs_running", "Jobs that the model works on.", running)
	gauge("keyhole_jobs_waiting", "Jobs that wait for the model.", waits)
	gauge("keyhole_jobs_limit", "Jobs that may wait.", s.opts.Waiting)
	gauge("keyhole_edits", "Edits in the list.", all)
	gauge("keyhole_edits_on", "Edits that are on.", active)
	m := s.metrics
	m.mu.Lock()
	defer m.mu.Unlock()
	family("keyhole_requests_total", "counter", "Requests that were answered.")
	kinds := slices.SortedFunc(maps.Keys(m.requests), func(x, y requestKind) int {
		return cmp.Or(cmp.Compare(x.route, y.route), cmp.Compare(x.method, y.method), cmp.Compare(x.code, y.code))
	})
	for _, k := range kinds {
		fmt.Fprintf(&b, "keyhole_requests_total{method=%q,route=%q,code=\"%d\"} %d\n", k.method, k.route, k.code, m.requests[k])
	}
	family("keyhole_request_seconds", "histogram", "Time from a request to the end of its answer.")
	n := uint64(0)
	for i, c := range m.took.counts {
		n += c
		le := "+Inf"
		if i < len(bounds) {
			le = strconv.FormatFloat(bounds[i], 'g', -1, 64)
		}
		fmt.Fprintf(&b, "keyhole_request_seconds_bucket{le=%q} %d\n", le, n)
	}
	fmt.Fprintf(&b, "keyhole_request_seconds_sum %g\nkeyhole_request_seconds_count %d\n", m.took.sum, n)
	family("keyhole_refused_total", "counter", "Requests that the guard refused.")
	for _, reason := range slices.Sorted(maps.Keys(m.refused)) {
		fmt.Fprintf(&b, "keyhole_refused_total{reason=%q} %d\n", reason, m.refused[reason])
	}
	family("keyhole_job_seconds", "summary", "Time that the model worked on jobs.")
	for _, kind := range slices.Sorted(maps.Keys(m.jobs)) {
		fmt.Fprintf(&b, "keyhole_job_seconds_sum{kind=%q} %g\nkeyhole_job_seconds_count{kind=%q} %d\n", kind, m.jobs[kind].seconds, kind, m.jobs[kind].n)
	}
	family("keyhole_tokens_total", "counter", "Tokens that were generated.")
	fmt.Fprintf(&b, "keyhole_tokens_total %d\n", m.tokens)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write([]byte(b.String()))
	return nil
}
