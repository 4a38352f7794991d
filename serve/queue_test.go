package serve

import (
	"context"
	"errors"
	"slices"
	"testing"
)

func (q *queue) put(t *testing.T, client, kind string) *job {
	t.Helper()
	j := newJob(t.Context(), kind, client, nil)
	if err := q.add(j); err != nil {
		t.Fatal(err)
	}
	return j
}

func TestClientsTakeTurns(t *testing.T) {
	q := newQueue(10)
	for _, kind := range []string{"a1", "a2", "a3", "a4", "b1", "c1", "c2"} {
		q.put(t, kind[:1], kind)
	}
	var order []string
	for j := q.pop(anyJob); j != nil; j = q.pop(anyJob) {
		order = append(order, j.kind)
		q.free()
	}
	if want := []string{"a1", "b1", "c1", "a2", "c2", "a3", "a4"}; !slices.Equal(order, want) {
		t.Errorf("%v, want %v", order, want)
	}
}

func TestBriefJobsAreDoneInPauses(t *testing.T) {
	q := newQueue(10)
	for _, kind := range []string{"eval", "next", "trace", "edits"} {
		q.put(t, "a", kind)
	}
	q.put(t, "b", "next")
	var order []string
	for j := q.pop(brief); j != nil; j = q.pop(brief) {
		order = append(order, j.client+" "+j.kind)
	}
	if want := []string{"a next", "b next", "a edits"}; !slices.Equal(order, want) {
		t.Errorf("%v, want %v", order, want)
	}
	if busy, waits := q.count(); busy != 3 || waits != 2 {
		t.Errorf("%d run and %d wait", busy, waits)
	}
}

func TestAFullQueueRefuses(t *testing.T) {
	q := newQueue(2)
	q.put(t, "a", "1")
	gone := q.put(t, "a", "2")
	if err := q.add(newJob(t.Context(), "3", "b", nil)); !errors.Is(err, errFull) {
		t.Errorf("error %v", err)
	}
	gone.cancel(errCancelled) // who went away takes no place
	last := q.put(t, "b", "3")
	if gone.snapshot().State != cancelled {
		t.Errorf("state %s", gone.snapshot().State)
	}
	q.close()
	if err := q.add(newJob(t.Context(), "4", "b", nil)); !errors.Is(err, errStopping) {
		t.Errorf("error %v", err)
	}
	if last.snapshot().State != cancelled || q.pop(anyJob) != nil {
		t.Error("a closed queue goes on")
	}
}

func TestTakeWaits(t *testing.T) {
	q := newQueue(2)
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan *job)
	go func() {
		for range 3 {
			got <- q.take(ctx)
		}
	}()
	a := q.put(t, "a", "1")
	if <-got != a {
		t.Error("another job")
	}
	b := q.put(t, "a", "2")
	if <-got != b {
		t.Error("another job")
	}
	cancel()
	if <-got != nil {
		t.Error("a job of nobody")
	}
}

func TestFollowersSeeTheLastProgress(t *testing.T) {
	j := newJob(t.Context(), "k", "c", nil)
	j.report(1, 9, "one")
	early, _, _ := j.after(0)
	j.report(2, 9, "two")
	j.token("x")
	j.report(3, 9, "three")
	j.end("r", nil)
	var names []string
	late, last, _ := j.after(0)
	for _, e := range late {
		names = append(names, e.name)
	}
	if want := []string{"state", "progress", "token", "progress", "state", "result"}; !last || !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
	if string(early[1].data) != `{"done":1,"total":9,"text":"one"}` {
		t.Errorf("what was read before has become %s", early[1].data)
	}
	rest, _, _ := j.after(early[1].seq)
	if len(rest) != 5 || string(rest[0].data) != `{"done":2,"total":9,"text":"two"}` {
		t.Errorf("behind the first progress: %d events, %s", len(rest), rest[0].data)
	}
}
