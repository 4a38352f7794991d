package survey

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"keyhole.example/keyhole/trace"
)

// TestEveryBitOfATraceLogCounts: a flipped bit is an error, or makes the last
// line one that is not whole.
func TestEveryBitOfATraceLogCounts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hidden.facts.jsonl")
	head := header{Version: 1, Model: "model", Facts: "facts", Config: trace.Default()}
	l, err := openLog(path, head)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		if err := l.put(traced{Fact: i, LeftOut: "too long"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(whole) {
		bad := bytes.Clone(whole)
		bad[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(path, bad, 0o666); err != nil {
			t.Fatal(err)
		}
		l, err := openLog(path, head)
		if err == nil && (bit/8 != len(whole)-1 || len(l.done) != 1) {
			t.Errorf("bit %d of byte %d flipped: %d facts", bit%8, bit/8, len(l.done))
		}
		if err == nil {
			if err := l.close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestTraceLogForgetsATornLineAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hidden.facts.jsonl")
	head := header{Version: 1, Model: "model", Facts: "facts", Config: trace.Default(), Known: "answer"}
	open := func() *factLog {
		t.Helper()
		l, err := openLog(path, head)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	want := map[int]traced{
		0: {Fact: 0, Result: &trace.Result{Prompt: "p", Scores: [][]float64{{0.1, 1e-300}}, Clean: 1. / 3}},
		1: {Fact: 1, Unknown: true},
		2: {Fact: 2, LeftOut: "too long"},
	}
	l := open()
	for i := range len(want) {
		if err := l.put(want[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(whole, `{"fact":3,"unkn`...), 0o600); err != nil {
		t.Fatal(err)
	}
	l = open()
	if !reflect.DeepEqual(l.done, want) {
		t.Errorf("read back %+v, want %+v", l.done, want)
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(path); err != nil || string(again) != string(whole) {
		t.Errorf("the torn line stayed (%v)", err)
	}

	if err := os.WriteFile(path, append(whole, "nonsense\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openLog(path, head); err == nil || !strings.Contains(err.Error(), "line 5") {
		t.Errorf("a broken line: %v", err)
	}
	head.Model = "other"
	if _, err := openLog(path, head); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("another model: %v", err)
	}
}
