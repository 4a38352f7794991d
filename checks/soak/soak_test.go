package main

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"keyhole.example/keyhole/data"
)

func TestSlopeOfALine(t *testing.T) {
	for _, c := range []struct {
		x, y []float64
		want float64
	}{
		{[]float64{1, 2, 3, 7}, []float64{5, 8, 11, 23}, 3},
		{[]float64{0, 1, 2, 3}, []float64{4, 4, 4, 4}, 0},
		{[]float64{0, 1, 2}, []float64{0, 3, 0}, 0},
		{[]float64{2, 2}, []float64{1, 9}, 0},
	} {
		if got := slope(c.x, c.y); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("slope of %v over %v is %v, want %v", c.y, c.x, got, c.want)
		}
	}
}

func TestAnOpenFileIsSeen(t *testing.T) {
	before, err := look(os.Getpid())
	if err != nil {
		t.Skip("this system does not tell: " + err.Error())
	}
	f, err := os.Open("main.go")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	after, err := look(os.Getpid())
	if err != nil || after.Descriptors != before.Descriptors+1 || !(after.RSS > after.Anon) || after.Anon <= 0 {
		t.Errorf("%+v before and %+v after a file was opened (%v)", before, after, err)
	}
}

func TestACommandIsWatchedUntilItEnds(t *testing.T) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("this system has no /proc")
	}
	name := filepath.Join(t.TempDir(), "sleep")
	o := options{limit: time.Minute, every: 10 * time.Millisecond, out: name}
	var out bytes.Buffer
	if err := watch(context.Background(), o, []string{"sh", "-c", "sleep 0.3"}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"resident memory, MiB", "descriptors "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not told:\n%s", want, &out)
		}
	}
	for _, end := range []string{".jsonl", "-memory.png", "-descriptors.png"} {
		if s, err := os.Stat(name + end); err != nil || s.Size() == 0 {
			t.Errorf("%s: %v", end, err)
		}
	}
	if err := watch(context.Background(), o, []string{"sh", "-c", "sleep 0.2; exit 3"}, &out); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("a command that fails: %v", err)
	}
	o.limit = time.Second
	if err := watch(context.Background(), o, []string{"sh", "-c", "trap 'exit 130' INT; while :; do sleep 0.01; done"}, &out); err != nil {
		t.Errorf("a command that ends at the interrupt: %v", err)
	}
}

func TestEditsHaveIDsOfTheirOwn(t *testing.T) {
	list := repeated([]data.Edit{{ID: "a", Prompt: "p"}, {ID: "b", Prompt: "q"}}, 5)
	var ids, prompts []string
	for _, e := range list {
		ids, prompts = append(ids, e.ID), append(prompts, e.Prompt)
	}
	if !slices.Equal(ids, []string{"a-0", "b-0", "a-1", "b-1", "a-2"}) || !slices.Equal(prompts, []string{"p", "q", "p", "q", "p"}) {
		t.Errorf("got %v with prompts %v", ids, prompts)
	}
}
