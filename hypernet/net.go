package hypernet

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"

	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
)

// Site is an edited weight: its name and the widths of its input and output.
type Site struct {
	Name    string
	In, Out int
}

// Net transforms the factors of a list of sites. Params holds every trained
// parameter in one slice, so that an optimiser sees flat memory: the
// networks in group order, then the step sizes.
type Net struct {
	Config Config
	Sites  []Site
	Groups []*Group
	Rates  []*nn.Param // α of each site, [1, 1]
	Priors []*Prior    // of each site, with update.prior: moment; else nil
	Flat   []float32   // values of all parameters, in Walk's order
	params []*nn.Param
}

// Group is one network and the sites that it serves; a site's mode is its
// index in Sites. With update.steps above 1 each step has groups of its own, in
// the order of the steps.
type Group struct {
	Name    string
	Step    int // from 0
	In, Out int
	Sites   []int // indices into Net.Sites
	Norm    *Normaliser
	sides   []side
	naive   *dense
}

// side is a stack of layers on columns [lo, hi) of the factors.
type side struct {
	lo, hi int
	layers []layer
}

// New makes the network of cfg for sites, in their order. rng draws the
// initial weights; equal generators give equal bytes. A zero cfg.Update is the
// default one.
func New(cfg Config, sites []Site, rng *rand.Rand) (*Net, error) {
	if cfg.Update == (Update{}) {
		cfg.Update = DefaultUpdate()
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if len(sites) == 0 {
		return nil, fmt.Errorf("no weight to edit; name at least one site")
	}
	n := &Net{Config: cfg, Sites: sites, Groups: groups(cfg, sites)}
	if cfg.Kind == "naive" {
		if err := refuseDense(n.Groups); err != nil {
			return nil, err
		}
	}
	n.allocate(n.describe())
	n.init(rng)
	if cfg.Update.Prior == Moment {
		for _, s := range sites {
			n.Priors = append(n.Priors, NewPrior(s.In))
		}
	}
	return n, nil
}

// Count is the number of parameters of the network that New would make,
// without making it; math.MaxInt64 stands for every larger number. cfg must be
// valid.
func Count(cfg Config, sites []Site) int64 {
	n := &Net{Config: cfg, Sites: sites, Groups: groups(cfg, sites)}
	total := uint64(0)
	for _, s := range n.describe() {
		hi, lo := bits.Mul64(uint64(s.rows), uint64(s.cols))
		sum, carry := bits.Add64(total, lo, 0)
		if hi != 0 || carry != 0 || sum > math.MaxInt64 {
			return math.MaxInt64
		}
		total = sum
	}
	return int64(total)
}

// groups sorts sites by shape, or keeps each alone, once for every step.
func groups(cfg Config, sites []Site) []*Group {
	var list []*Group
	for step := range max(cfg.Update.Steps, 1) {
		list = append(list, groupsOf(cfg, sites, step)...)
	}
	return list
}

func groupsOf(cfg Config, sites []Site, step int) []*Group {
	var list []*Group
	index := map[string]*Group{}
	for i, s := range sites {
		key := fmt.Sprintf("(%d, %d)", s.In, s.Out)
		if !cfg.Shared {
			key = s.Name
		}
		g := index[key]
		if g == nil {
			g = &Group{Name: key, Step: step, In: s.In, Out: s.Out, Norm: NewNormaliser(s.In+s.Out, s.In)}
			if step > 0 {
				g.Name = fmt.Sprintf("step%d.%s", step+1, key)
			}
			g.Norm.Off, g.Norm.Floor = !cfg.Norm || cfg.Kind != "mend", cfg.StdFloor
			index[key] = g
			list = append(list, g)
		}
		g.Sites = append(g.Sites, i)
	}
	return list
}

// spec is a parameter that is still to be made.
type spec struct {
	name       string
	rows, cols int
	into       **nn.Param
}

// describe lists the parameters in the order of Flat, and makes what will hold
// them.
func (n *Net) describe() []spec {
	var specs []spec
	for _, g := range n.Groups {
		switch n.Config.Kind {
		case "mend":
			specs = append(specs, g.layers(n.Config)...)
		case "naive":
			g.naive = &dense{in: g.In, out: g.Out}
			specs = append(specs, spec{g.Name + ".weight", g.In * g.Out, g.In * g.Out, &g.naive.w})
		}
	}
	n.Rates = make([]*nn.Param, len(n.Sites))
	for i, s := range n.Sites {
		specs = append(specs, spec{"edit_lrs." + s.Name, 1, 1, &n.Rates[i]})
	}
	return specs
}

// layers makes the group's layers and lists their parameters.
func (g *Group) layers(c Config) []spec {
	var specs []spec
	modes := 0
	if c.Shared {
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
			l.residual = c.Init == "id"
			l.linear = c.LastLin && li == c.Hidden
		}
	}
	return specs
}

// allocate makes the parameters and places them in Flat.
func (n *Net) allocate(specs []spec) {
	total := 0
	for _, s := range specs {
		total += s.rows * s.cols
	}
	n.Flat = make([]float32, total)
	at := 0
	for _, s := range specs {
		p := nn.NewParam(s.name, s.rows, s.cols, n.Flat[at:at+s.rows*s.cols:at+s.rows*s.cols])
		*s.into = p
		n.params = append(n.params, p)
		at += s.rows * s.cols
	}
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

// init draws the initial values: U = 0 and V ~ N(0, 1) for id, both uniform
// for xavier; scales 1, everything else 0, step sizes edit_lr.
func (n *Net) init(rng *rand.Rand) {
	for _, g := range n.Groups {
		for _, sd := range g.sides {
			for _, l := range sd.layers {
				u, _ := l.u.Values()
				v, _ := l.v.Values()
				if n.Config.Init == "xavier" {
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
		if g.naive != nil {
			g.naive.init(rng)
		}
	}
	for _, p := range n.Rates {
		v, _ := p.Values()
		v[0] = float32(n.Config.EditLR)
	}
}

// Walk visits every parameter in a fixed order, which is part of the
// checkpoint format. An error of fn is returned with the parameter's name.
func (n *Net) Walk(fn func(p *nn.Param) error) error {
	for _, p := range n.params {
		if err := fn(p); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return nil
}

// Params are the parameters in Walk's order.
func (n *Net) Params() []*nn.Param { return n.params }

// At are the groups of a step, counted from 0.
func (n *Net) At(step int) []*Group {
	each := len(n.Groups) / max(n.Config.Update.Steps, 1)
	return n.Groups[step*each : (step+1)*each]
}

// SetExact makes the normalisers round as the reference does.
func (n *Net) SetExact(on bool) {
	for _, g := range n.Groups {
		g.Norm.Exact = on
	}
}

// NumRates is how many of Flat's last values are step sizes.
func (n *Net) NumRates() int { return len(n.Rates) }

// Transform adds the transformation of z, the raw factors of group g
// ([rows, in+out], laid out by f), to the graph.
func (n *Net) Transform(b *graph.Builder, g *Group, z graph.Node, f *Layout, mode *Mode) graph.Node {
	switch n.Config.Kind {
	case "rates":
		return b.Detach(z)
	case "naive":
		return g.naive.build(b, z, f)
	}
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
