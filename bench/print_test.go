package bench

import (
	"strings"
	"testing"
)

// TestWhatWasNotMeasuredIsADash: a row without a yardstick has dashes, no zeros.
func TestWhatWasNotMeasuredIsADash(t *testing.T) {
	c := &Comparison{Rows: []Row{
		{Name: "a", Ours: 6, Peer: 2, Ratio: 3, Target: "≥ 2", OursSpread: Spread{5, 6, 7}, PeerSpread: Spread{1.5, 2, 2.5}},
		{Name: "b", Ours: 1, Target: "–", OursSpread: Spread{1, 1, 1}},
	}}
	var out strings.Builder
	if err := c.Print(&out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "5.00…7.00") || !strings.Contains(out.String(), "1.50…2.50") || strings.Contains(out.String(), "0.00") {
		t.Errorf("printed:\n%s", out.String())
	}
}
