package serve

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"testing"
)

// What the guard of a server on the loopback lets through, written another way.
var (
	local       = regexp.MustCompile(`^(?i:localhost|127\.[0-9.]+|\[::1\]|\[::ffff:[0-9a-f.:]+\]|\[[0:]+1\]):8765$`)
	localOrigin = regexp.MustCompile(`^(?i)https?://(?i:localhost|127\.[0-9.]+|\[[0-9a-f:.]+\]):8765$`)
)

// No body of a trial makes the reading of it fail otherwise than by an error, and
// what is accepted can be edited with.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(theFact))
	f.Add([]byte(`{"prompt": "{} is in", "subject": "a", "target": "b", "neighbors": [{"prompt": "c"}, "d"]}`))
	f.Add([]byte(`{"prompt": "\ud83d", "neighbors": [[[{}]]]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if deep(body) {
			return
		}
		var x fact
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields()
		if d.Decode(&x) != nil || x.check() != nil {
			return
		}
		r := x.request("1")
		if err := r.Validate(x.Subject != ""); err != nil {
			t.Errorf("%s was accepted: %v", body, err)
		}
		again, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		var y fact
		if err := json.Unmarshal(again, &y); err != nil || y.check() != nil {
			t.Errorf("%s does not come back: %v", again, err)
		}
	})
}

// No list opens unless it is one that was written.
func FuzzStore(f *testing.F) {
	m := tiny(f)
	dir := f.TempDir()
	s, _, err := openStore(dir, m)
	if err != nil {
		f.Fatal(err)
	}
	defer s.close()
	context := someEdit("1")
	context.edited = nil
	if err := s.save([]*kept{context}); err != nil {
		f.Fatal(err)
	}
	raw, err := os.ReadFile(s.path())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		list, err := s.parse(raw, m)
		if err != nil {
			return
		}
		for _, k := range list {
			if k.ID == "" && k.edited != nil {
				t.Errorf("%s: an edit without a name has a file", raw)
			}
		}
	})
}

// Whatever Host and Origin a request has, what is let through names this server.
func FuzzGuard(f *testing.F) {
	f.Add("127.0.0.1:8765", "http://127.0.0.1:8765")
	f.Add("[::1]:8765", "null")
	f.Add("localhost:8765", "http://localhost:8765@evil.example")
	f.Add("evil.example:8765", "http://evil.example:8765")
	g := &guard{port: "8765", loopback: true}
	f.Fuzz(func(t *testing.T, host, origin string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		if origin != "" {
			r.Header["Origin"] = []string{origin}
		}
		if _, p := g.judge(r); p != nil {
			return
		}
		if !local.MatchString(host) || origin != "" && !localOrigin.MatchString(origin) {
			t.Errorf("Host %q with Origin %q is let through", host, origin)
		}
	})
}
