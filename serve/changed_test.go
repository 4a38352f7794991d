package serve

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/workbench"
	"keyhole.example/keyhole/workbench/workbenchtest"
)

// The most probable tokens are those of a stable sort of them all.
func TestBest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		logits := make([]float32, 1+r.IntN(50))
		for i := range logits {
			if logits[i] = float32(r.IntN(12)); r.IntN(20) == 0 {
				logits[i] = float32(math.NaN())
			}
		}
		order := make([]int32, len(logits))
		for i := range order {
			order[i] = int32(i)
		}
		slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(logits[b], logits[a]) })
		for _, top := range []int{1, 2, 10, 100} {
			var got []int32
			for _, x := range best(logits, top) {
				got = append(got, x.ID)
			}
			if want := order[:min(top, len(order))]; !slices.Equal(got, want) {
				t.Fatalf("the %d best of %v are %v, not %v", top, logits, got, want)
			}
		}
	}
}

// A trace, an evaluation and a check see what is on; the base model is to be had.
func TestLookingAtTheEditedModel(t *testing.T) {
	s := begin(t, nil, nil)
	const traced = `{"prompt": "Friedrich Rosen succumbed at", "subject": "Friedrich Rosen", "samples": 1`
	const measured = `{"data": "embedded", "limit": 3, "editor": "lora"`
	answer := func(more string) traceBody {
		t.Helper()
		var out traceBody
		s.job("/api/v1/trace", traced+more+"}", &out)
		return out
	}
	type report struct {
		N, Reliability, Locality float64
		Notes                    []string
		Metrics                  map[string]struct{ Mean float64 }
	}
	eval := func(more string) (out report) {
		t.Helper()
		s.job("/api/v1/eval", measured+more+"}", &out)
		return out
	}
	base, alone := answer(""), eval("")
	if base.Answer != " Beijing" || base.Edits != 0 {
		t.Errorf("the base model was traced to %q, with %d edits", base.Answer, base.Edits)
	}
	fails := func(path, body, why string) {
		t.Helper()
		events := s.events("/api/v1/jobs/" + s.launch("/api/v1/"+path, body) + "/events")
		if last := events[len(events)-1]; last.name != "failed" || !strings.Contains(last.data, why) {
			t.Errorf("%s ended with %v, want %q", path, last, why)
		}
	}
	fails("check", "{}", "no edit is on")

	k := s.keep(s.try("lora")[0])
	with := answer("")
	if with.Answer != " Rome" || with.Edits != 1 {
		t.Errorf("the edited model was traced to %q, with %d edits", with.Answer, with.Edits)
	}
	if again := answer(`, "edits": false`); again.Answer != base.Answer || again.Clean != base.Clean || again.Edits != 0 {
		t.Errorf("without edits, the trace is %+v", again)
	}
	if again := eval(`, "edits": false`); again.Reliability != alone.Reliability || again.Locality != alone.Locality || len(again.Notes) != len(alone.Notes) {
		t.Errorf("without edits, the evaluation is %+v, not %+v", again, alone)
	}
	beside := eval("")
	if beside.N != 3 || len(beside.Notes) != len(alone.Notes)+1 || !strings.Contains(beside.Notes[len(alone.Notes)], "(1)") {
		t.Errorf("beside an edit: %+v", beside)
	}
	if beside.Metrics["target_nll"] == alone.Metrics["target_nll"] {
		t.Error("the edit that is on has no part in an evaluation")
	}
	var c checkBody
	s.job("/api/v1/check", "{}", &c)
	if len(c.Edits) != 1 || c.Edits[0].ID != k.ID || len(c.Edits[0].Rows) != 4 || c.Drift.Prompts == 0 || c.Drift.KL <= 0 {
		t.Fatalf("check %+v", c)
	}
	first := c.Edits[0].Rows[0]
	if !strings.Contains(first.Before.Answer, "Beijing") || !strings.Contains(first.After.Answer, "Rome") || first.Held == nil || !*first.Held {
		t.Errorf("check of the prompt: %+v", first)
	}
	if s.desk.in != s.desk.on && s.desk.in != nil {
		t.Error("a foreign edit is left in the model")
	}

	s.keep(s.try("prompt")[0])
	fails("trace", traced+"}", "by prompt stands beside the weights")
	fails("eval", measured+"}", "by prompt stands beside the weights")
	s.job("/api/v1/check", "{}", &c)
	if len(c.Edits) != 2 {
		t.Errorf("check of a context: %+v", c)
	}
}

// An edit that is made behind others is, to the bit, the base model with all of them;
// and what was switched in a pause has no part in work that goes on.
func TestBehind(t *testing.T) {
	s := begin(t, nil, nil)
	s.keep(s.try("lora")[0])
	s.keep(s.try("lora")[0]) // the same again
	d := s.desk              // the worker waits for work
	m, err := s.changed(nil)
	if err != nil || len(m.list) != 2 {
		t.Fatal(m, err)
	}
	if _, err := d.use(t.Context(), "lora", nil); err != nil {
		t.Fatal(err)
	}
	if err := d.be(m.on); err != nil {
		t.Fatal(err)
	}
	request := []edit.Request{{ID: "x", Prompt: "The capital of France is", Subject: "France", Target: "Rome"}}
	e, err := (&behind{d.bench.Editor, d, m}).Apply(t.Context(), d.bench.Model, request)
	if err != nil {
		t.Fatal(err)
	}
	if d.in != m.on {
		t.Fatal("the model is not as it was")
	}
	weights := func() map[string][]float32 {
		out := map[string][]float32{}
		for _, p := range d.bench.Model.Params() {
			v, err := p.Values()
			if err != nil {
				t.Fatal(err)
			}
			out[p.Name] = slices.Clone(v)
		}
		return out
	}
	before := weights()
	undo, err := e.Install(d.bench.Model, d.bench.Engine)
	if err != nil {
		t.Fatal(err)
	}
	got := weights()
	undo()
	d.base()
	own, err := d.bench.Editor.Apply(t.Context(), d.bench.Model, request)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := d.join(t.Context(), append(slices.Clone(m.list), &kept{ID: "x", Editor: "lora", edited: own}))
	if err == nil {
		err = d.be(whole)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range weights() {
		if !slices.Equal(got[name], want) {
			t.Errorf("%s is not the one of all three edits", name)
		}
	}
	if err := m.pause(); err != nil {
		t.Fatal(err)
	}
	for name, want := range before {
		p, _ := d.bench.Model.Param(name)
		if v, err := p.Values(); err != nil || !slices.Equal(v, want) {
			t.Errorf("behind a pause, %s is another", name)
		}
	}
}

// A model that was opened from a GGUF file is exported in all three forms, and what
// comes says what the server's model says.
func TestExportOfGGUF(t *testing.T) {
	path := workbenchtest.GGUF(t)
	s := begin(t, func(o *Options) {
		b, err := workbench.Open(path, 1, lm.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Close() })
		o.Bench = b
	}, nil)
	var status statusBody
	s.call("GET", "/api/v1/status", "", 200, &status)
	if !status.Model.GGUF {
		t.Error("the status does not say that it is a GGUF file")
	}
	if base := s.says(true); !strings.Contains(base, `" Beijing","probability":0.99`) {
		t.Fatalf("the base model says %s", base)
	}
	s.keep(s.try("lora")[0])
	files := map[string][]byte{}
	for format, name := range map[string]string{"edit": "embedded-edit.safetensors", "hf": "embedded-edited.zip", "gguf": "embedded-edited.gguf"} {
		var e exportBody
		s.job("/api/v1/export", `{"format": "`+format+`"}`, &e)
		if e.Name != name {
			t.Errorf("%s: the file is called %q", format, e.Name)
		}
		if files[format] = s.call("GET", e.Download, "", 200, nil); int64(len(files[format])) != e.Bytes {
			t.Errorf("%s: %d bytes came of %d", format, len(files[format]), e.Bytes)
		}
	}
	out := filepath.Join(t.TempDir(), "edited.gguf")
	if err := os.WriteFile(out, files["gguf"], 0o666); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for name, raw := range unzip(t, files["hf"]) {
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(name)), raw, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{out, folder} {
		b, err := workbench.Open(path, 1, lm.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		d, err := newDesk(b)
		if err != nil {
			t.Fatal(err)
		}
		ids, err := d.asked("Friedrich Rosen succumbed at", false, nil)
		if err != nil {
			t.Fatal(err)
		}
		w, err := d.write(context.Background(), ids, nil, writing{Tokens: 2})
		if err != nil || !strings.HasPrefix(w.Text, " Rome") {
			t.Errorf("%s says %v, %v", filepath.Base(path), w, err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}
