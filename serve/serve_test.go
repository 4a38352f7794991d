package serve

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/workbench"
	"keyhole.example/keyhole/workbench/workbenchtest"
)

func TestMain(m *testing.M) { workbenchtest.Main(m) }

// started is a server that listens.
type started struct {
	*Server
	t    *testing.T
	base string
	doc  *openapi3.T
	stop func()
}

// begin starts a server of the embedded model. change may alter its options, and
// how long clients may take.
func begin(t *testing.T, change func(*Options), slow func(*limits)) *started {
	t.Helper()
	b, err := workbench.Open(workbench.Embedded, 1, lm.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Bench: b, Store: t.TempDir(), Version: "test", Log: log.New(io.Discard, "", 0)}
	if change != nil {
		change(&o)
	}
	s, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if slow != nil {
		slow(&s.slow)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, ln) }()
	r := &started{Server: s, t: t, base: "http://" + ln.Addr().String(), doc: description(t)}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(r.stop)
	return r
}

// call asks, demands a status, checks the answer against the description, and reads
// it into out, if that is not nil.
func (r *started) call(method, path, body string, status int, out any) []byte {
	r.t.Helper()
	resp, raw := r.ask(method, path, body, nil)
	if resp.StatusCode != status {
		r.t.Fatalf("%s %s: %s, want %d: %s", method, path, resp.Status, status, raw)
	}
	r.describe(method, path, resp, raw)
	if out != nil {
		if err := json.Unmarshal(raw, out); err != nil {
			r.t.Fatalf("%s %s: %v: %s", method, path, err, raw)
		}
	}
	return raw
}

// ask asks with headers, and reads the whole answer.
func (r *started) ask(method, path, body string, head map[string]string) (*http.Response, []byte) {
	r.t.Helper()
	q, err := http.NewRequest(method, r.base+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if body != "" {
		q.Header.Set("Content-Type", "application/json")
	}
	for k, v := range head {
		if k == "Host" {
			q.Host = v
			continue
		}
		q.Header.Set(k, v)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp, raw
}

// job begins a job, follows it to its end, and reads its result.
func (r *started) job(path, body string, out any) []seen {
	r.t.Helper()
	id := r.launch(path, body)
	events := r.events("/api/v1/jobs/" + id + "/events")
	last := events[len(events)-1]
	if last.name != "result" {
		r.t.Fatalf("POST %s %s ended with %s %s", path, body, last.name, last.data)
	}
	if err := json.Unmarshal([]byte(last.data), out); err != nil {
		r.t.Fatal(err)
	}
	var state struct{ Kind string }
	r.call("GET", "/api/v1/jobs/"+id, "", 200, &state)
	r.fits(map[string]string{"generate": "Text", "trial": "Trials", "export": "Export", "trace": "Trace", "check": "Check", "eval": "Evaluation"}[state.Kind], []byte(last.data))
	return events
}

func (r *started) launch(path, body string) string {
	r.t.Helper()
	var begun struct{ Job string }
	r.call("POST", path, body, 202, &begun)
	return begun.Job
}

// seen is a server-sent event.
type seen struct{ name, data string }

// events reads an answer of events to its end.
func (r *started) events(path string) []seen {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Minute)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, "GET", r.base+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || kind != "text/event-stream" {
		r.t.Fatalf("GET %s: %s, %s", path, resp.Status, kind)
	}
	return parse(r.t, resp.Body)
}

// parse reads events.
func parse(t *testing.T, from io.Reader) []seen {
	t.Helper()
	var out []seen
	var x seen
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		switch key, value, _ := strings.Cut(lines.Text(), ": "); key {
		case "event":
			x.name = value
		case "data":
			x.data = value
		case "":
			if x != (seen{}) {
				out = append(out, x)
			}
			x = seen{}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatal("there are no events")
	}
	return out
}

// try makes a trial of the fact of the tests.
func (r *started) try(editors ...string) []trial {
	r.t.Helper()
	list, err := json.Marshal(editors)
	if err != nil {
		r.t.Fatal(err)
	}
	var out struct{ Trials []trial }
	r.job("/api/v1/trials", `{"request": `+theFact+`, "editors": `+string(list)+`}`, &out)
	return out.Trials
}

// keep keeps a trial.
func (r *started) keep(x trial) kept {
	r.t.Helper()
	var k kept
	r.call("POST", "/api/v1/edits", `{"trial": "`+x.ID+`"}`, 201, &k)
	return k
}

// says is what the model says next behind the prompt of the tests, to the last bit
// of its probability.
func (r *started) says(edits bool) string {
	r.t.Helper()
	return string(r.call("POST", "/api/v1/next", fmt.Sprintf(`{"prompt": "Friedrich Rosen succumbed at", "top": 100, "edits": %v}`, edits), 200, nil))
}

const theFact = `{"prompt": "Friedrich Rosen succumbed at", "subject": "Friedrich Rosen", "target": "Rome",
	"paraphrases": ["Friedrich Rosen died in"], "neighbors": ["Bo Yibo lost their life at", {"prompt": "Jim Rome Is Burning debuted on", "target": "ESPN"}]}`

// description reads the OpenAPI file.
func description(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openAPI)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// operation is what the description says of a request.
func (r *started) operation(method, path string) *openapi3.Operation {
	r.t.Helper()
	path, _, _ = strings.Cut(path, "?")
	best, most := (*openapi3.PathItem)(nil), -1
	for template, item := range r.doc.Paths.Map() {
		if n, ok := matches(template, path); ok && n > most {
			best, most = item, n
		}
	}
	if best == nil {
		return nil
	}
	return best.GetOperation(method)
}

// matches reports whether a path fits a template, and how many of its parts are the
// template's own.
func matches(template, path string) (int, bool) {
	want, have := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(have) {
		return 0, false
	}
	n := 0
	for i := range want {
		switch {
		case want[i] == have[i]:
			n++
		case !strings.HasPrefix(want[i], "{") || have[i] == "":
			return 0, false
		}
	}
	return n, true
}

// describe demands that an answer is as the description has it.
func (r *started) describe(method, path string, resp *http.Response, raw []byte) {
	r.t.Helper()
	o := r.operation(method, path)
	if o == nil {
		return // of what there is not
	}
	answer := o.Responses.Status(resp.StatusCode)
	if answer == nil {
		if resp.StatusCode < 400 {
			r.t.Errorf("%s %s: the status %d is not described", method, path, resp.StatusCode)
		}
		answer = o.Responses.Default()
	}
	if len(answer.Value.Content) == 0 {
		if len(bytes.TrimSpace(raw)) > 0 {
			r.t.Errorf("%s %s: there is a body that is not described: %s", method, path, raw)
		}
		return
	}
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	media := answer.Value.Content.Get(kind)
	switch {
	case media == nil:
		r.t.Errorf("%s %s: the type %q is not described", method, path, kind)
	case kind == "application/json":
		r.valid(media.Schema.Value, raw)
	}
}

// fits demands that JSON is of a form that the description names.
func (r *started) fits(name string, raw []byte) {
	r.t.Helper()
	s := r.doc.Components.Schemas[name]
	if s == nil {
		r.t.Fatalf("there is no schema %q", name)
	}
	r.valid(s.Value, raw)
}

func (r *started) valid(s *openapi3.Schema, raw []byte) {
	r.t.Helper()
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		r.t.Fatalf("%v: %s", err, raw)
	}
	if err := s.VisitJSON(v); err != nil {
		r.t.Errorf("%v\n%s", err, raw)
	}
}
