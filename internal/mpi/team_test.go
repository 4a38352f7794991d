package mpi

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"keyhole.example/keyhole/internal/mpi/mpitest"
)

func TestAgree(t *testing.T) {
	odd := errors.New("odd")
	for _, c := range []struct {
		fails func(rank int) error
		want  string
	}{
		{func(int) error { return nil }, ""},
		{func(r int) error { return map[int]error{1: odd, 2: errors.New("late")}[r] }, "process 1 of 3 on node1: odd"},
		{func(int) error { return odd }, "odd"},
	} {
		for r, err := range mpitest.Together(3, func(m *mpitest.Member) error {
			got := Agree(m, c.fails(m.Rank()))
			if own := c.fails(m.Rank()); m.Rank() == 1 && own != nil && !errors.Is(got, odd) {
				return fmt.Errorf("%v is not its own error any more", got)
			}
			if text := fmt.Sprint(got); text != c.want && (c.want != "" || got != nil) {
				return fmt.Errorf("%q, want %q", text, c.want)
			}
			return nil
		}) {
			if err != nil {
				t.Errorf("process %d: %v", r, err)
			}
		}
	}
	if err := Agree(nil, odd); err != odd {
		t.Errorf("alone: %v", err)
	}
}

func TestAnyAndSame(t *testing.T) {
	for r, err := range mpitest.Together(3, func(m *mpitest.Member) error {
		if yes, err := Any(m, m.Rank() == 2); !yes || err != nil {
			return fmt.Errorf("any: %v %v", yes, err)
		}
		if yes, err := Any(m, false); yes || err != nil {
			return fmt.Errorf("none: %v %v", yes, err)
		}
		if err := Same(m, [][2]string{{"model", "a"}, {"data", "b"}}); err != nil {
			return err
		}
		data := "b"
		if m.Rank() == 2 {
			data = "c"
		}
		err := Same(m, [][2]string{{"model", "a"}, {"data", data}})
		if want := "process 2 of 3 on node2 has another data than process 0 of 3 on node0: c, not b"; err == nil || !strings.HasPrefix(err.Error(), want) {
			return fmt.Errorf("same: %v", err)
		}
		return nil
	}) {
		if err != nil {
			t.Errorf("process %d: %v", r, err)
		}
	}
}

func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"\x03", "\x01", true}, {"\x01", "\x02", false}, {"\x00\x01", "\x01\x01", true}, {"", "\x02", true}} {
		if got := overlap(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %v", c.a, c.b, got)
		}
	}
}
