package hypernet

import (
	"math/rand/v2"
	"strings"

	"keyhole.example/keyhole/nn/graph"
)

// kind is a sort of network. A new one is a type in a file of its own and a line
// of kinds.
type kind interface {
	// traits are what the rest of a Net has to know of it.
	traits() traits
	// refuse reports why groups of such shapes cannot have it; it may be nil.
	refuse(groups []*Group) error
	// describe makes what will hold a group's parameters, and lists them.
	describe(n *Net, g *Group, c Config) []spec
	// start draws a group's initial values.
	start(n *Net, g *Group, c Config, rng *rand.Rand)
	// transform adds what becomes of z, the raw factors of a group, to the graph.
	transform(n *Net, b *graph.Builder, g *Group, z graph.Node, f *Layout, mode *Mode) graph.Node
}

// traits are what distinguishes kinds outside of their own code.
type traits struct {
	divides bool // factors are divided by their running deviations
	pooled  bool // all rows of a step are counted before the first is divided, rows of zeros too
	after   bool // scales and shifts of modes stand behind the clamp
	sums    bool // makes rows that no solve can take
	whole   bool // makes an update without a step size
	reads   bool // reads the edits' texts, and so needs Words
}

type namedKind struct {
	name string
	kind
}

// kinds are all there are.
func kinds() []namedKind {
	return []namedKind{
		{"mend", layered{traits{divides: true}}},
		{"malmen", layered{traits{divides: true, pooled: true, after: true}}},
		{"normalised", passing{traits{divides: true, pooled: true}}},
		{"rates", passing{}},
		{"naive", dense{}},
		{"efk", reading{}},
	}
}

// kindOf is the kind of a name, or nil.
func kindOf(name string) kind {
	for _, k := range kinds() {
		if k.name == name {
			return k.kind
		}
	}
	return nil
}

func kindNames() string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return strings.Join(names, ", ")
}

// passing is a kind without parameters: factors as they are, or divided by their
// deviations.
type passing struct{ t traits }

func (p passing) traits() traits                       { return p.t }
func (passing) refuse([]*Group) error                  { return nil }
func (passing) describe(*Net, *Group, Config) []spec   { return nil }
func (passing) start(*Net, *Group, Config, *rand.Rand) {}
func (p passing) transform(_ *Net, b *graph.Builder, g *Group, z graph.Node, f *Layout, mode *Mode) graph.Node {
	if p.t.divides {
		return normalise(b, z, g.Norm, f, mode)
	}
	return b.Detach(z)
}
