package main

import (
	"strconv"
	"strings"
	"testing"

	"keyhole.example/keyhole/edit/gated"
	"keyhole.example/keyhole/workbench"
)

// TestASmallerMarginFindsMore of the built-in model's edits, own ones and others.
func TestASmallerMarginFindsMore(t *testing.T) {
	general, err := workbench.AbilityText(workbench.Embedded)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := run(&b, workbench.Embedded, workbench.Embedded, counts{edits: 12, every: 1, neighbours: 2, token: gated.Subject, documents: general.Texts}, []string{"mlp.up@2"}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")[1:]
	if len(lines) != len(margins()) {
		t.Fatalf("%d margins:\n%s", len(lines), b.String())
	}
	last := 1.1
	for _, l := range lines {
		for _, share := range strings.Fields(l)[3:] {
			if v, err := strconv.ParseFloat(share, 64); err != nil || v < 0 || v > 1 {
				t.Errorf("%q is no share (%v)", share, err)
			}
		}
		own, err := strconv.ParseFloat(strings.Fields(l)[3], 64)
		if err != nil || own > last || own <= 0 {
			t.Errorf("%v of the paraphrases find their edit, with a smaller margin %v (%v)", own, last, err)
		}
		last = own
	}
	if err := run(&b, workbench.Embedded, workbench.Embedded, counts{edits: 1 << 20, every: 1, token: gated.Subject}, []string{"mlp.up@2"}); err == nil || !strings.Contains(err.Error(), "others behind them") {
		t.Errorf("more edits than there are: %v", err)
	}
}
