package edit

import (
	"fmt"
	"math"
)

// checkNorm compares the changes with the norm that the editor reported. Edit
// files of the first version have no sum, and this finds most damage to their
// values. Changes that are not
// all of low rank, or of one weight, tell no norm.
func (e *Edited) checkNorm() error {
	const tolerance = 1e-6
	want, reported := 0.0, false
	for _, f := range e.Report {
		if v, ok := f.Value.(float64); ok && f.Name == "update_norm" {
			want, reported = v, true
		}
	}
	if !reported {
		return nil
	}
	square, seen := 0.0, map[string]bool{}
	for _, c := range e.Changes {
		if c.Delta == nil || seen[c.Weight] {
			return nil
		}
		seen[c.Weight] = true
		square += c.Delta.SquaredNorm()
	}
	if got := math.Sqrt(square); math.Abs(got-want) > tolerance*want {
		return fmt.Errorf("the changes have the norm %v, its report says %v: it is damaged", got, want)
	}
	return nil
}
