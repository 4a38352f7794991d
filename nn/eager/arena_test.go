package eager

import "testing"

// TestLentMemory computes in lent memory as far as it reaches, and beyond it in
// memory of the arena's own.
func TestLentMemory(t *testing.T) {
	var a arena
	a.alloc(10)
	loan := make([]float32, 100)
	in := func(x []float32, whole []float32) bool {
		for i := range whole {
			if &whole[i] == &x[0] {
				return true
			}
		}
		return false
	}
	a.lend(loan)
	if !in(a.alloc(50), loan) || !in(a.alloc(20), loan) {
		t.Error("values that fit are not in the lent memory")
	}
	if in(a.alloc(50), loan) {
		t.Error("a value lies past the end of the lent memory")
	}
	a.reset(mark{})
	if x := a.alloc(101); in(x, loan) || len(x) != 101 {
		t.Error("a value larger than the lent memory lies there")
	}
	other := make([]float32, 100)
	a.lend(other)
	if !in(a.alloc(100), other) {
		t.Error("the second loan is not used")
	}
	a.lend(nil)
	if x := a.alloc(10); in(x, loan) || in(x, other) {
		t.Error("memory that was taken back is used")
	}
	for _, c := range a.chunks {
		if &c[0] == &loan[0] || &c[0] == &other[0] {
			t.Error("memory that was taken back is kept")
		}
	}
}
