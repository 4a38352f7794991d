package hypernet

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"

	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
)

// Net transforms the factors of a list of sites. Params holds every trained
// parameter in one slice, so that an optimiser sees flat memory: the
// networks in group order, then the step sizes.
type Net struct {
	Config Config
	Sites  []lm.Site
	Groups []*Group
	Rates  []*nn.Param // α of each site, [1, 1]
	Ridges []*nn.Param // log λ of each site, [1, 1], with update.learn_ridge; else nil
	Priors []*Prior    // of each site, with update.prior: moment; else nil
	Flat   []float32   // values of all parameters, in Walk's order
	params []*nn.Param
	kind   kind
	words  *Words
	reader *encoder // of kinds that read texts
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
	pooled  bool          // rows of zeros count, and parts are counted together
	sides   []side        // of kinds with layers
	masks   []conditioner // of kind efk, for each site
	whole   *nn.Param     // of kind naive: [in·out, in·out]
}

// New makes the network of cfg for sites, in their order. rng draws the
// initial weights; equal generators give equal bytes. A zero cfg.Update is the
// default one.
func New(cfg Config, sites []lm.Site, rng *rand.Rand) (*Net, error) {
	return NewReading(cfg, sites, nil, rng)
}

// NewReading is New of any kind, those included that read texts: words says with
// what embedding.
func NewReading(cfg Config, sites []lm.Site, words *Words, rng *rand.Rand) (*Net, error) {
	if cfg.Update == (Update{}) {
		cfg.Update = DefaultUpdate()
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if len(sites) == 0 {
		return nil, fmt.Errorf("no weight to edit; name at least one site")
	}
	n := &Net{Config: cfg, Sites: sites, Groups: groups(cfg, sites), kind: kindOf(cfg.Kind), words: words}
	if n.kind.traits().reads && words == nil {
		return nil, fmt.Errorf("kind: %s reads texts, and there are no words to begin with", cfg.Kind)
	}
	if err := n.kind.refuse(n.Groups); err != nil {
		return nil, err
	}
	n.allocate(n.describe())
	n.init(rng)
	if cfg.Update.Prior == Moment {
		for _, s := range sites {
			n.Priors = append(n.Priors, NewPrior(s.Linear.In))
		}
	}
	return n, nil
}

// Count is the number of parameters of the network that New would make,
// without making it; math.MaxInt64 stands for every larger number. cfg must be
// valid. Only kinds that read texts need words, of which Table may be nil.
func Count(cfg Config, sites []lm.Site, words *Words) int64 {
	n := &Net{Config: cfg, Sites: sites, Groups: groups(cfg, sites), kind: kindOf(cfg.Kind), words: words}
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
func groups(cfg Config, sites []lm.Site) []*Group {
	var list []*Group
	for step := range max(cfg.Update.Steps, 1) {
		list = append(list, groupsOf(cfg, sites, step)...)
	}
	return list
}

func groupsOf(cfg Config, sites []lm.Site, step int) []*Group {
	var list []*Group
	index := map[string]*Group{}
	for i, s := range sites {
		in, out := s.Linear.In, s.Linear.Out
		key := fmt.Sprintf("(%d, %d)", in, out)
		if !cfg.Shared {
			key = s.Name
		}
		g := index[key]
		if g == nil {
			g = &Group{Name: key, Step: step, In: in, Out: out, Norm: NewNormaliser(in+out, in)}
			if step > 0 {
				g.Name = fmt.Sprintf("step%d.%s", step+1, key)
			}
			t := kindOf(cfg.Kind).traits()
			g.pooled = t.pooled
			g.Norm.Off, g.Norm.Floor, g.Norm.Pooled = !cfg.Norm || !t.divides, cfg.StdFloor, t.pooled
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
		specs = append(specs, n.kind.describe(n, g, n.Config)...)
	}
	if n.Config.Update.LearnRidge {
		n.Ridges = make([]*nn.Param, len(n.Sites))
		for i, s := range n.Sites {
			specs = append(specs, spec{"log_ridge." + s.Name, 1, 1, &n.Ridges[i]})
		}
	}
	n.Rates = make([]*nn.Param, len(n.Sites))
	for i, s := range n.Sites {
		if n.kind.traits().whole {
			n.Rates[i] = nn.NewParam("edit_lrs."+s.Name, 1, 1, make([]float32, 1))
			continue
		}
		specs = append(specs, spec{"edit_lrs." + s.Name, 1, 1, &n.Rates[i]})
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

// init draws the initial values, group by group; step sizes begin at edit_lr.
func (n *Net) init(rng *rand.Rand) {
	for _, g := range n.Groups {
		n.kind.start(n, g, n.Config, rng)
	}
	for _, p := range n.Rates {
		v, _ := p.Values()
		v[0] = float32(n.Config.EditLR)
		if n.kind.traits().whole {
			v[0] = 1
		}
	}
	for _, p := range n.Ridges {
		v, _ := p.Values()
		v[0] = float32(math.Log(n.Config.Update.Ridge))
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

// Exact tells whether the normalisers round as the reference does, and count parts of
// tasks as it does.
func (n *Net) Exact() bool { return n.Groups[0].Norm.Exact }

// NumRates is how many of Flat's last values are step sizes.
func (n *Net) NumRates() int {
	if n.kind.traits().whole {
		return 0
	}
	return len(n.Rates)
}

// Transform adds the transformation of z, the raw factors of group g
// ([rows, in+out], laid out by f), to the graph.
func (n *Net) Transform(b *graph.Builder, g *Group, z graph.Node, f *Layout, mode *Mode) graph.Node {
	return n.kind.transform(n, b, g, z, f, mode)
}
