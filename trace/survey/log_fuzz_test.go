package survey

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"keyhole.example/keyhole/trace"
)

// FuzzTraceLog reads lines behind a good head: what is accepted is averaged or
// refused, and another line finds its place behind the whole ones.
func FuzzTraceLog(f *testing.F) {
	head := header{Version: 1, Model: "m", Facts: "f", Config: trace.Default(), Known: "answer"}
	result := trace.Result{Restore: trace.Hidden, SubjectRange: [2]int{0, 1}, Scores: [][]float64{{0.5, 0.25}, {0.75, 1}}, Clean: 1}
	for _, t := range []traced{{Result: &result}, {Fact: 1, Unknown: true}, {Fact: 2, LeftOut: "its subject is missing"}} {
		line, err := json.Marshal(t)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append(line, '\n'))
		f.Add(append(bytes.Repeat(append(line, '\n'), 2), line...))
	}
	f.Add([]byte(`{"fact":3,"result":{"subject_range":[-1,9],"scores":[[1],[]]}}` + "\n"))
	first, err := json.Marshal(head)
	if err != nil {
		f.Fatal(err)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(dir, "hidden.facts.jsonl")
		if err := os.WriteFile(path, append(append(bytes.Clone(first), '\n'), text...), 0o666); err != nil {
			t.Fatal(err)
		}
		l, err := openLog(path, head)
		if err != nil {
			return
		}
		var mean trace.Average
		for _, x := range l.done {
			if x.Result != nil && mean.Add(x.Result) == nil {
				if _, err := mean.Summary(); err != nil {
					t.Error(err)
				}
			}
		}
		const fresh = 1 << 40
		was := l.done
		delete(was, fresh)
		if err := l.put(traced{Fact: fresh, Unknown: true}); err != nil {
			t.Fatal(err)
		}
		if err := l.close(); err != nil {
			t.Fatal(err)
		}
		again, err := openLog(path, head)
		if err != nil {
			t.Fatalf("read again with another line: %v", err)
		}
		defer again.close()
		if x, ok := again.done[fresh]; !ok || !x.Unknown {
			t.Error("the new line is lost")
		}
		if delete(again.done, fresh); !reflect.DeepEqual(again.done, was) {
			t.Errorf("%d facts, then %d", len(was), len(again.done))
		}
	})
}
