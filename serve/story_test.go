package serve

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/saved"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/workbench"
)

// A person's whole way: look, write a fact, try editors side by side, keep, switch,
// reorder, export, undo; and what a restart finds.
func TestStory(t *testing.T) {
	store := t.TempDir()
	s := begin(t, func(o *Options) { o.Store = store }, nil)
	var status statusBody
	s.call("GET", "/api/v1/status", "", 200, &status)
	if status.Model.Blocks != 6 || status.Model.Name != "embedded" || len(status.Editors) < 10 || !slices.Contains(status.Data, "embedded") {
		t.Errorf("status %+v", status)
	}
	base := s.says(true)
	if !strings.Contains(base, `" Beijing","probability":0.99`) {
		t.Fatalf("the base model says %s", base)
	}
	var hints suggestions
	s.call("POST", "/api/v1/suggest", `{"prompt": "Friedrich Rosen succumbed at", "subject": "Friedrich Rosen"}`, 200, &hints)
	if len(hints.Paraphrases) == 0 || len(hints.Neighbors) == 0 {
		t.Errorf("suggestions %+v", hints)
	}

	trials := s.try("lora", "ft", "prompt")
	if s.says(true) != base {
		t.Error("a trial left something in the model")
	}
	for _, x := range trials[:2] {
		if !x.Held || len(x.Rows) != 4 || x.Rows[0].After.Probability < 0.5 || x.Drift.Prompts == 0 {
			t.Errorf("%s: %+v", x.Editor, x)
		}
		if word := strings.TrimSpace(x.Rows[0].After.Answer); !strings.HasPrefix(word, "Rome") {
			t.Errorf("%s: after the edit %q is said", x.Editor, word)
		}
		if n := x.Rows[3]; n.Kind != "neighbor" || n.Held == nil || !strings.Contains(n.Before.Answer, "ESPN") || n.Before.Probability < 0.5 {
			t.Errorf("%s: neighbour %+v", x.Editor, n)
		}
	}
	a := s.keep(trials[0])
	with := s.says(true)
	if !strings.Contains(with, `" Rome","probability":0.9`) {
		t.Errorf("with the edit, the model says %s", with)
	}
	b := s.keep(trials[2])
	if a.Editor != "lora" || !a.On || b.ID == a.ID {
		t.Errorf("kept %+v and %+v", a, b)
	}
	if said := s.says(true); said == with || !strings.Contains(said, "New") {
		t.Errorf("the context does not stand before the prompt: %s", said)
	}
	if s.says(false) != base {
		t.Error("without edits, the model is not the base model")
	}

	// off, on, order, undo: to the bit
	s.call("PATCH", "/api/v1/edits/"+b.ID, `{"on": false}`, 200, nil)
	alone := s.says(true)
	if alone != with {
		t.Error("with the second edit off, the model is not that of the first")
	}
	s.call("PATCH", "/api/v1/edits/"+a.ID, `{"on": false}`, 200, nil)
	if s.says(true) != base {
		t.Error("with all edits off, the model is not the base model")
	}
	s.call("PATCH", "/api/v1/edits/"+a.ID, `{"on": true}`, 200, nil)
	if s.says(true) != alone {
		t.Error("switching off and on changed the model")
	}
	c := s.keep(trials[0]) // a second time: the change is made twice
	twice := s.says(true)
	if twice == alone {
		t.Error("a second edit changed nothing")
	}
	var list editsBody
	s.call("POST", "/api/v1/edits/order", `{"ids": ["`+c.ID+`", "`+b.ID+`", "`+a.ID+`"]}`, 200, &list)
	if len(list.Edits) != 3 || list.Edits[0].ID != c.ID {
		t.Errorf("order %+v", list)
	}
	s.keep(trials[1])
	// ft gives a weight new values: beside another change of it, it cannot be
	if raw := s.call("POST", "/api/v1/edits", `{"trial": "`+trials[1].ID+`"}`, 409, nil); !bytes.Contains(raw, []byte("keep one of them")) {
		t.Errorf("two edits that do not go together: %s", raw)
	}
	s.exports()

	before := s.call("GET", "/api/v1/edits", "", 200, nil)
	says := s.says(true)
	s.stop()
	s = begin(t, func(o *Options) { o.Store = store }, nil)
	if after := s.call("GET", "/api/v1/edits", "", 200, nil); !bytes.Equal(after, before) {
		t.Errorf("after a restart the edits are %s, not %s", after, before)
	}
	if s.says(true) != says {
		t.Error("after a restart the model says something else")
	}
	s.call("GET", "/api/v1/edits", "", 200, &list)
	for _, k := range list.Edits {
		s.call("DELETE", "/api/v1/edits/"+k.ID, "", 204, nil)
	}
	if s.says(true) != base {
		t.Error("with all edits deleted, the model is not the base model")
	}
	if left, err := os.ReadDir(filepath.Join(store, filesFolder)); err != nil || len(left) > 0 {
		t.Errorf("%d files of deleted edits are left, %v", len(left), err)
	}
}

// exports demands that the exported model is, to the byte, what the exported edits
// make of the base model.
func (r *started) exports() {
	t := r.t
	t.Helper()
	var e exportBody
	r.job("/api/v1/export", `{"format": "hf"}`, &e)
	model := unzip(t, r.call("GET", e.Download, "", 200, nil))
	r.job("/api/v1/export", `{"format": "edit"}`, &e)
	dir := t.TempDir()
	for name, raw := range unzip(t, r.call("GET", e.Download, "", 200, nil)) {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), raw, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := edit.ListFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := workbench.Open(workbench.Embedded, 1, lm.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	applied := saved.Model{Dir: filepath.Join(t.TempDir(), "applied"), Base: saved.Embedded, DType: "f32"}
	if err := applied.Write(b.Model, b.Engine, kept); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(applied.Dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if got := model["embedded-edited/model.safetensors"]; !bytes.Equal(got, want) {
		t.Errorf("the exported model has %d bytes that are not those of edits apply (%d)", len(got), len(want))
	}
	// what the server computes with are the same weights
	whole, err := edit.Compose(kept...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := whole.Install(b.Model, b.Engine); err != nil {
		t.Fatal(err)
	}
	r.says(true)
	for _, p := range b.Model.Params() {
		same, _ := r.opts.Bench.Model.Param(p.Name)
		x, err := p.Values()
		if err != nil {
			t.Fatal(err)
		}
		if y, err := same.Values(); err != nil || !slices.Equal(x, y) {
			t.Errorf("%s is not what edits apply makes of it: %v", p.Name, err)
		}
	}
	r.call("POST", "/api/v1/export", `{"format": "gguf"}`, 400, nil) // no GGUF file
	r.call("GET", "/api/v1/downloads/none", "", 404, nil)
}

func unzip(t *testing.T, raw []byte) map[string][]byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if out[f.Name], err = io.ReadAll(in); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestLookingAndOpenAI(t *testing.T) {
	runs := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(runs, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("first/config.yaml", "train: {steps: 7}\n")
	write("first/log.jsonl", `{"step":1,"kind":"train","loss":2}`+"\n"+`{"step":2,"kind":"val","loss":1}`+"\n"+`{"step":3,"ki`)
	write("table/report.html", "<!doctype html><title>report</title>")
	write("notes.txt", "no run")
	s := begin(t, func(o *Options) { o.Runs = runs }, nil)

	var tr traceBody
	s.job("/api/v1/trace", `{"prompt": "Friedrich Rosen succumbed at", "subject": "Friedrich Rosen", "samples": 2}`, &tr)
	if tr.Subject != [2]int{0, 2} || tr.Blocks != 6 || len(tr.MLP) != len(tr.Tokens) || tr.Clean < tr.Corrupted {
		t.Errorf("trace %+v", tr)
	}
	var report struct{ N int }
	s.job("/api/v1/eval", `{"data": "embedded", "limit": 2, "editor": "lora"}`, &report)
	if report.N != 2 {
		t.Errorf("evaluated %d edits", report.N)
	}
	var text struct{ Text string }
	events := s.job("/api/v1/generate", `{"prompt": "Friedrich Rosen succumbed at", "tokens": 4}`, &text)
	var pieces strings.Builder
	for _, x := range events {
		if x.name == "token" {
			var p struct{ Text string }
			if err := json.Unmarshal([]byte(x.data), &p); err != nil {
				t.Fatal(err)
			}
			pieces.WriteString(p.Text)
		}
	}
	if text.Text != " Beijing." || pieces.String() != text.Text {
		t.Errorf("text %q, in pieces %q", text.Text, pieces.String())
	}

	var list struct{ Runs []runBody }
	s.call("GET", "/api/v1/runs", "", 200, &list)
	if len(list.Runs) != 1 || list.Runs[0].Step != 2 || list.Runs[0].Steps != 7 || list.Runs[0].Running {
		t.Errorf("runs %+v", list)
	}
	var log logBody
	s.call("GET", "/api/v1/runs/first/log", "", 200, &log)
	if len(log.Train) != 1 || len(log.Val) != 1 || log.Val[0].Total != 1 {
		t.Errorf("log %+v", log)
	}
	for _, name := range []string{"none", "..", "%2e%2e", "first%2f..", "table"} {
		if resp, _ := s.ask("GET", "/api/v1/runs/"+name+"/log", "", nil); resp.StatusCode != 404 && resp.StatusCode != 301 && resp.StatusCode != 307 {
			t.Errorf("run %s: %s", name, resp.Status)
		}
	}
	var names struct{ Comparisons []string }
	s.call("GET", "/api/v1/comparisons", "", 200, &names)
	if !slices.Equal(names.Comparisons, []string{"table"}) {
		t.Errorf("comparisons %v", names)
	}
	if resp, raw := s.ask("GET", "/api/v1/comparisons/table", "", nil); resp.StatusCode != 200 || !bytes.Contains(raw, []byte("report")) || !strings.HasPrefix(resp.Header.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("comparison: %s %v", resp.Status, resp.Header)
	}

	var c completion
	s.call("POST", "/v1/completions", `{"model": "embedded", "prompt": "Friedrich Rosen succumbed at"}`, 200, &c)
	if len(c.Choices) != 1 || *c.Choices[0].Text != " Beijing." || *c.Choices[0].Reason != "stop" || c.Usage.Total != c.Usage.Prompt+c.Usage.Made {
		t.Errorf("completion %+v", c)
	}
	s.call("POST", "/v1/completions", `{"prompt": ["Friedrich Rosen succumbed at", "Bo Yibo died in"], "max_tokens": 1, "stop": [" B"], "unknown": 1}`, 200, &c)
	if len(c.Choices) != 2 || *c.Choices[0].Text != "" || *c.Choices[0].Reason != "stop" || c.Choices[1].Index != 1 {
		t.Errorf("completions %+v", c)
	}
	sampled := func() string {
		s.call("POST", "/v1/completions", `{"prompt": "Friedrich", "temperature": 2, "seed": 7, "max_tokens": 8}`, 200, &c)
		return *c.Choices[0].Text
	}
	if a, b := sampled(), sampled(); a != b {
		t.Errorf("one seed gave %q and %q", a, b)
	}
	_, raw := s.ask("POST", "/v1/completions", `{"prompt": "Friedrich Rosen succumbed at", "stream": true, "stream_options": {"include_usage": true}}`, nil)
	chunks := parse(t, bytes.NewReader(raw))
	whole := ""
	for _, x := range chunks[:len(chunks)-1] {
		s.fits("Completion", []byte(x.data))
		if err := json.Unmarshal([]byte(x.data), &c); err != nil {
			t.Fatal(err)
		}
		if len(c.Choices) > 0 {
			whole += *c.Choices[0].Text
		}
	}
	if whole != " Beijing." || chunks[len(chunks)-1].data != "[DONE]" || c.Usage == nil {
		t.Errorf("stream %q: %v", whole, chunks)
	}
	s.call("POST", "/v1/chat/completions", `{"messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]}`, 400, nil)
	s.call("GET", "/v1/models", "", 200, nil)
	s.call("GET", "/v1/models/embedded", "", 200, nil)
	s.call("GET", "/v1/models/other", "", 404, nil)
	for _, bad := range []string{`"n": 2`, `"top_p": 0.5`, `"logprobs": 3`, `"temperature": -1`, `"echo": true`, `"max_tokens": 0`, `"stop": ["a","b","c","d","e"]`} {
		s.call("POST", "/v1/completions", `{"prompt": "a", `+bad+`}`, 400, nil)
	}
	raw = s.call("GET", "/metrics", "", 200, nil)
	for _, want := range []string{`keyhole_requests_total{method="POST",route="/v1/completions",code="200"} 5`, "keyhole_jobs_waiting 0", `keyhole_job_seconds_count{kind="trace"} 1`} {
		if !bytes.Contains(raw, []byte(want)) {
			t.Errorf("metrics lack %q:\n%s", want, raw)
		}
	}
	s.call("GET", "/healthz", "", 200, nil)
	s.call("GET", "/openapi.yaml", "", 200, nil)
	s.call("GET", "/", "", 200, nil)
	s.call("GET", "/app.js", "", 200, nil)
}
