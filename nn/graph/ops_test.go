package graph

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
)

func engine(t testing.TB) *kernel.Engine {
	k, err := kernel.New(kernel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

func random(rng *rand.Rand, rows, cols int) kernel.Matrix {
	m := kernel.Mat(make([]float32, rows*cols), rows, cols)
	for i := range m.Data {
		m.Data[i] = float32(rng.NormFloat64())
	}
	return m
}

func param(name string, m kernel.Matrix) *nn.Param { return nn.NewParam(name, m.Rows, m.Cols, m.Data) }

// constant is the value of m, whatever x is.
func constant(b *Builder, m kernel.Matrix, x Node) Node {
	return b.Apply(&Op{Rows: m.Rows, Cols: m.Cols, Kind: &Kind{Name: "constant", Host: func(_ *Ctx, _ *Op, out *kernel.Matrix, _ []kernel.Matrix) error {
		out.Rows = m.Rows
		copy(out.Data, m.Data)
		return nil
	}}}, x)
}

// opCase is an op applied to inputs; build returns its result.
type opCase struct {
	name   string
	inputs []kernel.Matrix
	build  func(b *Builder, in []Node) Node
}

func opCases() []opCase {
	rng := rand.New(rand.NewPCG(1, 2))
	const rows, width, heads = 7, 12, 3
	x := func() kernel.Matrix { return random(rng, rows, width) }
	lin := func(inOut, bias bool) *nn.Linear {
		l := &nn.Linear{W: param("w", random(rng, 5, width)), In: width, Out: 5}
		if inOut {
			l.W, l.InOut = param("w", random(rng, width, 5)), true
		}
		if bias {
			l.B = param("b", random(rng, 1, 5))
		}
		return l
	}
	gain, bias := param("gain", random(rng, 1, width)), param("bias", random(rng, 1, width))
	headGain := param("head gain", random(rand.New(rand.NewPCG(3, 4)), 1, 4))
	seq := nn.Pack(4, 3)
	rot := &kernel.Rotation{HeadDim: 4, Rotary: 4}
	for p := range 8 {
		for i := range 2 {
			a := float64(p) * math.Pow(10, -float64(i))
			rot.Cos, rot.Sin = append(rot.Cos, float32(math.Cos(a))), append(rot.Sin, float32(math.Sin(a)))
		}
	}
	att := kernel.Attention{Heads: heads, KVHeads: heads, HeadDim: 4, Scale: 0.5}
	capped := att
	capped.Cap = 0.75
	past := nn.NewKeys(1)
	(&nn.Sequences{Past: past}).Seen(0, random(rand.New(rand.NewPCG(5, 6)), 3, width), random(rand.New(rand.NewPCG(7, 8)), 3, width), nil)
	past.Advance(3)
	listed := &nn.Sequences{
		Past: past, Keys: []int32{^2, ^0, 0, 1, 2, 3, ^2, 0, 1, 4, 5, 6},
		Segs: []kernel.Segment{{QLen: 4, KLen: 6}, {Q: 4, QLen: 3, K: 6, KLen: 6}},
	}
	picked := &nn.RowSet{V: []int32{1, 4, 5}, Cap: 4}
	cases := []opCase{
		{"linear", []kernel.Matrix{x()}, func(b *Builder, in []Node) Node { return b.Linear(lin(false, true), in[0]) }},
		{"linear stored [in, out]", []kernel.Matrix{x()}, func(b *Builder, in []Node) Node { return b.Linear(lin(true, false), in[0]) }},
		{"matmul transposed", []kernel.Matrix{x(), random(rng, 5, width)}, func(b *Builder, in []Node) Node { return b.MatMul(in[0], in[1], true) }},
		{"matmul", []kernel.Matrix{x(), random(rng, width, 5)}, func(b *Builder, in []Node) Node { return b.MatMul(in[0], in[1], false) }},
		{"bias", []kernel.Matrix{x(), random(rng, 1, width)}, func(b *Builder, in []Node) Node { return b.AddBias(in[0], in[1]) }},
		{"layernorm", []kernel.Matrix{x()}, func(b *Builder, in []Node) Node {
			return b.LayerNorm(&nn.Norm{Gain: gain, Bias: bias, Eps: 1e-5}, in[0])
		}},
		{"rmsnorm", []kernel.Matrix{x()}, func(b *Builder, in []Node) Node { return b.RMSNorm(&nn.Norm{Gain: gain, Eps: 1e-5}, in[0]) }},
		{"rotate", []kernel.Matrix{x()}, func(b *Builder, in []Node) Node { return b.Rotate(in[0], heads, rot, seq) }},
		{"attend", []kernel.Matrix{x(), x(), x()}, func(b *Builder, in []Node) Node { return b.Attend(0, in[0], in[1], in[2], att, seq) }},
		{"attend over keys kept, shared and at hand", []kernel.Matrix{x(), x(), x()}, func(b *Builder, in []Node) Node { return b.Attend(0, in[0], in[1], in[2], att, listed) }},
		{"attend with capped scores", []kernel.Matrix{x(), x(), x()}, func(b *Builder, in []Node) Node { return b.Attend(0, in[0], in[1], in[2], capped, seq) }},
		{"softcap", []kernel.Matrix{x()}, func(b *Builder, in []Node) Node { return b.SoftCap(in[0], 1.5) }},
		{"columns", []kernel.Matrix{x()}, func(b *Builder, in []Node) Node { return b.Columns(in[0], []int32{3, 1, 1, 7}) }},
		{"concat", []kernel.Matrix{x(), random(rng, rows, 3)}, func(b *Builder, in []Node) Node { return b.Concat(in[0], in[1]) }},
		{"rows", []kernel.Matrix{x()}, func(b *Builder, in []Node) Node { return b.Rows(in[0], picked) }},
		{"add", []kernel.Matrix{x(), x()}, func(b *Builder, in []Node) Node { return b.Add(in[0], in[1]) }},
		{"add to itself", []kernel.Matrix{x()}, func(b *Builder, in []Node) Node { return b.Add(in[0], b.Add(in[0], in[0])) }},
		{"mul", []kernel.Matrix{x(), x()}, func(b *Builder, in []Node) Node { return b.Mul(in[0], in[1]) }},
		{"probe", []kernel.Matrix{x()}, func(b *Builder, in []Node) Node { y, _ := b.Probe(in[0]); return y }},
	}
	for _, kind := range []kernel.Activation{kernel.GELUTanh, kernel.GELU, kernel.SiLU, kernel.Tanh} {
		cases = append(cases, opCase{kind.String(), []kernel.Matrix{x()}, func(b *Builder, in []Node) Node { return b.Activate(kind, in[0]) }})
	}
	head := &nn.Linear{W: param("head", random(rng, 9, width)), B: param("hb", random(rng, 1, 9)), In: width, Out: 9}
	labels := &Labels{IDs: []int32{1, 8, 0, 3, 3, 5, 2}, Weight: []float32{1, 0.5, 2, 1, 0.1, 1, 1}}
	base := random(rng, rows, width)
	cases = append(cases,
		opCase{"cross entropy at the head", []kernel.Matrix{x()}, func(b *Builder, in []Node) Node { return b.CrossEntropy(in[0], head, labels).Sum }},
		opCase{"KL at the head", []kernel.Matrix{x()}, func(b *Builder, in []Node) Node {
			return b.KL(constant(b, base, in[0]), in[0], head, labels).Sum
		}})
	cappedHead := *head
	cappedHead.Cap = 2
	cases = append(cases,
		opCase{"capped head", []kernel.Matrix{x()}, func(b *Builder, in []Node) Node { return b.Linear(&cappedHead, in[0]) }},
		opCase{"cross entropy at a capped head", []kernel.Matrix{x()}, func(b *Builder, in []Node) Node { return b.CrossEntropy(in[0], &cappedHead, labels).Sum }},
		opCase{"KL at a capped head", []kernel.Matrix{x()}, func(b *Builder, in []Node) Node {
			return b.KL(constant(b, base, in[0]), in[0], &cappedHead, labels).Sum
		}})
	tasks, where, block := []nn.Range{{Lo: 0, Hi: 2}, {Lo: 2, Hi: 4}}, []nn.Range{{Lo: 0, Hi: 3}, {Lo: 3, Hi: 7}}, nn.Range{Hi: 4}
	cases = append(cases, opCase{"low-rank edit", []kernel.Matrix{x(), random(rng, 4, width+5), random(rng, 1, 1)}, func(b *Builder, in []Node) Node {
		y := b.Linear(lin(false, false), in[0])
		return b.LowRank(y, in[0], in[1], in[2], Factors{In: width, Out: 5, Sign: -1, Tasks: &tasks, Block: &block, Key: "k"}, &where)
	}})
	cases = append(cases,
		opCase{"rmsnorm of heads", []kernel.Matrix{x()}, func(b *Builder, in []Node) Node { return b.RMSNorm(&nn.Norm{Gain: headGain, Eps: 1e-5}, in[0]) }},
		opCase{"a vector added to rows", []kernel.Matrix{random(rng, 1, width)}, func(b *Builder, in []Node) Node {
			return b.AddToRows(constant(b, base, in[0]), in[0], []int32{1, 4, 5})
		}},
		opCase{"a vector in place of rows", []kernel.Matrix{random(rng, 1, width)}, func(b *Builder, in []Node) Node {
			return b.SetRows(constant(b, base, in[0]), in[0], []int32{0, 6})
		}},
		opCase{"scale", []kernel.Matrix{x()}, func(b *Builder, in []Node) Node { return b.Scale(in[0], 1.75) }})
	return cases
}

// TestFiniteDifferences compares every op's gradient with central differences
// of the sum of its weighted outputs. The difference is taken in float32, with
// a step of 1/64, so rounding leaves about 1e-5 times the sum's size and
// curvature about 1e-4 of it: 1 % of the largest gradient is allowed.
func TestFiniteDifferences(t *testing.T) {
	for _, c := range opCases() {
		t.Run(c.name, func(t *testing.T) {
			b := New(engine(t))
			in := make([]Node, len(c.inputs))
			for i, m := range c.inputs {
				in[i] = b.Input(fmt.Sprintf("x%d", i), m.Rows, m.Cols)
			}
			y := c.build(b, in)
			w := random(rand.New(rand.NewPCG(3, 4)), y.Shape()[0], y.Shape()[1])
			wn := b.Input("w", w.Rows, w.Cols)
			z := b.Mul(y, wn)
			grads := b.Grad([]Node{z}, in...)
			m, err := b.Compile(append([]Node{z}, grads...)...)
			if err != nil {
				t.Fatal(err)
			}
			m.Set(wn, w)
			for i := range in {
				m.Set(in[i], c.inputs[i])
			}
			total := func() float64 {
				if err := m.Run(false); err != nil {
					t.Fatal(err)
				}
				s := 0.0
				v := m.Value(z)
				for _, x := range v.Data[:v.Rows*v.Cols] {
					s += float64(x)
				}
				return s
			}
			for i := range in {
				total() // the run before had an input moved
				g := m.Value(grads[i])
				got := append([]float32(nil), g.Data[:c.inputs[i].Rows*c.inputs[i].Cols]...)
				largest, worst := 0.0, 0.0
				for j := range got {
					const h = 1.0 / 64
					x := &c.inputs[i].Data[j]
					old := *x
					*x = old + h
					up := total()
					*x = old - h
					down := total()
					*x = old
					want := (up - down) / (2 * h)
					largest, worst = math.Max(largest, math.Abs(want)), math.Max(worst, math.Abs(want-float64(got[j])))
				}
				if worst > 0.01*largest {
					t.Errorf("input %d: gradient off by %.3g of %.3g", i, worst, largest)
				}
			}
		})
	}
}

// TestGorgoniaMachine runs graphs on gorgonia's own tape machine and on ours.
func TestGorgoniaMachine(t *testing.T) {
	for _, c := range opCases() {
		t.Run(c.name, func(t *testing.T) {
			b := New(engine(t))
			in := make([]Node, len(c.inputs))
			for i, m := range c.inputs {
				in[i] = b.Input(fmt.Sprintf("x%d", i), m.Rows, m.Cols)
			}
			y := c.build(b, in)
			if err := b.Err(); err != nil {
				t.Fatal(err)
			}
			if y.Op().String() == "rows" {
				t.Log("gorgonia's machine has no bound on rows: left to ours")
				return
			}
			m, err := b.Compile(y)
			if err != nil {
				t.Fatal(err)
			}
			for i := range in {
				m.Set(in[i], c.inputs[i])
				v := tensor.New(tensor.WithShape(c.inputs[i].Rows, c.inputs[i].Cols), tensor.WithBacking(append([]float32(nil), c.inputs[i].Data...)))
				if err := gorgonia.Let(in[i], v); err != nil {
					t.Fatal(err)
				}
			}
			if p, ok := y.Op().(*Op); ok && p.Name == "probe" {
				t.Log("the probe's handle has no value")
				return
			}
			if err := m.Run(false); err != nil {
				t.Fatal(err)
			}
			ours := append([]float32(nil), m.Value(y).Data[:m.Value(y).Rows*m.Value(y).Cols]...)
			var out gorgonia.Value
			gorgonia.Read(y, &out)
			tape := gorgonia.NewTapeMachine(b.Graph())
			defer tape.Close()
			if err := tape.RunAll(); err != nil {
				t.Fatal(err)
			}
			for i, v := range out.(*tensor.Dense).Float32s() {
				if v != ours[i] {
					t.Fatalf("element %d: %v on gorgonia's machine, %v on ours", i, v, ours[i])
				}
			}
		})
	}
}

// TestAnotherDevice runs every op and its gradient from another table: all of
// them go through it, the bytes are the same, and a table that lacks a kind is
// refused by its name.
func TestAnotherDevice(t *testing.T) {
	for i, c := range opCases() {
		t.Run(c.name, func(t *testing.T) {
			run := func(d *Device) (out [][]float32, names map[string]bool, err error) {
				c := opCases()[i] // with the weights that it draws when it is built
				b := New(engine(t))
				b.Device = d
				in := make([]Node, len(c.inputs))
				for i, m := range c.inputs {
					in[i] = b.Input(fmt.Sprintf("x%d", i), m.Rows, m.Cols)
				}
				y := c.build(b, in)
				nodes := append([]Node{y}, b.Grad([]Node{y}, in...)...)
				m, err := b.Compile(nodes...)
				if err != nil {
					return nil, nil, err
				}
				names = map[string]bool{}
				for i := range m.code {
					if m.code[i].run != nil {
						names[m.code[i].op.Name] = true
					}
				}
				for i := range in {
					m.Set(in[i], c.inputs[i])
				}
				if err := m.Run(false); err != nil {
					t.Fatal(err)
				}
				for _, n := range nodes {
					v := m.Value(n)
					out = append(out, append([]float32(nil), v.Data[:v.Rows*v.Cols]...))
				}
				return out, names, nil
			}
			want, names, err := run(nil)
			if err != nil {
				t.Fatal(err)
			}
			ran := map[string]bool{}
			table := &Device{Name: "other", Kernels: map[string]Kernel{}}
			for name := range names {
				table.Kernels[name] = func(c *Ctx, p *Op, out *kernel.Matrix, in []kernel.Matrix) error {
					ran[p.Name] = true
					return p.Host(c, p, out, in)
				}
			}
			got, _, err := run(table)
			if err != nil {
				t.Fatal(err)
			}
			if len(names) == 0 || !maps.Equal(ran, names) {
				t.Errorf("%v ran of %v", ran, names)
			}
			for i := range want {
				if !slices.Equal(got[i], want[i]) {
					t.Errorf("output %d has other bytes", i)
				}
			}
			for name := range names {
				kept := table.Kernels[name]
				delete(table.Kernels, name)
				if _, _, err := run(table); err == nil || !strings.Contains(err.Error(), "other has no kernel for "+name) {
					t.Errorf("without %s: %v", name, err)
				}
				table.Kernels[name] = kept
			}
		})
	}
}

// TestRowsBelowBound runs a graph on fewer rows than it was made for.
func TestRowsBelowBound(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	k := engine(t)
	b := New(k)
	x := b.Input("x", 64, 12)
	l := &nn.Linear{W: param("w", random(rng, 8, 12)), In: 12, Out: 8}
	y := b.Activate(kernel.SiLU, b.Linear(l, x))
	m, err := b.Compile(y)
	if err != nil {
		t.Fatal(err)
	}
	for _, rows := range []int{1, 3, 64} {
		in := random(rng, rows, 12)
		m.Set(x, in)
		if err := m.Run(false); err != nil {
			t.Fatal(err)
		}
		o := eager.New(k)
		want := o.Activate(kernel.SiLU, o.Linear(l, in))
		got := m.Value(y)
		if got.Rows != rows {
			t.Fatalf("%d rows, want %d", got.Rows, rows)
		}
		for i := range want.Data {
			if want.Data[i] != got.Data[i] {
				t.Fatalf("%d rows: element %d is %v in the graph, %v at once", rows, i, got.Data[i], want.Data[i])
			}
		}
	}
	m.Set(x, random(rng, 65, 12))
	if err := m.Run(false); err == nil {
		t.Error("65 rows passed a bound of 64")
	}
}

// TestAGraphKeepsNoKeys: rows that would be kept are refused.
func TestAGraphKeepsNoKeys(t *testing.T) {
	b := New(engine(t))
	x := b.Input("x", 2, 4)
	s := nn.Pack(2)
	s.Past = nn.NewKeys(1)
	y := b.Attend(0, x, x, x, kernel.Attention{Heads: 1, KVHeads: 1, HeadDim: 4, Scale: 1}, s)
	m, err := b.Compile(y)
	if err != nil {
		t.Fatal(err)
	}
	m.Set(x, kernel.Mat(make([]float32, 8), 2, 4))
	if err := m.Run(false); !errors.Is(err, errGrows) {
		t.Errorf("got %v", err)
	}
}

// TestWatch names the first node with a value that is not finite.
func TestWatch(t *testing.T) {
	b := New(engine(t))
	x := b.Input("x", 2, 2)
	y := b.Mul(b.Add(x, x), x)
	m, err := b.Compile(y)
	if err != nil {
		t.Fatal(err)
	}
	m.Watch = true
	m.Set(x, kernel.Mat([]float32{1, 2, 1e30, 4}, 2, 2))
	if err := m.Run(false); err == nil || err.Error() != "mul: first non-finite value at mul" {
		t.Errorf("got %v", err)
	}
}
