package hypernet

import (
	"fmt"
	"math"
	"math/rand/v2"

	"keyhole.example/keyhole/nn/graph"
)

// layered is the kind of residual low-rank layers on normalised factors.
type layered struct{ t traits }

func (s layered) traits() traits      { return s.t }
func (layered) refuse([]*Group) error { return nil }

// side is a stack of layers on columns [lo, hi) of the factors.
type side struct {
	lo, hi int
	layers []layer
}

func (s layered) describe(_ *Net, g *Group, c Config) []spec {
	var specs []spec
	modes := 0
	if c.Shared || s.t.after {
		modes = len(g.Sites)
	}
	g.sides = g.columns(c)
	for si := range g.sides {
		sd := &g.sides[si]
		d := sd.hi - sd.lo
		r := min(c.Rank, d)
		sd.layers = make([]layer, c.Hidden+1)
		for li := range sd.layers {
			l := &sd.layers[li]
			prefix := fmt.Sprintf("%s.%s.layers.%d.", g.Name, sideName(c, sd.lo), li)
			specs = append(specs, spec{prefix + "u", d, r, &l.u}, spec{prefix + "v", r, d, &l.v}, spec{prefix + "bias", 1, d, &l.bias})
			if modes > 0 {
				specs = append(specs, spec{prefix + "mode_scale.weight", modes, d, &l.scale}, spec{prefix + "mode_shift.weight", modes, d, &l.shift})
			}
			l.residual, l.after = c.Init == "id", s.t.after
			l.linear = c.LastLin && li == c.Hidden
		}
	}
	return specs
}

// columns says which columns of (u, δ) pass through layers.
func (g *Group) columns(c Config) []side {
	u, d := side{lo: 0, hi: g.In}, side{lo: g.In, hi: g.In + g.Out}
	switch {
	case c.Combine:
		return []side{{lo: 0, hi: g.In + g.Out}}
	case c.XOnly, c.OneSided && g.In <= g.Out:
		return []side{u}
	case c.DOnly, c.OneSided:
		return []side{d}
	}
	return []side{u, d}
}

// sideName is the reference's name of the network on columns from lo.
func sideName(c Config, lo int) string {
	switch {
	case c.Combine:
		return "mlp"
	case lo == 0:
		return "mlp1"
	}
	return "mlp2"
}

// start draws U = 0 and V ~ N(0, 1) for id, both uniform for xavier; scales are 1,
// everything else 0.
func (layered) start(_ *Net, g *Group, c Config, rng *rand.Rand) {
	for _, sd := range g.sides {
		for _, l := range sd.layers {
			u, _ := l.u.Values()
			v, _ := l.v.Values()
			if c.Init == "xavier" {
				limit := math.Sqrt(6 / float64(l.u.Rows+l.u.Cols))
				for i := range u {
					u[i] = float32((2*rng.Float64() - 1) * limit * math.Sqrt2)
				}
				for i := range v {
					v[i] = float32((2*rng.Float64() - 1) * limit)
				}
			} else {
				for i := range v {
					v[i] = float32(rng.NormFloat64())
				}
			}
			if l.scale != nil {
				s, _ := l.scale.Values()
				for i := range s {
					s[i] = 1
				}
			}
		}
	}
}

func (layered) transform(n *Net, b *graph.Builder, g *Group, z graph.Node, f *Layout, mode *Mode) graph.Node {
	z = normalise(b, z, g.Norm, f, mode)
	if n.Config.Combine {
		return stack(b, g.sides[0].layers, z, f)
	}
	parts := []graph.Node{b.Columns(z, graph.Span(0, g.In)), b.Columns(z, graph.Span(g.In, g.In+g.Out))}
	for _, sd := range g.sides {
		i := 0
		if sd.lo > 0 {
			i = 1
		}
		parts[i] = stack(b, sd.layers, parts[i], f)
	}
	return b.Concat(parts[0], parts[1])
}
