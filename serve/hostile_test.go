package serve

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestGuard(t *testing.T) {
	s := begin(t, func(o *Options) { o.Hosts = []string{"Lab.example"} }, nil)
	port := s.base[strings.LastIndex(s.base, ":")+1:]
	for _, c := range []struct {
		method, path string
		head         map[string]string
		status       int
	}{
		{"GET", "/", nil, 200},
		{"GET", "/", map[string]string{"Host": "localhost:" + port}, 200},
		{"GET", "/", map[string]string{"Host": "[::1]:" + port}, 200},
		{"GET", "/", map[string]string{"Host": "LAB.example:" + port}, 200},
		{"GET", "/", map[string]string{"Host": "evil.example:" + port}, 421},
		{"GET", "/healthz", map[string]string{"Host": "evil.example"}, 421},
		{"GET", "/", map[string]string{"Host": "127.0.0.1"}, 421},
		{"GET", "/", map[string]string{"Host": "127.0.0.1:1"}, 421},
		{"GET", "/", map[string]string{"Host": "127.0.0.1.evil.example:" + port}, 421},
		{"GET", "/", map[string]string{"Host": "10.0.0.1:" + port}, 421},
		{"GET", "/api/v1/edits", map[string]string{"Origin": s.base}, 200},
		{"GET", "/api/v1/edits", map[string]string{"Origin": "http://evil.example"}, 403},
		{"GET", "/", map[string]string{"Origin": "http://evil.example"}, 403},
		{"GET", "/", map[string]string{"Origin": "null"}, 403},
		{"GET", "/", map[string]string{"Origin": s.base + ".evil.example"}, 403},
		{"GET", "/", map[string]string{"Origin": "http://127.0.0.1:1"}, 403},
		{"GET", "/", map[string]string{"Origin": ""}, 403},
		{"OPTIONS", "/v1/completions", map[string]string{"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}, 403},
		{"GET", "/api/v1/edits", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"GET", "/api/v1/edits", map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		{"GET", "/api/v1/edits", map[string]string{"Sec-Fetch-Site": "same-origin"}, 200},
		{"GET", "/", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200},
		{"PUT", "/api/v1/edits", nil, 405},
		{"TRACE", "/", nil, 405},
		{"GET", "/api/v1/none", nil, 404},
		{"GET", "/../serve_test.go", nil, 307},
		{"GET", "/page", nil, 404},
		{"GET", "/index.html%00", nil, 404},
		{"GET", "/..%2fdoc.go", nil, 404},
		{"GET", "/api/v1/downloads/..%2f..%2fedits.json", nil, 404},
		{"GET", "/api/v1/comparisons/..%2f..%2fetc", nil, 404},
	} {
		resp, raw := s.ask(c.method, c.path, "", c.head)
		if resp.StatusCode != c.status && !(c.status == 307 && resp.StatusCode == 301) {
			t.Errorf("%s %s %v: %s, want %d: %s", c.method, c.path, c.head, resp.Status, c.status, raw)
		}
		for _, head := range [][2]string{
			{"X-Content-Type-Options", "nosniff"}, {"Referrer-Policy", "same-origin"}, {"Cross-Origin-Resource-Policy", "same-origin"}, {"Access-Control-Allow-Origin", ""},
		} {
			if got := resp.Header.Get(head[0]); got != head[1] {
				t.Errorf("%s %s: %s is %q", c.method, c.path, head[0], got)
			}
		}
		if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s %s: the policy is %q", c.method, c.path, csp)
		}
		if resp.StatusCode >= 400 && resp.Header.Get("Content-Type") == "application/json" {
			if strings.HasPrefix(c.path, "/v1/") {
				s.fits("OpenAIError", raw)
			} else {
				s.fits("Error", raw)
			}
		}
	}
}

// Names are compared letter by letter, whatever their case.
func TestNamesOfTheServer(t *testing.T) {
	g := &guard{port: "8765", loopback: true, hosts: []string{"Lab.example"}}
	for host, want := range map[string]bool{
		"localhost:8765": true, "LOCALHOST:8765": true, "lab.EXAMPLE:8765": true, "localho\u017ft:8765": false, "la\u0253.example:8765": false,
	} {
		if g.ours(host) != want {
			t.Errorf("%q is ours: %v", host, !want)
		}
	}
}

func TestToken(t *testing.T) {
	secret := NewToken()
	if len(secret) != 43 || secret == NewToken() {
		t.Fatalf("token %q", secret)
	}
	s := begin(t, func(o *Options) { o.Token = secret }, nil)
	for _, c := range []struct {
		path   string
		head   map[string]string
		status int
	}{
		{"/", nil, 401},
		{"/app.js", nil, 401},
		{"/api/v1/edits", nil, 401},
		{"/v1/models", nil, 401},
		{"/metrics", nil, 401},
		{"/healthz", nil, 200},
		{"/?token=wrong", nil, 401},
		{"/?token=", nil, 401},
		{"/api/v1/edits?token=" + secret, nil, 401}, // tokens do not belong into other addresses
		{"/api/v1/edits", map[string]string{"Authorization": "Bearer " + secret}, 200},
		{"/api/v1/edits", map[string]string{"Authorization": "Bearer " + secret[:42]}, 401},
		{"/api/v1/edits", map[string]string{"Authorization": "Bearer "}, 401},
		{"/api/v1/edits", map[string]string{"Authorization": secret}, 401},
		{"/api/v1/edits", map[string]string{"Cookie": "keyhole=" + secret}, 200},
		{"/api/v1/edits", map[string]string{"Cookie": "keyhole=" + secret + "x"}, 401},
	} {
		if resp, raw := s.ask("GET", c.path, "", c.head); resp.StatusCode != c.status || strings.Contains(string(raw), secret) {
			t.Errorf("%s %v: %s, want %d: %s", c.path, c.head, resp.Status, c.status, raw)
		}
	}
	resp, _ := s.ask("GET", "/?token="+secret, "", nil)
	list := resp.Cookies()
	if resp.StatusCode != 303 || resp.Header.Get("Location") != "/" || len(list) != 1 || list[0].Value != secret || !list[0].HttpOnly || list[0].SameSite != http.SameSiteStrictMode {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
}

func TestHostileBodies(t *testing.T) {
	s := begin(t, nil, nil)
	long := strings.Repeat("a ", 20000)
	for _, c := range []struct {
		path, body, kind string
		status           int
		want             string
	}{
		{"/api/v1/next", `{"prompt": "a"}`, "text/plain", 415, "application/json"},
		{"/api/v1/next", `{"prompt": "a"}`, "", 415, "application/json"},
		{"/api/v1/next", `prompt=a`, "application/x-www-form-urlencoded", 415, "application/json"},
		{"/api/v1/next", `{"prompt": "a"`, "application/json", 400, "JSON"},
		{"/api/v1/next", `{"prompt": "a"} {}`, "application/json", 400, "follows"},
		{"/api/v1/next", `{"prompt": "a", "extra": 1}`, "application/json", 400, "extra"},
		{"/api/v1/next", `{"prompt": 7}`, "application/json", 400, "prompt"},
		{"/api/v1/next", `{"prompt": ""}`, "application/json", 400, "empty"},
		{"/api/v1/next", `{"prompt": "a", "top": 0}`, "application/json", 400, "top"},
		{"/api/v1/next", `{"prompt": "a", "top": 1e99}`, "application/json", 400, "top"},
		{"/api/v1/next", "{\"prompt\": \"\xff\"}", "application/json", 400, "UTF-8"},
		{"/api/v1/next", `{"prompt": "\ud800"}`, "application/json", 400, "half"},
		{"/api/v1/next", `{"prompt": "` + long + `"}`, "application/json", 400, "tokens"},
		{"/api/v1/next", `{"prompt": "a", "chat": true}`, "application/json", 400, "chat template"},
		{"/api/v1/next", `{"prompt": ` + strings.Repeat("[", 100000), "application/json", 400, "deeper"},
		{"/api/v1/next", "", "application/json", 400, "JSON"},
		{"/api/v1/next", "null", "application/json", 400, "empty"},
		{"/v1/completions", `{"prompt": "` + long + `"}`, "application/json", 400, "tokens"},
		{"/v1/completions", `{"prompt": 7}`, "application/json", 400, "neither a text"},
		{"/v1/completions", `{}`, "application/json", 400, "prompt"},
		{"/v1/completions", `{"prompt": [` + strings.Repeat(`"a",`, 20) + `"a"]}`, "application/json", 400, "16"},
		{"/v1/completions", `{"prompt": "a", "stream": true, "max_tokens": 99999}`, "application/json", 400, "max_tokens"},
		{"/api/v1/edits", `{"trial": "../../x"}`, "application/json", 404, "trial"},
		{"/api/v1/edits/order", `{"ids": ["1"]}`, "application/json", 404, "edit"},
		{"/api/v1/trials", `{"request": {"prompt": "a b", "target": "c"}, "editors": ["rome"]}`, "application/json", 400, "subject"},
		{"/api/v1/trials", `{"request": {"prompt": "a b", "target": "c", "subject": "z"}, "editors": ["lora"]}`, "application/json", 400, "does not stand"},
		{"/api/v1/trials", `{"request": {"prompt": "a b", "target": ""}, "editors": ["lora"]}`, "application/json", 400, "target"},
		{"/api/v1/trials", `{"request": {"prompt": "a b", "target": "c"}, "editors": []}`, "application/json", 400, "editors"},
		{"/api/v1/trials", `{"request": {"prompt": "a b", "target": "c"}, "editors": ["none"]}`, "application/json", 400, "no editor"},
		{"/api/v1/trials", `{"request": {"prompt": "a b", "target": "c"}, "editors": ["/etc"]}`, "application/json", 400, "no editor"},
		{"/api/v1/trials", `{"request": {"prompt": "a b", "target": "c"}, "editors": ["lora"], "layer": 6}`, "application/json", 400, "layer"},
		{"/api/v1/trace", `{"prompt": "a b", "subject": "b", "samples": 1000000}`, "application/json", 400, "samples"},
		{"/api/v1/eval", `{"data": "/etc/passwd", "editor": "lora"}`, "application/json", 400, "data"},
		{"/api/v1/export", `{"format": "exe"}`, "application/json", 400, "format"},
	} {
		resp, raw := s.ask("POST", c.path, c.body, map[string]string{"Content-Type": c.kind})
		if resp.StatusCode != c.status || !strings.Contains(string(raw), c.want) {
			t.Errorf("POST %s %.60s: %s, want %d with %q: %.300s", c.path, c.body, resp.Status, c.status, c.want, raw)
			continue
		}
		s.describe("POST", c.path, resp, raw)
	}
	resp, _ := s.ask("PATCH", "/api/v1/edits/1", `{"on": null}`, nil)
	if resp.StatusCode != 400 {
		t.Errorf("PATCH without on: %s", resp.Status)
	}
}

// endless is a body of a gigabyte that was never anywhere.
type endless struct {
	left int64
	read atomic.Int64
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), e.left)
	for i := range p[:n] {
		p[i] = ' '
	}
	e.left -= n
	e.read.Add(n)
	return int(n), nil
}

func TestLargeBodyIsNotRead(t *testing.T) {
	s := begin(t, nil, nil)
	for _, known := range []bool{true, false} { // with a Content-Length, and in chunks
		body := &endless{left: 1 << 30}
		q, err := http.NewRequest("POST", s.base+"/api/v1/next", body)
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Content-Type", "application/json")
		if known {
			q.ContentLength = 1 << 30
		}
		resp, err := http.DefaultClient.Do(q)
		if err == nil { // the server may also just hang up
			resp.Body.Close()
			if resp.StatusCode != 413 {
				t.Errorf("a gigabyte: %s", resp.Status)
			}
		}
		if n := body.read.Load(); n > 16<<20 {
			t.Errorf("%d bytes were taken", n)
		}
	}
	s.call("GET", "/healthz", "", 200, nil)
}

func TestSlowClients(t *testing.T) {
	s := begin(t, func(o *Options) { o.Conns = 4 }, func(l *limits) {
		l.header, l.body, l.idle, l.beat = 200*time.Millisecond, 400*time.Millisecond, 300*time.Millisecond, 50*time.Millisecond
	})
	addr := strings.TrimPrefix(s.base, "http://")
	slow := func(text string) time.Duration {
		t.Helper()
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		start := time.Now()
		fmt.Fprint(c, text)
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, err = io.Copy(io.Discard, c)
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Errorf("%.30q: the server waits on", text)
		}
		return time.Since(start)
	}
	var all sync.WaitGroup
	for _, text := range []string{
		"", "GET / HTTP/1.1\r\nHost: ", "POST /api/v1/next HTTP/1.1\r\nHost: " + addr + "\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"pro",
		"GET /healthz HTTP/1.1\r\nHost: " + addr + "\r\n\r\n", "", "", "", "", // more than there is room for
	} {
		all.Add(1)
		go func() {
			defer all.Done()
			slow(text)
		}()
	}
	all.Wait()
	s.call("GET", "/healthz", "", 200, nil)

	// one who follows a job may take longer than a request: there are signs of life
	id := s.launch("/api/v1/eval", `{"data": "embedded", "limit": 1000, "editor": "lora"}`)
	resp, err := http.Get(s.base + "/api/v1/jobs/" + id + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	start, beats := time.Now(), 0
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() && time.Since(start) < 900*time.Millisecond {
		if strings.HasPrefix(lines.Text(), ":") {
			beats++
		}
	}
	if time.Since(start) < 900*time.Millisecond || beats == 0 {
		t.Errorf("the events ended after %v with %d signs of life: %v", time.Since(start), beats, lines.Err())
	}
	s.call("DELETE", "/api/v1/jobs/"+id, "", 204, nil)
	rest := parse(t, resp.Body)
	if last := rest[len(rest)-1]; last.name != "cancelled" {
		t.Errorf("the cancelled job ended with %v", last)
	}
	if again := s.events("/api/v1/jobs/" + id + "/events"); again[0].name != "state" || again[len(again)-1].name != "cancelled" {
		t.Errorf("who comes late sees %v", again)
	}
}

// The time to take an answer begins with the answer, not with an earlier one on the
// connection.
func TestTimeToTakeAnAnswerBeginsAnew(t *testing.T) {
	s := begin(t, nil, func(l *limits) { l.write = 300 * time.Millisecond })
	id := s.launch("/api/v1/generate", `{"prompt": "a", "tokens": 1}`)
	s.events("/api/v1/jobs/" + id + "/events")
	time.Sleep(500 * time.Millisecond)
	s.call("DELETE", "/api/v1/jobs/"+id, "", 204, nil)
	s.call("GET", "/healthz", "", 200, nil)
}

// A client that takes nothing of a large answer is hung up on.
func TestAnswersAreTaken(t *testing.T) {
	s := begin(t, nil, func(l *limits) { l.write = 300 * time.Millisecond })
	s.keep(s.try("lora")[0])
	var e exportBody
	s.job("/api/v1/export", `{"format": "hf"}`, &e)
	addr := strings.TrimPrefix(s.base, "http://")
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", e.Download, addr)
	time.Sleep(1500 * time.Millisecond)
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	n, err := io.Copy(io.Discard, c)
	if ne, ok := err.(net.Error); ok && ne.Timeout() || n >= e.Bytes {
		t.Errorf("%d of %d bytes came after the time to take them: %v", n, e.Bytes, err)
	}
	// who takes it, if slowly, gets all of it
	if raw := s.call("GET", e.Download, "", 200, nil); int64(len(raw)) != e.Bytes {
		t.Errorf("%d of %d bytes", len(raw), e.Bytes)
	}
}

// While an evaluation runs, short requests are answered, and do not disturb it.
func TestLongWorkMakesPauses(t *testing.T) {
	s := begin(t, nil, nil)
	base := s.says(true)
	id := s.launch("/api/v1/eval", `{"data": "embedded", "limit": 400, "editor": "lora"}`)
	if s.says(true) != base {
		t.Error("the model says something else while an evaluation runs")
	}
	k := s.keep(s.try("lora")[0])
	if with := s.says(true); with == base || s.says(false) != base || !k.On {
		t.Error("an edit that was made while an evaluation runs is not there")
	}
	var j jobState
	s.call("GET", "/api/v1/jobs/"+id, "", 200, &j)
	if j.State != running {
		t.Errorf("the evaluation is %s: the test is of no use", j.State)
	}
	s.call("DELETE", "/api/v1/jobs/"+id, "", 204, nil)
}

func TestManyAtOnce(t *testing.T) {
	s := begin(t, func(o *Options) { o.Waiting = 8 }, nil)
	codes := make([]int, 200)
	var all sync.WaitGroup
	for i := range codes {
		all.Add(1)
		go func() {
			defer all.Done()
			q, err := http.NewRequest("POST", s.base+"/v1/completions", strings.NewReader(`{"prompt": "Friedrich Rosen succumbed at", "max_tokens": 1}`))
			if err != nil {
				t.Error(err)
				return
			}
			q.Header.Set("Content-Type", "application/json")
			resp, err := http.DefaultClient.Do(q)
			if err != nil {
				t.Error(err)
				return
			}
			raw, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			codes[i] = resp.StatusCode
			switch {
			case resp.StatusCode == 200 && !strings.Contains(string(raw), " Beijing"):
				t.Errorf("%s", raw)
			case resp.StatusCode == 429 && resp.Header.Get("Retry-After") == "":
				t.Error("429 without Retry-After")
			}
		}()
	}
	all.Wait()
	count := map[int]int{}
	for _, c := range codes {
		count[c]++
	}
	if count[200] < 8 || count[200]+count[429] != len(codes) {
		t.Errorf("%v", count)
	}
	s.call("GET", "/healthz", "", 200, nil)
	if runs, waits := s.queue.count(); runs+waits > 0 {
		t.Errorf("%d jobs run and %d wait, for nobody", runs, waits)
	}
}
