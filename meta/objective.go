package meta

import (
	"fmt"
	"math"
	"runtime/debug"
	"slices"

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
	DeltaScale string  `yaml:"delta_scale" doc:"per_edit: an edit's delta does not depend on the edits beside it; batch_mean: as the reference"`
}

// Default subtracts the update and scales δ per edit.
func Default() Config {
	return Config{CEdit: 0.1, CLoc: 1, Descent: true, DeltaScale: "per_edit"}
}

// Validate reports the first impossible value.
func (c *Config) Validate() error {
	switch {
	case c.CEdit < 0:
		return fmt.Errorf("cedit: %g is negative", c.CEdit)
	case c.CLoc < 0:
		return fmt.Errorf("cloc: %g is negative", c.CLoc)
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
	// Late makes the gradient of the locality loss pass edited layers as if they
	// were not edited: RLEdit's reference restores them first.
	Late bool
	// Share gives Step's and Score's tasks to several processes, each of which
	// has the same values and is called alike. Its Peers are set before the first
	// call, its Owner by each.
	Share graph.Share

	cfg   Config
	model *lm.Model
	sites []lm.Site
	index map[*nn.Linear]int
	e     *kernel.Engine

	inner, rest text.Packed
	innerLabels graph.Labels
	outerRows   nn.RowSet // among the wanted rows of rest
	locRows     nn.RowSet
	outerLabels graph.Labels
	locLabels   graph.Labels
	hIn, hRest  []float32
	base        []float32
	allRows     int // rows of the edits of all processes, and the wanted ones of them
	allWanted   int
	items       []text.Item
	keep        []bool     // rows of inner that change weights
	keepWanted  []bool     // among its wanted rows
	parts       []nn.Range // rows of inner of each part
	partsWanted []nn.Range // among its wanted rows
	bare        []bool     // rows of rest that are of locality texts, if Late
	bareWanted  []bool     // among its wanted rows

	stay []hypernet.Stay // by site, see takeStay; nil: none

	ops     *eager.Ops // for passes outside the graph
	memory  graph.Memory
	bound   bounds
	g       *built
	profile map[string]graph.Cost
}

// bounds are the largest sizes that a built graph serves.
type bounds struct{ inner, innerWant, factors, factorsWant, rest, restWant, outer, loc int }

// built is a graph for some bounds and the machines that run it.
type built struct {
	b                 *graph.Builder
	hIn, hRest, base  graph.Node
	innerS            graph.Scores
	outerS, locS      graph.Scores
	layouts           []*hypernet.Layout // of the groups of the first step, as the next three
	gathered          []graph.Node
	values            []graph.Node // what the steps so far made of the factors
	factors           []graph.Node // and the rows that change the weights
	first             []graph.Node // factors behind the first step
	grads             []graph.Node
	training, scoring *graph.Machine
	editing           *graph.Machine
	beginning         *graph.Machine // the first step of editing
	again             []*again       // by step, from the second on
}

// change is the update of a site, as far as it is built.
type change struct {
	z    graph.Node
	f    graph.Factors
	rate graph.Node
}

// New returns the objective of net's sites in model. Blocks below the first
// edited one are frozen; limit bounds the cache of what they compute.
func New(cfg Config, model *lm.Model, sites []lm.Site, net *hypernet.Net, e *kernel.Engine, limit int64) (*Objective, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if len(sites) != len(net.Sites) {
		return nil, fmt.Errorf("the network was made for %d weights, not %d", len(net.Sites), len(sites))
	}
	first := model.Config.Layers
	index := map[*nn.Linear]int{}
	for i, s := range sites {
		if n := net.Sites[i]; n.Name != s.Name || n.In != s.Linear.In || n.Out != s.Linear.Out {
			return nil, fmt.Errorf("weight %d is %s [%d → %d], but the network was made for %s [%d → %d]; keep inner_params in the order of training",
				i, s.Name, s.Linear.In, s.Linear.Out, n.Name, n.In, n.Out)
		}
		first = min(first, s.Block)
		if s.Block == model.Config.Layers-1 && net.Config.Update.BySubject() {
			return nil, fmt.Errorf("update.rows: %s cannot change %s, which is of the last block, where only rows that predict the target are computed; name sites of earlier blocks", net.Config.Update.Rows, s.Name)
		}
		index[s.Linear] = i
	}
	o := &Objective{
		Prefix: text.NewPrefix(model, e, first, limit),
		Net:    net, cfg: cfg, model: model, sites: sites, index: index, e: e,
	}
	o.Prefix.Borrow = o.memory.Idle
	return o, nil
}

// pack lays the tasks out and computes their prefix.
func (o *Objective) pack(tasks []Task, withRest bool) error {
	d := o.model.Config.Width
	o.inner.Reset()
	o.rest.Reset()
	o.innerLabels = graph.Labels{IDs: o.innerLabels.IDs[:0], Weight: o.innerLabels.Weight[:0]}
	o.outerLabels = graph.Labels{IDs: o.outerLabels.IDs[:0], Weight: o.outerLabels.Weight[:0]}
	o.locLabels = graph.Labels{IDs: o.locLabels.IDs[:0], Weight: o.locLabels.Weight[:0]}
	o.outerRows.V, o.locRows.V = o.outerRows.V[:0], o.locRows.V[:0]
	o.keep, o.keepWanted = o.keep[:0], o.keepWanted[:0]
	o.parts, o.partsWanted = o.parts[:0], o.partsWanted[:0]
	o.bare, o.bareWanted = o.bare[:0], o.bareWanted[:0]
	var innerTasks, restTasks []nn.Range
	innerAt, restAt := 0, 0
	o.allRows, o.allWanted = 0, 0
	o.Mode.Texts = o.Mode.Texts[:0]
	o.divide(tasks, withRest)
	for i, t := range tasks {
		if err := t.check(o.model); err != nil {
			return err
		}
		o.Mode.Texts = append(o.Mode.Texts, t.condition())
		for _, x := range t.Inner {
			o.allRows += len(x.IDs)
			o.allWanted += x.Wanted()
		}
		if !o.Share.Mine(i) {
			t = Task{ID: t.ID} // another process has its texts
		}
		r := nn.Range{Lo: innerAt}
		o.inner.Want.Tasks = append(o.inner.Want.Tasks, o.inner.Add(t.Inner, &innerAt))
		r.Hi = innerAt
		innerTasks = append(innerTasks, r)
		o.keep, o.keepWanted = keep(o.keep, o.keepWanted, t.Inner)
		o.innerLabels.IDs = text.AppendLabels(o.innerLabels.IDs, t.Inner)
		o.weighInner(&t, r.Lo)
		if !withRest {
			continue
		}
		r = nn.Range{Lo: restAt}
		outer := o.rest.Add(t.Outer, &restAt)
		loc := o.rest.Add(t.Loc, &restAt)
		r.Hi = restAt
		restTasks = append(restTasks, r)
		o.rest.Want.Tasks = append(o.rest.Want.Tasks, nn.Range{Lo: outer.Lo, Hi: loc.Hi})
		o.outerRows.V = appendRange(o.outerRows.V, outer)
		o.locRows.V = appendRange(o.locRows.V, loc)
		o.outerLabels.IDs = text.AppendLabels(o.outerLabels.IDs, t.Outer)
		o.locLabels.IDs = text.AppendLabels(o.locLabels.IDs, t.Loc)
		o.weighRest(&t)
		if o.Late {
			o.bare, o.bareWanted = o.spare(&t, outer, loc)
		}
	}
	o.inner.Seq.Set(o.inner.Lengths)
	o.rest.Seq.Set(o.rest.Lengths)
	o.inner.Seq.Tasks, o.rest.Seq.Tasks = innerTasks, restTasks
	o.hIn, o.hRest = grow(o.hIn, innerAt*d), grow(o.hRest, restAt*d)
	o.base = grow(o.base, len(o.locRows.V)*d)
	if err := o.runPrefix(tasks, withRest); err != nil {
		return err
	}
	return o.takeStay(o.mine(tasks))
}

// weighInner appends the weights of a task's labelled inner rows, and where its
// parts lie; row is its first.
func (o *Objective) weighInner(t *Task, row int) {
	o.Mode.Unread = 0
	if parts := t.parts(); o.Mode.Short {
		for _, p := range parts {
			if p.Inner > 0 && p.Inner < parts[0].Inner {
				o.Mode.Unread++
			}
		}
	}
	texts, wanted := t.Inner, len(o.innerLabels.Weight)
	for _, p := range t.parts() {
		r, w := nn.Range{Lo: row}, nn.Range{Lo: wanted}
		total := text.Wanted(texts[:p.Inner])
		for i := range texts[:p.Inner] {
			n := texts[i].Wanted()
			weight := 1 / float32(total)
			if o.cfg.DeltaScale == "per_edit" {
				weight = 1 / float32(n)
			}
			o.innerLabels.Weight = appendWeight(o.innerLabels.Weight, n, weight)
			row += len(texts[i].IDs)
		}
		wanted = len(o.innerLabels.Weight)
		r.Hi, w.Hi = row, wanted
		if p.Inner > 0 {
			o.parts, o.partsWanted = append(o.parts, r), append(o.partsWanted, w)
		}
		texts = texts[p.Inner:]
	}
}

// spare is bare and bareWanted with those of a task's rows, whose wanted ones are
// given.
func (o *Objective) spare(t *Task, outer, loc nn.Range) (all, wanted []bool) {
	all, wanted = o.bare, o.bareWanted
	for _, x := range t.Outer {
		all = append(all, make([]bool, len(x.IDs))...)
	}
	for _, x := range t.Loc {
		all = append(all, slices.Repeat([]bool{true}, len(x.IDs))...)
	}
	wanted = append(wanted, make([]bool, outer.Hi-outer.Lo)...)
	return all, append(wanted, slices.Repeat([]bool{true}, loc.Hi-loc.Lo)...)
}

// weighRest appends the weights of a task's labelled rows of rephrasings and
// locality texts.
func (o *Objective) weighRest(t *Task) {
	outer, loc := t.Outer, t.Loc
	for _, p := range t.parts() {
		n := text.Wanted(outer[:p.Outer])
		o.outerLabels.Weight = appendWeight(o.outerLabels.Weight, n, p.Weight*float32(o.cfg.CEdit)/float32(n))
		n = text.Wanted(loc[:p.Loc])
		o.locLabels.Weight = appendWeight(o.locLabels.Weight, n, p.Weight*float32(o.cfg.CLoc)/float32(n))
		outer, loc = outer[p.Outer:], loc[p.Loc:]
	}
}

func (o *Objective) runPrefix(tasks []Task, withRest bool) error {
	d := o.model.Config.Width
	o.items = o.items[:0]
	inner, rest, base := o.hIn, o.hRest, o.base
	take := func(from *[]float32, t text.Text) []float32 {
		n := len(t.IDs) * d
		s := (*from)[:n]
		*from = (*from)[n:]
		return s
	}
	for i, t := range tasks {
		if !o.Share.Mine(i) {
			continue
		}
		for _, x := range t.Inner {
			o.items = append(o.items, text.Item{Text: x, States: take(&inner, x)})
		}
		if !withRest {
			continue
		}
		for _, x := range t.Outer {
			o.items = append(o.items, text.Item{Text: x, States: take(&rest, x)})
		}
		for _, x := range t.Loc {
			n := x.Wanted() * d
			o.items = append(o.items, text.Item{Text: x, States: take(&rest, x), Final: base[:n:n]})
			base = base[n:]
		}
	}
	return o.Prefix.Run(o.items)
}

// check refuses tasks that ask for nothing or that do not fit the model.
func (t Task) check(m *lm.Model) error {
	for _, p := range []struct {
		name  string
		texts []text.Text
	}{{"edit", t.Inner}, {"rephrasing", t.Outer}, {"locality text", t.Loc}} {
		for _, x := range p.texts {
			if len(x.IDs) == 0 || x.Wanted() == 0 {
				return fmt.Errorf("edit %s: its %s asks for no token; check that the target does not tokenise to nothing", t.ID, p.name)
			}
			if err := m.CheckLength(len(x.IDs)); err != nil {
				return fmt.Errorf("edit %s: its %s: %w; shorten it or set data.max_len", t.ID, p.name, err)
			}
		}
	}
	var sum Part
	for _, p := range t.parts() {
		sum.Inner, sum.Outer, sum.Loc = sum.Inner+p.Inner, sum.Outer+p.Outer, sum.Loc+p.Loc
	}
	if sum != (Part{len(t.Inner), len(t.Outer), len(t.Loc), 0}) {
		return fmt.Errorf("edit %s: its parts have %d, %d and %d texts of %d, %d and %d", t.ID, sum.Inner, sum.Outer, sum.Loc, len(t.Inner), len(t.Outer), len(t.Loc))
	}
	if len(t.Inner) == 0 {
		return fmt.Errorf("edit %s: there is nothing to edit", t.ID)
	}
	return nil
}

func appendWeight(w []float32, n int, x float32) []float32 {
	for range n {
		w = append(w, x)
	}
	return w
}

func appendRange(v []int32, r nn.Range) []int32 {
	for i := r.Lo; i < r.Hi; i++ {
		v = append(v, int32(i))
	}
	return v
}

func grow(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
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

// ensure makes a graph that is large enough for what pack laid out.
func (o *Objective) ensure() error {
	want := bounds{o.inner.Seq.Rows(), len(o.inner.Want.V), o.allRows, o.allWanted, o.rest.Seq.Rows(), len(o.rest.Want.V), len(o.outerRows.V), len(o.locRows.V)}
	have := o.bound
	if o.g != nil && want.inner <= have.inner && want.innerWant <= have.innerWant && want.factors <= have.factors &&
		want.factorsWant <= have.factorsWant && want.rest <= have.rest &&
		want.restWant <= have.restWant && want.outer <= have.outer && want.loc <= have.loc {
		return nil
	}
	up := func(a, b int) int { return max(a, Bucket(max(b+b/8, 1))) } // some room, so that graphs are seldom rebuilt
	o.bound = bounds{up(have.inner, want.inner), up(have.innerWant, want.innerWant), up(have.factors, want.factors), up(have.factorsWant, want.factorsWant), up(have.rest, want.rest),
		up(have.restWant, want.restWant), up(have.outer, want.outer), up(have.loc, want.loc)}
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
	g := &built{b: graph.New(o.e)}
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
	b.SetTasks(&o.rest.Seq.Tasks)
	b.OnLinear = func(l *nn.Linear, x, y graph.Node) graph.Node {
		i, ok := o.index[l]
		if !ok {
			return y
		}
		f := site[i].f
		if f.Bare = &o.bare; b.Tasks() != &o.rest.Seq.Tasks {
			f.Bare = &o.bareWanted
		}
		return b.LowRank(y, x, site[i].z, site[i].rate, f, b.Tasks())
	}
	x := lm.Blocks[graph.Node](b, o.model, g.hRest, first, last, &o.rest.Seq, &o.rest.Want)
	x = lm.FinalNorm[graph.Node](b, o.model, x)
	g.outerS = b.CrossEntropy(b.Pick(x, &o.outerRows), head, &o.outerLabels)
	g.locS = b.KL(g.base, b.Pick(x, &o.locRows), head, &o.locLabels)
	var params []graph.Node
	for _, p := range o.Net.Params() {
		params = append(params, b.Trainable(p))
	}
	g.grads = b.Grad([]graph.Node{g.outerS.Sum, g.locS.Sum}, params...)
	return g, b.Err()
}

// Sign is −1 where the update is subtracted, +1 where it is added.
func (o *Objective) Sign() float32 {
	if o.cfg.Descent {
		return -1
	}
	return 1
}

// Outcome is what a task scored.
type Outcome struct {
	Inner     float64 // inner loss, before the edit
	Edit      float64 // edit loss (mean over labelled tokens), after it
	Loc       float64 // KL(base ‖ edited), mean over rows
	Total     float64 // cedit·Edit + cloc·Loc
	Right     float64 // share of scored texts whose every token is the most probable one
	Prob      float64 // mean probability of the labelled tokens
	Stability float64 // share of locality rows whose most probable token stays
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
	if err := o.pack(tasks, true); err != nil {
		return nil, err
	}
	if err := o.ensure(); err != nil {
		return nil, err
	}
	g := o.g
	if g.training == nil {
		m, err := g.b.CompileBound(&o.memory, g.grads, g.innerS.Rows, g.outerS.Rows, g.locS.Rows)
		if err != nil {
			return nil, err
		}
		g.training = m
	}
	at := 0
	for i, p := range o.Net.Params() {
		g.training.Bind(g.grads[i], grads[at:at+p.Len()])
		at += p.Len()
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
	if err := o.pack(tasks, true); err != nil {
		return nil, err
	}
	if err := o.ensure(); err != nil {
		return nil, err
	}
	g := o.g
	if g.scoring == nil {
		m, err := g.b.CompileIn(&o.memory, g.innerS.Rows, g.outerS.Rows, g.locS.Rows)
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

// scores reads what a machine that has run says of this process's tasks.
func (o *Objective) scores(m *graph.Machine, tasks []Task) []Outcome {
	inner, outer, loc := m.Value(o.g.innerS.Rows), m.Value(o.g.outerS.Rows), m.Value(o.g.locS.Rows)
	out := make([]Outcome, len(tasks))
	ai, ao, al := 0, 0, 0
	for t, task := range tasks {
		if !o.Share.Mine(t) {
			continue
		}
		r := &out[t]
		for _, x := range task.Inner {
			n := x.Wanted()
			loss, _ := mean(inner, ai, n)
			r.Inner += loss * float64(n) / float64(text.Wanted(task.Inner))
			ai += n
		}
		outer0, tokens := ao, text.Wanted(task.Outer)
		for _, x := range task.Outer {
			n := x.Wanted()
			if _, hits := mean(outer, ao, n); hits == 1 {
				r.Right += 1 / float64(len(task.Outer))
			}
			for i := range n {
				r.Prob += math.Exp(-float64(outer.Data[(ao+i)*outer.Cols])) / float64(tokens)
			}
			ao += n
		}
		n := text.Wanted(task.Loc)
		_, r.Stability = mean(loc, al, n)
		o.losses(&task, r, outer, loc, outer0, al)
		al += n
	}
	return out
}

// losses are the means of a task's parts, by weight, and what they add up to. Its
// first rows of outer and loc are given.
func (o *Objective) losses(t *Task, r *Outcome, outer, loc kernel.Matrix, ao, al int) {
	outers, locs := t.Outer, t.Loc
	weights := 0.0
	for _, p := range t.parts() {
		n, k, w := text.Wanted(outers[:p.Outer]), text.Wanted(locs[:p.Loc]), float64(p.Weight)
		edit, _ := mean(outer, ao, n)
		away, _ := mean(loc, al, k)
		r.Edit, r.Loc, weights = r.Edit+w*edit, r.Loc+w*away, weights+w
		r.Total += w * (o.cfg.CEdit*edit + o.cfg.CLoc*away)
		outers, locs, ao, al = outers[p.Outer:], locs[p.Loc:], ao+n, al+k
	}
	r.Edit, r.Loc = r.Edit/weights, r.Loc/weights
}

// mean averages loss and hit of n score rows from row at on.
func mean(s kernel.Matrix, at, n int) (loss, hit float64) {
	for i := at; i < at+n; i++ {
		loss += float64(s.Data[i*s.Cols]) / float64(n)
		hit += float64(s.Data[i*s.Cols+1])
	}
	return loss, hit / float64(max(n, 1))
}

// Rows are what the editor makes of one edit at one site: the update, as an
// addition to the site's linear layer, and, where rows are solved for, the inputs
// of the layer that they were solved from.
type Rows struct {
	nn.Delta
	Keys kernel.Matrix // [rows, in]
	Stay kernel.Matrix // inputs that were spared beside them, [rows, in]
}

// Rows computes the updates of the tasks' edits, with a frozen normaliser:
// [site][task]. They stay valid.
func (o *Objective) Rows(tasks []Task) ([][]Rows, error) {
	return o.rows(tasks, false)
}

// First is Rows with what the first look alone made of the edits; Again takes the
// later ones.
func (o *Objective) First(tasks []Task) ([][]Rows, error) {
	return o.rows(tasks, true)
}

func (o *Objective) rows(tasks []Task, first bool) ([][]Rows, error) {
	o.Mode.Training = false
	if err := o.pack(tasks, false); err != nil {
		return nil, err
	}
	if err := o.ensure(); err != nil {
		return nil, err
	}
	g := o.g
	solved := o.Net.Config.Update.Rule == hypernet.Solve
	machine, factors := &g.editing, g.factors
	if first {
		machine, factors = &g.beginning, g.first
	}
	if *machine == nil {
		outputs := append([]graph.Node{g.innerS.Rows}, factors...)
		if solved {
			outputs = append(outputs, g.gathered...)
		}
		m, err := g.b.CompileIn(&o.memory, outputs...)
		if err != nil {
			return nil, err
		}
		*machine = m
	}
	done := *machine
	if err := o.run(done, false); err != nil {
		return nil, err
	}
	rows := make([][]Rows, len(o.sites))
	for gi, grp := range o.Net.At(0) {
		z, layout := done.Value(factors[gi]), g.layouts[gi]
		for m, i := range grp.Sites {
			rate, err := o.Net.Rates[i].Values()
			if err != nil {
				return nil, err
			}
			for t, q := range layout.Tasks[m] {
				r := Rows{Delta: copyDelta(z, q, grp.In, grp.Out, o.Sign()*rate[0])}
				if solved {
					r.Keys = copyDelta(done.Value(g.gathered[gi]), q, grp.In, grp.Out, 1).U
					r.Stay = kernel.Mat(nil, 0, grp.In)
				}
				if o.stay != nil {
					s := o.stay[i]
					r.Stay = kernel.Mat(s.U.Data[s.Tasks[t].Lo*grp.In:s.Tasks[t].Hi*grp.In], s.Tasks[t].Hi-s.Tasks[t].Lo, grp.In)
				}
				rows[i] = append(rows[i], r)
			}
		}
	}
	return rows, nil
}

// Site is an edited weight.
func (o *Objective) Site(i int) lm.Site { return o.sites[i] }

// Engine is what the objective computes with.
func (o *Objective) Engine() *kernel.Engine { return o.e }

func copyDelta(z kernel.Matrix, q nn.Range, in, out int, scale float32) nn.Delta {
	n := q.Hi - q.Lo
	d := nn.Delta{U: kernel.Mat(make([]float32, n*in), n, in), D: kernel.Mat(make([]float32, n*out), n, out), Scale: scale}
	for i := range n {
		row := z.Data[(q.Lo+i)*z.Cols:]
		copy(d.U.Data[i*in:(i+1)*in], row[:in])
		copy(d.D.Data[i*out:(i+1)*out], row[in:in+out])
	}
	return d
}

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
