package wise

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/internal/golden"
	"keyhole.example/keyhole/lm/lmtest"
)

// TestGoldenMerges compares every algorithm with algorithms.NAME of every case.
func TestGoldenMerges(t *testing.T) {
	found, err := filepath.Glob(filepath.Join(golden.Path(t, "golden", "wise"), "*", "golden.safetensors"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no cases (%v)", err)
	}
	seen := map[string]int{}
	for _, path := range found {
		g := lmtest.Open(t, path, "algorithms.")
		if !g.Has("base") {
			continue
		}
		base, sides := g.Floats("base"), g.Floats("sides")
		change := func(i int) []float32 { return minus(sides[i*len(base):(i+1)*len(base)], base) }
		for _, name := range g.File().Names() {
			name, ok := strings.CutPrefix(name, "algorithms.")
			if !ok || name == "base" || name == "sides" {
				continue
			}
			var merged []float32
			switch name {
			case slerpName:
				merged = slerp(base, change(0), 0.4)
			case "linear":
				a, _ := find(name)
				merged = a.merge([][]float32{change(0)}, []float64{0.4}, 1, nil)
			default: // ties.3_0.53: three sides, density 0.53
				kind, rest, _ := strings.Cut(name, ".")
				a, ok := find(kind)
				var n int
				var density float64
				if _, err := fmt.Sscanf(rest, "%d_%g", &n, &density); !ok || err != nil {
					t.Fatalf("%s: an algorithm that nobody knows (%v)", name, err)
				}
				weights := slices.Repeat([]float64{1 / float64(n)}, n)
				if density == 1 {
					weights = []float64{0.7, 0.3}
				}
				var changes [][]float32
				for i := range n {
					changes = append(changes, change(i))
				}
				merged, name = a.merge(changes, weights, density, nil), kind+"."+rest
				seen[kind]++
			}
			seen[name]++
			lmtest.Near(t, name, plus(base, merged), g.Floats(name), 1e-6, 0)
		}
	}
	for _, want := range []string{"ties", "magnitude", "magnitude_norm", "sign", "linear", slerpName} {
		if seen[want] == 0 {
			t.Errorf("no merge by %s was compared", want)
		}
	}
}

// agree compares a merge of trained shards. Entries outside the masks drift alike, so
// that many have exactly the magnitude of the last one that a shard keeps; which of
// those are kept is the choice of a library's sort, and everything else is equal.
func agree(t *testing.T, what string, got, want []float32, shards [][]float32, density float64) {
	t.Helper()
	tied := make([]bool, len(want))
	for _, c := range shards {
		order := make([]float64, len(c))
		for j, v := range c {
			order[j] = math.Abs(float64(v))
		}
		slices.Sort(order)
		cut := order[len(c)-int(density*float64(len(c)))]
		for j, v := range c {
			tied[j] = tied[j] || math.Abs(float64(v)) == cut
		}
	}
	for j := range want {
		if d := math.Abs(float64(got[j] - want[j])); d > 1e-4 && !tied[j] {
			t.Errorf("%s: entry %d is %v, want %v", what, j, got[j], want[j])
		}
	}
}

// holding is the memory with another merged change.
func (m *Memory) holding(change []float32) *Memory {
	out := *m
	if n := len(m.saved); m.Rules.Retrieve {
		out.saved = append(slices.Clone(m.saved[:n-1]), side{change, m.saved[n-1].threshold})
	} else {
		out.main = change
	}
	return &out
}
