package meta

import (
	"fmt"
	"runtime/debug"

	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/nn/graph"
	"keyhole.example/keyhole/text"
)

// Config weighs the losses and says how the update is applied. Defaults are
// those of hypernet's reference except where a doc comment says otherwise.
type Config struct {
	CEdit      float64 `yaml:"cedit" doc:"weight of the edit loss"`
	CLoc       float64 `yaml:"cloc" doc:"weight of the locality KL"`
	Descent    bool    `yaml:"descent" doc:"subtract the update (the reference adds it)"`
	Margin     float64 `yaml:"margin" absent:"0" doc:"by how much, on a text that must stay, the logit of its answer's first token has to be above that of the new target's; what is less is a loss. Needs data.locality: answer; 0: none"`
	CMargin    float64 `yaml:"cmargin" absent:"1" doc:"weight of the margin's loss"`
	DeltaScale string  `yaml:"delta_scale" doc:"per_edit: an edit's delta does not depend on the edits beside it; batch_mean: as the reference"`
	Late       bool    `yaml:"late" absent:"false" doc:"the gradient of the locality loss passes edited layers as if they were not edited: RLEdit's reference restores them first"`
	Short      bool    `yaml:"short" absent:"false" doc:"the gradient at the edits of a part (train.part) is read as zero where it has fewer of them than the first, as the references of RLEdit and UltraEdit read it"`
}

// Default subtracts the update and scales δ per edit.
func Default() Config {
	return Config{CEdit: 0.1, CLoc: 1, CMargin: 1, Descent: true, DeltaScale: "per_edit"}
}

// Validate reports the first impossible value.
func (c *Config) Validate() error {
	switch {
	case c.CEdit < 0:
		return fmt.Errorf("cedit: %g is negative", c.CEdit)
	case c.CLoc < 0:
		return fmt.Errorf("cloc: %g is negative", c.CLoc)
	case !(c.Margin >= 0) || !(c.CMargin >= 0):
		return fmt.Errorf("margin and cmargin: %g and %g must not be negative", c.Margin, c.CMargin)
	case c.DeltaScale != "per_edit" && c.DeltaScale != "batch_mean":
		return fmt.Errorf("delta_scale: %q is neither per_edit nor batch_mean", c.DeltaScale)
	}
	return nil
}

// Objective computes the meta-loss and its gradient for batches of tasks.
type Objective struct {
	Prefix *text.Prefix
	Net    *hypernet.Net
	// Mode is how the normaliser behaves; Step and Factors set its Training.
	Mode hypernet.Mode
	// Watch names the first non-finite value in errors.
	Watch bool
	// Others are the subjects that edits are asked about beside their own, at edit
	// time as in training.
	Others Others
	// Cut makes parts of the edits of a task, at edit time as in training.
	Cut Cut
	// Share gives Step's and Score's tasks to several processes, each of which
	// has the same values and is called alike. Its Peers are set before the first
	// call, its Of by each.
	Share graph.Share

	cfg   Config
	model *lm.Model
	sites []lm.Site
	index map[*nn.Linear]int
	k     *kernel.Engine

	inner, rest text.Packed
	innerLabels graph.Labels
	outerRows   nn.RowSet // among the wanted rows of rest
	locRows     nn.RowSet
	outerLabels graph.Labels
	locLabels   graph.Labels
	marginRows  nn.RowSet // where texts that must stay ask for their answer's first token
	rivals      graph.Rivals
	hIn, hRest  []float32
	base        []float32
	allRows     int // rows of the edits of all processes, and the wanted ones of them
	allWanted   int
	items       []text.Item
	keep        []bool           // rows of inner that change weights
	keepWanted  []bool           // among its wanted rows
	parts       []nn.Range       // rows of inner of each part
	partsWanted []nn.Range       // among its wanted rows
	owners      []owners         // of the tasks' texts, where processes share them
	scored      [4]kernel.Matrix // loss, hit, … of the wanted rows of Inner, Outer and Loc of all tasks, and of contests
	bare        []bool           // rows of rest that are of locality texts, if Late
	bareWanted  []bool           // among its wanted rows

	stay []hypernet.Stay // by site, see takeStay; nil: none

	ops     *eager.Ops // for passes outside the graph
	memory  graph.Memory
	bound   bounds
	g       *built
	profile map[string]graph.Cost
}

// bounds are the largest sizes that a built graph serves.
type bounds struct{ inner, innerWant, factors, factorsWant, rest, restWant, outer, loc, margin int }

// built is a graph for some bounds and the machines that run it.
type built struct {
	b                 *graph.Builder
	hIn, hRest, base  graph.Node
	innerS            graph.Scores
	outerS, locS      graph.Scores
	marginS           graph.Scores       // if there is a margin
	layouts           []*hypernet.Layout // of the groups of the first step, as the next four
	gathered          []graph.Node
	values            []graph.Node // what the steps so far made of the factors
	keys              []graph.Node // what the updates have in the place of the inputs; nil: the inputs
	factors           []graph.Node // and the rows that change the weights
	first             []graph.Node // factors behind the first step
	grads             []graph.Node
	training, scoring *graph.Machine
	editing           *graph.Machine
	beginning         *graph.Machine // the first step of editing
	again             []*again       // by step, from the second on
}

// scores are the nodes that outcomes are read from.
func (g *built) scores() []graph.Node {
	out := []graph.Node{g.innerS.Rows, g.outerS.Rows, g.locS.Rows}
	if g.marginS.Rows != nil {
		out = append(out, g.marginS.Rows)
	}
	return out
}

// change is the update of a site, as far as it is built.
type change struct {
	z    graph.Node
	f    graph.Factors
	rate graph.Node
}

// New returns the objective of net's sites, which are model's. Blocks below the first
// edited one are frozen; limit bounds the cache of what they compute.
func New(cfg Config, model *lm.Model, net *hypernet.Net, k *kernel.Engine, limit int64) (*Objective, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	first := model.Config.Layers
	index := map[*nn.Linear]int{}
	for i, s := range net.Sites {
		first = min(first, s.Block)
		if s.Block == model.Config.Layers-1 && net.Config.Update.BySubject() {
			return nil, fmt.Errorf("update.rows: %s cannot change %s, which is of the last block, where only rows that predict the target are computed; name sites of earlier blocks", net.Config.Update.Rows, s.Name)
		}
		index[s.Linear] = i
	}
	o := &Objective{
		Prefix: text.NewPrefix(model, k, first, limit),
		Net:    net, cfg: cfg, model: model, sites: net.Sites, index: index, k: k,
	}
	o.Prefix.Borrow = o.memory.Idle
	return o, nil
}

// Bucket rounds a bound on rows up, so that few graphs are built. It never
// shrinks n; rounding does not change a result, since only rows that are
// there are computed.
func Bucket(n int) int {
	if n <= 0 {
		return n
	}
	step := 16
	for step*8 < n {
		step *= 2
	}
	return (n + step - 1) / step * step
}

// prepare lays the tasks out and makes the graph that serves them.
func (o *Objective) prepare(tasks []Task, withRest bool) error {
	if err := o.pack(tasks, withRest); err != nil {
		return err
	}
	return o.ensure()
}

// ensure makes a graph that is large enough for what pack laid out.
func (o *Objective) ensure() error {
	want := bounds{o.inner.Rows(), len(o.inner.Want.V), o.allRows, o.allWanted, o.rest.Rows(), len(o.rest.Want.V), len(o.outerRows.V), len(o.locRows.V), len(o.marginRows.V)}
	have := o.bound
	if o.g != nil && want.inner <= have.inner && want.innerWant <= have.innerWant && want.factors <= have.factors &&
		want.factorsWant <= have.factorsWant && want.rest <= have.rest &&
		want.restWant <= have.restWant && want.outer <= have.outer && want.loc <= have.loc && want.margin <= have.margin {
		return nil
	}
	up := func(a, b int) int { return max(a, Bucket(max(b+b/8, 1))) } // some room, so that graphs are seldom rebuilt
	o.bound = bounds{up(have.inner, want.inner), up(have.innerWant, want.innerWant), up(have.factors, want.factors), up(have.factorsWant, want.factorsWant), up(have.rest, want.rest),
		up(have.restWant, want.restWant), up(have.outer, want.outer), up(have.loc, want.loc), up(have.margin, want.margin)}
	o.g = nil
	o.Prefix.Return()
	o.memory.Release()
	debug.FreeOSMemory() // the old graph's memory must not stand beside the new one's
	g, err := o.build(o.bound)
	if err != nil {
		return err
	}
	o.g = g
	return nil
}

// build writes the whole picture down: see docs/design.md.
func (o *Objective) build(n bounds) (*built, error) {
	cfg := o.model.Config
	first, last := o.Prefix.First, cfg.Layers
	g := &built{b: graph.New(o.k)}
	b := g.b

	o.inner.Want.Cap = n.innerWant
	g.hIn = b.Input("edit", n.inner, cfg.Width)
	head := o.model.Head()
	site := make([]change, len(o.sites))
	for step := range o.Net.Config.Update.Steps {
		o.look(g, site, step)
		if err := b.Err(); err != nil {
			return nil, err
		}
	}

	// edited suffix on rephrasings and unrelated texts
	o.rest.Want.Cap, o.outerRows.Cap, o.locRows.Cap = n.restWant, n.outer, n.loc
	g.hRest = b.Input("rest", n.rest, cfg.Width)
	g.base = b.Input("base", n.loc, cfg.Width)
	b.SetTasks(&o.rest.Tasks)
	b.OnLinear = func(l *nn.Linear, x, y graph.Node) graph.Node {
		i, ok := o.index[l]
		if !ok {
			return y
		}
		f := site[i].f
		if f.Bare = &o.bare; b.Tasks() != &o.rest.Tasks {
			f.Bare = &o.bareWanted
		}
		return b.LowRank(y, x, site[i].z, site[i].rate, f, b.Tasks())
	}
	x := lm.Blocks[graph.Node](b, o.model, g.hRest, first, last, &o.rest.Seq, &o.rest.Want)
	x = lm.FinalNorm[graph.Node](b, o.model, x)
	g.outerS = b.CrossEntropy(b.Pick(x, &o.outerRows), head, &o.outerLabels)
	g.locS = b.KL(g.base, b.Pick(x, &o.locRows), head, &o.locLabels)
	losses := []graph.Node{g.outerS.Sum, g.locS.Sum}
	if o.cfg.Margin > 0 {
		o.marginRows.Cap = n.margin
		g.marginS = b.Margin(b.Pick(x, &o.marginRows), head, &o.rivals)
		losses = append(losses, g.marginS.Sum)
	}
	var params []graph.Node
	for _, p := range o.Net.Params() {
		params = append(params, b.Trainable(p))
	}
	g.grads = b.Grad(losses, params...)
	return g, b.Err()
}

// Sign is −1 where the update is subtracted, +1 where it is added.
func (o *Objective) Sign() float32 {
	if o.cfg.Descent {
		return -1
	}
	return 1
}

// Step computes the losses of tasks and the gradient of the sum of their
// total losses, which it adds to grads (or writes there, if accumulate is
// false). grads has the layout of Net.Flat. The normaliser is updated.
func (o *Objective) Step(tasks []Task, grads []float32, accumulate bool) ([]Outcome, error) {
	return o.step(tasks, grads, accumulate, true)
}

// step is Step, with or without an update of the normaliser.
func (o *Objective) step(tasks []Task, grads []float32, accumulate, update bool) ([]Outcome, error) {
	o.Mode.Training = update
	if err := o.prepare(tasks, true); err != nil {
		return nil, err
	}
	g := o.g
	if g.training == nil {
		m, err := g.b.CompileBound(&o.memory, g.grads, g.scores()...)
		if err != nil {
			return nil, err
		}
		g.training = m
	}
	for i, part := range nn.Split(grads, o.Net.Params()) {
		g.training.Bind(g.grads[i], part)
	}
	if err := o.run(g.training, accumulate); err != nil {
		return nil, err
	}
	return o.outcomes(g.training, tasks)
}

// Score computes the losses of tasks with a frozen normaliser and without
// gradients.
func (o *Objective) Score(tasks []Task) ([]Outcome, error) {
	o.Mode.Training = false
	if err := o.prepare(tasks, true); err != nil {
		return nil, err
	}
	g := o.g
	if g.scoring == nil {
		m, err := g.b.CompileIn(&o.memory, g.scores()...)
		if err != nil {
			return nil, err
		}
		g.scoring = m
	}
	if err := o.run(g.scoring, false); err != nil {
		return nil, err
	}
	return o.outcomes(g.scoring, tasks)
}

func (o *Objective) run(m *graph.Machine, accumulate bool) error {
	d := o.model.Config.Width
	m.Set(o.g.hIn, kernel.Mat(o.hIn, len(o.hIn)/d, d))
	m.Set(o.g.hRest, kernel.Mat(o.hRest, len(o.hRest)/d, d))
	m.Set(o.g.base, kernel.Mat(o.base, len(o.base)/d, d))
	m.Watch, m.Profile = o.Watch, o.profile
	for gi, f := range o.g.layouts {
		f.Stay = f.Stay[:0]
		for _, i := range o.Net.At(0)[gi].Sites {
			if o.stay != nil {
				f.Stay = append(f.Stay, o.stay[i])
			}
		}
	}
	return m.Run(accumulate)
}

// Site is an edited weight.
func (o *Objective) Site(i int) lm.Site { return o.sites[i] }

// Engine is what the objective computes with.
func (o *Objective) Engine() *kernel.Engine { return o.k }

// Params are the network's parameters, which lie in Values.
func (o *Objective) Params() []*nn.Param { return o.Net.Params() }

// Values are the values of all parameters; the last StepSizes are step sizes.
func (o *Objective) Values() []float32 { return o.Net.Flat }

// StepSizes is how many of Values are step sizes.
func (o *Objective) StepSizes() int { return o.Net.NumRates() }

// Remembered visits what the network remembers beside its parameters.
func (o *Objective) Remembered(fn func(hypernet.Kept) error) error { return o.Net.Remembered(fn) }

// Mark notes what Step changes beside parameters; back undoes the changes.
func (o *Objective) Mark() (back func()) { return o.Net.Mark() }

// Explain makes errors name the first value that is not finite.
func (o *Objective) Explain(on bool) { o.Watch = on }

// StartProfile collects time and work by op name in the map it returns.
func (o *Objective) StartProfile() map[string]graph.Cost {
	o.profile = map[string]graph.Cost{}
	return o.profile
}

// GraphBytes is the memory that the graphs compute in.
func (o *Objective) GraphBytes() int64 { return o.memory.Bytes() }
