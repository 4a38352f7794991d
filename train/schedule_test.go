package train

import (
	"math"
	"testing"
)

// TestScheduleAtKnownPoints: the factor on the rates, counted from step 1.
func TestScheduleAtKnownPoints(t *testing.T) {
	for _, c := range []struct {
		name     string
		schedule string
		warmup   int
		step     int
		want     float64
	}{
		{"constant, first", "constant", 0, 1, 1},
		{"constant, last", "constant", 0, 100, 1},
		{"warmup, first", "constant", 10, 1, 0.1},
		{"warmup, middle", "constant", 10, 5, 0.5},
		{"warmup, end", "constant", 10, 10, 1},
		{"warmup, behind it", "constant", 10, 11, 1},
		{"cosine, a quarter", "cosine", 0, 25, 0.1 + 0.45*(1+math.Sqrt2/2)},
		{"cosine, half", "cosine", 0, 50, 0.55},
		{"cosine, last", "cosine", 0, 100, 0.1},
		{"cosine, beyond the end", "cosine", 0, 150, 0.1},
		{"both, in the warmup", "cosine", 50, 25, 0.5 * (0.1 + 0.45*(1+math.Sqrt2/2))},
		{"both, its end", "cosine", 50, 50, 0.55},
	} {
		l := &Loop{Editor: &Editor{}}
		l.Config.Train = LoopConfig{Steps: 100, Schedule: c.schedule, Warmup: c.warmup}
		l.state.Step = c.step
		if got := l.schedule(); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
