package edit_test

import (
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/edittest"
)

func TestFirstBlockIsTheLowestChangedOne(t *testing.T) {
	m := edittest.TinyModel(t, "gpt2")
	sites, err := m.FindSites([]string{"mlp.down@2"})
	if err != nil {
		t.Fatal(err)
	}
	down := sites[0]
	change := func(weights ...string) *edit.Edited {
		e := &edit.Edited{}
		for _, w := range weights {
			e.Changes = append(e.Changes, edit.Change{Weight: w})
		}
		return e
	}
	for _, c := range []struct {
		name string
		e    *edit.Edited
		want int
	}{
		{"nothing", change(), m.Config.Layers},
		{"a weight", change(down.Name), 2},
		{"its bias", change(down.Linear.B.Name), 2},
		{"both, and one above", change("transformer.h.3.mlp.c_fc.weight", down.Name, down.Linear.B.Name), 2},
		{"an embedding", change(down.Name, "transformer.wte.weight"), 0},
	} {
		if got := c.e.FirstBlock(m); got != c.want {
			t.Errorf("%s: first block %d, want %d", c.name, got, c.want)
		}
	}
}
