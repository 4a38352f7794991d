//go:build (linux || darwin) && (amd64 || arm64) && !static

package mpi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"keyhole.example/keyhole/internal/mpi/mpitest"
)

// asRank makes the test program one process of a job.
const asRank = "KEYHOLE_TEST_RANK"

func TestMain(m *testing.M) {
	if os.Getenv(asRank) == "" {
		os.Exit(m.Run())
	}
	if err := rank(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// rank is what each process does.
func rank() error {
	l, ok, err := Launched()
	if err != nil || !ok {
		return fmt.Errorf("launched: %v %v", ok, err)
	}
	w, err := Join(l)
	if err != nil {
		return err
	}
	switch last := w.Rank() == w.Size()-1; {
	case os.Getenv(asRank) == "dies" && last:
		os.Exit(7)
	case os.Getenv(asRank) == "aborts" && last:
		fmt.Fprintln(os.Stderr, "this is why")
		w.Abort(7)
	}
	if !faults() {
		return errors.New("a fault is no panic any more")
	}
	for _, pieces := range []bool{false, true} {
		for round := range 4 {
			all, err := gather(w, given(w.Rank(), round), pieces)
			if err != nil {
				return err
			}
			for r, b := range all {
				if !bytes.Equal(b, given(r, round)) {
					return fmt.Errorf("round %d: rank %d got %q of rank %d", round, w.Rank(), b, r)
				}
			}
		}
	}
	data := []byte("0123456789")
	if w.Rank() > 0 {
		clear(data)
	}
	if err := w.Spread(data); err != nil || string(data) != "0123456789" {
		return fmt.Errorf("spread: %q %v", data, err)
	}
	fmt.Printf("rank %d of %d is well on %q with %s\n", w.Rank(), w.Size(), w.Host(), w.Library())
	return w.Leave(0)
}

// faults reports whether a fault of memory is a panic that can be recovered from.
func faults() (ok bool) {
	defer func() { ok = recover() != nil }()
	var p *int
	*p = 1
	return false
}

// given is what a process gives in a round; sometimes nothing.
func given(rank, round int) []byte {
	return bytes.Repeat([]byte{byte(rank), byte(round)}, (rank+1)*round*37%113)
}

// gather gathers at once, or piece by piece.
func gather(w *World, mine []byte, pieces bool) ([][]byte, error) {
	all, err := w.Gather(mine)
	if err != nil || !pieces {
		return all, err
	}
	var sizes []int
	for _, b := range all {
		sizes = append(sizes, len(b))
		clear(b)
	}
	return all, w.gatherPieces(mine, sizes, 10)
}

func TestWorldByLauncher(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range mpitest.Launchers(t) {
		for _, n := range []int{1, 2, 4} {
			t.Run(fmt.Sprintf("%s/%d", l.Name, n), func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				c := l.Command(ctx, n, exe)
				c.Env = append(os.Environ(), asRank+"=lives")
				out, err := c.CombinedOutput()
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				if got := strings.Count(string(out), fmt.Sprintf(" of %d is well on ", n)); got != n {
					t.Errorf("%d processes are well, not %d:\n%s", got, n, out)
				}
			})
		}
	}
}

// TestDeadRankEndsTheJob: those who wait for it do not wait for ever.
func TestDeadRankEndsTheJob(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range mpitest.Launchers(t) {
		t.Run(l.Name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c := l.Command(ctx, 2, exe)
			c.Env = append(os.Environ(), asRank+"=dies")
			out, err := c.CombinedOutput()
			if err == nil || ctx.Err() != nil {
				t.Errorf("the job ended with %v (%v):\n%s", err, ctx.Err(), out)
			}
		})
	}
}

// TestWhatWasSaidBeforeAnAbortArrives, though the launcher ends the job at once.
func TestWhatWasSaidBeforeAnAbortArrives(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range mpitest.Launchers(t) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for range 10 {
			c := l.Command(ctx, 2, exe)
			c.Env = append(os.Environ(), asRank+"=aborts")
			out, err := c.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "this is why") {
				t.Fatalf("%s: %v\n%s", l.Name, err, out)
			}
		}
	}
}
