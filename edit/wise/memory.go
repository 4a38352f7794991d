package wise

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
)

// Kind is the memory's in edit files.
const Kind = "side memories"

// never is a threshold that no prompt passes.
const never = 1e9

// Rules are what of a config decides about memories.
type Rules struct {
	ActRatio  float64 `json:"act_ratio"`
	MaskRatio float64 `json:"mask_ratio"`
	Save      int     `json:"save_freq"`
	Merge     int     `json:"merge_freq"`
	Density   float64 `json:"densities"`
	Retrieve  bool    `json:"retrieve"`
	Seed      uint64  `json:"seed"`
	Compat    string  `json:"compat,omitempty"`
	Algorithm string  `json:"merge_alg,omitempty"` // of merges; "": ties
}

// side is a side memory: its change of the matrix, [out, in], and the least
// distance that its edits had.
type side struct {
	change    []float32
	threshold float64
}

// Memory is the side memories of a sequence of edits. It implements edit.Adapter.
type Memory struct {
	Model      string         `json:"model"` // hash of the base model
	Layer      string         `json:"layer"` // weight name
	In         int            `json:"in"`
	Out        int            `json:"out"`
	Rules      Rules          `json:"rules"`
	Activation string         `json:"activation"`
	Requests   []edit.Request `json:"requests"`
	Thresholds []float64      `json:"thresholds"` // of fresh, then of saved

	kind  kernel.Activation
	fresh side      // being written
	saved []side    // put aside, in order
	main  []float32 // merge mode: what stands for the matrix; nil: itself

	matrix []float32 // itself, [out, in], where merges need it
}

var (
	_ edit.Adapter  = (*Memory)(nil)
	_ edit.Follower = (*Memory)(nil)
)

// Weights implements edit.Adapter.
func (m *Memory) Weights() []string { return []string{m.Layer} }

// Kind implements edit.Memory.
func (m *Memory) Kind() string { return Kind }

// The ways of a text; from wayFirst on through saved memories.
const (
	wayMatrix = iota
	wayFresh
	wayMain
	wayFirst
)

// Route implements edit.Adapter.
func (m *Memory) Route(x, y kernel.Matrix) edit.Route { return edit.Route{To: m.way(x, y)} }

func (m *Memory) way(x, y kernel.Matrix) int {
	d := m.distance(m.fresh.change, x, y)
	passes := func(d, threshold float64) bool { return d >= m.Rules.ActRatio*threshold }
	if !m.Rules.Retrieve {
		main := 0.0
		if m.main != nil {
			main = m.distance(m.main, x, y)
		}
		way, best := wayMatrix, 0.0
		switch limit := m.fresh.threshold; {
		case !passes(d, limit) && !passes(main, limit):
		case d > main:
			way, best = wayFresh, d
		default:
			way, best = wayMain, main
		}
		if m.Rules.Compat == "" { // those that wait for a merge are asked too
			for i, s := range m.saved {
				if e := m.distance(s.change, x, y); e > best && e > m.Rules.ActRatio*s.threshold {
					way, best = wayFirst+i, e
				}
			}
		}
		return way
	}
	way, best := wayMatrix, d
	if passes(d, m.fresh.threshold) {
		way = wayFresh
	}
	for i, s := range m.saved {
		if e := m.distance(s.change, x, y); e > best && e > m.Rules.ActRatio*s.threshold {
			way, best = wayFirst+i, e
		}
	}
	return way
}

// Adapt implements edit.Adapter.
func (m *Memory) Adapt(_ string, r edit.Route, x, y kernel.Matrix, _, _ int) {
	var change []float32
	switch {
	case r.To == wayFresh:
		change = m.fresh.change
	case r.To == wayMain:
		change = m.main
	case r.To >= wayFirst:
		change = m.saved[r.To-wayFirst].change
	}
	if change == nil {
		return
	}
	for i := range x.Rows {
		row := y.Data[i*y.Stride : i*y.Stride+y.Cols]
		for o, v := range m.moved(change, x, i) {
			row[o] += v
		}
	}
}

// moved is change·x for a row of x, [out].
func (m *Memory) moved(change []float32, x kernel.Matrix, i int) []float32 {
	in := x.Data[i*x.Stride : i*x.Stride+m.In]
	out := make([]float32, m.Out)
	for o := range out {
		row := change[o*m.In : (o+1)*m.In]
		var a, b float32
		for j := 0; j+1 < len(row); j += 2 {
			a += row[j] * in[j]
			b += row[j+1] * in[j+1]
		}
		if len(row)%2 == 1 {
			a += row[len(row)-1] * in[len(row)-1]
		}
		out[o] = a + b
	}
	return out
}

// distance is the mean over positions (of more than 100 the largest) of
// ‖A(W·x) − A((W+change)·x)‖, A being the model's activation and y = W·x.
func (m *Memory) distance(change []float32, x, y kernel.Matrix) float64 {
	const long = 100
	if change == nil {
		return 0
	}
	sum, most := 0.0, 0.0
	for i := range x.Rows {
		before := y.Data[i*y.Stride : i*y.Stride+y.Cols]
		square := 0.0
		for o, v := range m.moved(change, x, i) {
			d := activated(m.kind, float64(before[o]+v)) - activated(m.kind, float64(before[o]))
			square += d * d
		}
		d := math.Sqrt(square)
		sum, most = sum+d, math.Max(most, d)
	}
	if x.Rows > long {
		return most
	}
	return sum / float64(x.Rows)
}

// activated is the activation of one value.
func activated(kind kernel.Activation, x float64) float64 {
	switch kind {
	case kernel.SiLU:
		return x / (1 + math.Exp(-x))
	case kernel.GELU:
		return x / 2 * (1 + math.Erf(x/math.Sqrt2))
	case kernel.GELUTanh:
		return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	case kernel.Tanh:
		return math.Tanh(x)
	case kernel.ReLU:
		return math.Max(x, 0)
	}
	return x
}

// with is the memory after an edit that left the fresh side memory as change,
// with its edit's distance: shards are put aside and merged when they are full.
func (m *Memory) with(r edit.Request, change []float32, distance float64) (*Memory, error) {
	out := *m
	out.Requests = append(slices.Clip(m.Requests), r)
	out.fresh = side{change, math.Min(m.fresh.threshold, distance)}
	if n := len(out.Requests); n%m.Rules.Save == 0 {
		out.saved = append(slices.Clip(m.saved), out.fresh)
		out.fresh.change = nil
		if m.Rules.Retrieve || m.Rules.Compat == "" {
			out.fresh.threshold = never
		}
		if n%m.Rules.Merge == 0 {
			if err := out.merge(); err != nil {
				return nil, err
			}
		}
	}
	return &out, nil
}

// merge makes one of the shards since the last merge.
func (m *Memory) merge() error {
	n := min(m.Rules.Merge/m.Rules.Save, len(m.saved))
	shards := m.saved[len(m.saved)-n:]
	var changes [][]float32
	var weights []float64
	threshold := math.Inf(1)
	for _, s := range shards {
		changes, weights = append(changes, s.change), append(weights, 1/float64(n))
		threshold = math.Min(threshold, s.threshold)
	}
	m.saved = slices.Clone(m.saved[:len(m.saved)-n])
	if m.Rules.Retrieve {
		one, err := m.combine(changes, weights, len(m.Requests))
		m.saved = append(m.saved, side{one, threshold})
		return err
	}
	if m.main != nil {
		const old = 0.6 // of what was merged before
		for i := range weights {
			weights[i] *= 1 - old
		}
		changes, weights = append([][]float32{m.main}, changes...), append([]float64{old}, weights...)
	}
	var err error
	m.main, err = m.combine(changes, weights, len(m.Requests))
	if m.Rules.Compat == "" {
		m.fresh.threshold = threshold
	}
	return err
}

// holdMatrix keeps the layer's matrix, where merges need it.
func (m *Memory) holdMatrix(l *nn.Linear) error {
	if m.Rules.Algorithm != slerpName {
		return nil
	}
	w, err := l.W.Values()
	if err != nil {
		return err
	}
	m.matrix = make([]float32, len(w))
	for i, v := range w {
		m.matrix[stored(l, i)] = v
	}
	return nil
}

// Follows implements edit.Follower: the side memories were written by last's edits
// and then by others.
func (m *Memory) Follows(last edit.Memory) error {
	if last == nil {
		return nil // they hold all edits of their sequence
	}
	before, ok := last.(*Memory)
	if !ok {
		return fmt.Errorf("the edit before has a memory of kind %q, no side memories", last.Kind())
	}
	for i, r := range before.Requests {
		if i >= len(m.Requests) || m.Requests[i] != r {
			return fmt.Errorf("the side memories do not go on from those of the edit before: its edit %d, %s, stands elsewhere, or is missing", i+1, r.ID)
		}
	}
	return nil
}

// Pack implements edit.Memory.
func (m *Memory) Pack() (edit.Packed, error) {
	head := *m
	head.Thresholds = []float64{m.fresh.threshold}
	p := edit.Packed{Kind: Kind}
	add := func(name string, change []float32) {
		if change != nil {
			p.Tensors = append(p.Tensors, edit.PackedTensor{Name: name, Shape: []int{m.Out, m.In}, Values: change})
		}
	}
	add("fresh", m.fresh.change)
	add("main", m.main)
	for i, s := range m.saved {
		head.Thresholds = append(head.Thresholds, s.threshold)
		add(fmt.Sprintf("saved.%d", i), s.change)
	}
	var err error
	p.Info, err = json.Marshal(head)
	return p, err
}

// Open reads side memories of edits of base.
func Open(base *lm.Model, p edit.Packed) (*Memory, error) {
	if p.Kind != Kind {
		return nil, fmt.Errorf("a memory of kind %q is no side memory", p.Kind)
	}
	m := &Memory{}
	if err := json.Unmarshal(p.Info, m); err != nil {
		return nil, fmt.Errorf("side memories: %w", err)
	}
	_, err := base.Owns(m.Model)
	if err != nil {
		return nil, fmt.Errorf("the side memories are of %w", err)
	}
	l, ok := base.Linear(m.Layer)
	switch {
	case !ok || l.In != m.In || l.Out != m.Out:
		return nil, fmt.Errorf("the side memories are of %s, %d → %d, which the model has not", m.Layer, m.In, m.Out)
	case len(m.Thresholds) == 0:
		return nil, fmt.Errorf("side memories: thresholds are missing")
	}
	m.kind = base.Config.Activation
	if err := m.holdMatrix(l); err != nil {
		return nil, err
	}
	read := func(name string) ([]float32, error) {
		t, err := p.Tensor(name, 2)
		if err == nil && !slices.Equal(t.Shape, []int{m.Out, m.In}) {
			err = fmt.Errorf("side memories: %s has shape %v, want [%d %d]", name, t.Shape, m.Out, m.In)
		}
		return t.Values, err
	}
	has := func(name string) bool {
		return slices.ContainsFunc(p.Tensors, func(t edit.PackedTensor) bool { return t.Name == name })
	}
	m.fresh.threshold = m.Thresholds[0]
	if has("fresh") {
		if m.fresh.change, err = read("fresh"); err != nil {
			return nil, err
		}
	}
	if has("main") {
		if m.main, err = read("main"); err != nil {
			return nil, err
		}
	}
	for i, threshold := range m.Thresholds[1:] {
		c, err := read(fmt.Sprintf("saved.%d", i))
		if err != nil {
			return nil, err
		}
		m.saved = append(m.saved, side{c, threshold})
	}
	m.Thresholds = nil
	return m, nil
}
