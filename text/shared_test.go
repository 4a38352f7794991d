package text

import (
	"reflect"
	"slices"
	"testing"

	"keyhole.example/keyhole/nn"
)

// asking is a text that asks for its last n tokens' successors.
func asking(n int, ids ...int32) Text {
	t := Text{IDs: ids, Labels: make([]int32, len(ids))}
	for i := range t.Labels {
		if t.Labels[i] = -1; i >= len(ids)-n {
			t.Labels[i] = 9
		}
	}
	return t
}

func TestCommonBeginningsLieOnce(t *testing.T) {
	l := NewShared(2)
	for _, x := range []struct {
		text         Text
		task, shared int
	}{
		{asking(1, 1, 2, 3), 0, 0},
		{asking(1, 1, 2, 4), 0, 2},
		{asking(1, 1, 2, 3, 5), 0, 3}, // goes on behind a row that is asked
		{asking(2, 1, 2, 3), 0, 1},    // rows that are asked are its own
		{asking(1, 1, 2, 3), 1, 0},    // nothing is shared between tasks
		{asking(1, 1, 2, 3), 1, 2},
		{asking(1, 2), 1, 0},
	} {
		if got := len(l.lying(x.text, x.task)); got != x.shared {
			t.Errorf("%v of task %d: shares %d tokens, want %d", x.text.IDs, x.task, got, x.shared)
		}
		if got := l.Add(x.text, x.task); got != x.shared {
			t.Errorf("%v of task %d: %d tokens lay there, want %d", x.text.IDs, x.task, got, x.shared)
		}
		var ids []int32
		s := l.Seq.Segs[len(l.Seq.Segs)-1]
		for i, row := range l.Seq.Keys[s.K : s.K+s.KLen] {
			ids = append(ids, l.IDs.V[row])
			if l.Seq.Pos[row] != int32(i) {
				t.Errorf("%v: row %d stands at %d, want %d", x.text.IDs, row, l.Seq.Pos[row], i)
			}
		}
		if !slices.Equal(ids, x.text.IDs) {
			t.Errorf("keys of %v are of %v", x.text.IDs, ids)
		}
	}
	if want := []int32{1, 2, 3, 4, 5, 2, 3, 1, 2, 3, 3, 2}; !slices.Equal(l.IDs.V, want) {
		t.Errorf("rows %v, want %v", l.IDs.V, want)
	}
	if want := []int32{2, 3, 4, 5, 6, 9, 10, 11}; !slices.Equal(l.Want.V, want) {
		t.Errorf("asked rows %v, want %v", l.Want.V, want)
	}
	if want := []nn.Range{{Lo: 0, Hi: 7}, {Lo: 7, Hi: 12}}; !reflect.DeepEqual(l.Tasks, want) {
		t.Errorf("tasks %v, want %v", l.Tasks, want)
	}
	if want := []nn.Range{{Lo: 0, Hi: 5}, {Lo: 5, Hi: 8}}; !reflect.DeepEqual(l.Want.Tasks, want) {
		t.Errorf("asked rows of tasks %v, want %v", l.Want.Tasks, want)
	}
}
