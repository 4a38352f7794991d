package lm

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/internal/golden"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
)

// recorded is one case folder: a model and what the reference computed with it.
type recorded struct {
	name   string
	dir    string // of golden.json and golden.safetensors
	model  string // folder or GGUF file
	values *safetensors.File
	notes  goldenNotes
}

// goldenNotes is golden.json.
type goldenNotes struct {
	Sequences map[string][]int32 `json:"sequences"`
	Gradients []string           `json:"gradients"`
	Greedy    goldenGreedy       `json:"greedy"`
	Prompts   map[string]struct {
		Text   string  `json:"text"`
		IDs    []int32 `json:"ids"`
		Greedy struct {
			Tokens []int32 `json:"tokens"`
		} `json:"greedy"`
	} `json:"prompts"`
}

type goldenGreedy struct {
	Sequence string  `json:"sequence"`
	Tokens   []int32 `json:"tokens"`
	Text     string  `json:"text"`
}

// goldenCases lists the folders of golden/models.
func goldenCases(t testing.TB) []recorded {
	t.Helper()
	shared := golden.Path(t)
	root := filepath.Join(shared, "golden", "models")
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var cases []recorded
	for _, e := range entries {
		dir := filepath.Join(root, e.Name())
		data, err := os.ReadFile(filepath.Join(dir, "golden.json"))
		if err != nil {
			continue
		}
		g := recorded{name: e.Name(), dir: dir, model: weightsOf(shared, dir, e.Name())}
		if err := json.Unmarshal(data, &g.notes); err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
		if g.values, err = safetensors.Open(filepath.Join(dir, "golden.safetensors")); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { g.values.Close() })
		cases = append(cases, g)
	}
	if len(cases) == 0 {
		t.Fatalf("no case in %s", root)
	}
	return cases
}

// weightsOf finds a case's weights: beside the golden values, or in the folder
// of that name in models, as a folder's files or a GGUF file.
func weightsOf(shared, dir, name string) string {
	for _, at := range []string{dir, filepath.Join(shared, "models", name)} {
		if _, err := os.Stat(filepath.Join(at, configName)); err == nil {
			return at
		}
		if files, _ := filepath.Glob(filepath.Join(at, "*.gguf")); len(files) > 0 {
			return files[0]
		}
	}
	return dir
}

func (g *recorded) load(t testing.TB) *Model {
	t.Helper()
	return loadModel(t, g.model)
}

func loadModel(t testing.TB, path string) *Model {
	t.Helper()
	m, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// floats returns a golden tensor.
func (g *recorded) floats(t testing.TB, name string) []float32 {
	t.Helper()
	tensor, ok := g.values.Tensor(name)
	if !ok {
		t.Fatalf("%s has no %s", g.dir, name)
	}
	v, err := tensor.Float32()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (g *recorded) ids(t testing.TB, name string) []int32 {
	t.Helper()
	tensor, ok := g.values.Tensor(name)
	if !ok {
		t.Fatalf("%s has no %s", g.dir, name)
	}
	v, err := tensor.Int64()
	if err != nil {
		t.Fatal(err)
	}
	out := make([]int32, len(v))
	for i, x := range v {
		out[i] = int32(x)
	}
	return out
}

// agrees compares with a golden tensor. The bound is absolute + relative·m,
// with m the largest magnitude in want.
func agrees(t testing.TB, what string, got, want []float32, absolute, relative float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	largest, worst, at := 0.0, 0.0, -1
	for _, w := range want {
		largest = max(largest, math.Abs(float64(w)))
	}
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - float64(w)); !(d <= worst) {
			worst, at = d, i
		}
	}
	if bound := absolute + relative*largest; !(worst <= bound) {
		t.Errorf("%s: element %d is %v, want %v: off by %.3g, bound %.3g", what, at, got[at], want[at], worst, bound)
	}
}

func testOps(t testing.TB) *eager.Ops {
	t.Helper()
	k, err := kernel.New(kernel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return eager.New(k)
}

// states is everything a forward pass shows.
type states struct {
	taps   map[nn.Place][]float32
	final  []float32
	logits []float32
}

// forwardStates runs the texts as one batch.
func forwardStates(t testing.TB, m *Model, o *eager.Ops, texts ...[]int32) states {
	t.Helper()
	o.Reset()
	var ids []int32
	var lengths []int
	for _, text := range texts {
		ids, lengths = append(ids, text...), append(lengths, len(text))
	}
	got := states{taps: map[nn.Place][]float32{}}
	o.OnTap = func(p nn.Place, x kernel.Matrix) { got.taps[p] = slices.Clone(x.Data) }
	defer func() { o.OnTap = nil }()
	final := Forward(o, m, &nn.IDs{V: ids}, nn.Pack(lengths...), nil)
	got.final = slices.Clone(final.Data)
	got.logits = slices.Clone(m.Logits(o, final).Data)
	if err := o.Err(); err != nil {
		t.Fatal(err)
	}
	return got
}

// nll is the loss of each token but the first: [len(ids)-1].
func nll(o *eager.Ops, logits []float32, ids []int32) []float32 {
	n := len(ids) - 1
	loss, lse := make([]float32, n), make([]float32, n)
	vocab := len(logits) / len(ids)
	o.Engine().CrossEntropy(loss, lse, logits, ids[1:], n, vocab)
	return loss
}

func total(x []float32) float32 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v)
	}
	return float32(sum)
}

// The bound of golden/README.md for small models.
const (
	goldenAbsolute = 1e-5
	goldenRelative = 1e-4
)

func TestGoldenModels(t *testing.T) {
	checked := 0
	for _, g := range goldenCases(t) {
		if len(g.notes.Sequences) == 0 {
			continue
		}
		checked++
		t.Run(g.name, func(t *testing.T) { g.check(t, g.load(t)) })
	}
	if checked == 0 {
		t.Fatal("no case was checked")
	}
}

// check compares every state of every sequence, and greedy decoding.
func (g *recorded) check(t *testing.T, m *Model) {
	o := testOps(t)
	near := func(what string, got, want []float32) {
		t.Helper()
		agrees(t, what, got, want, goldenAbsolute, goldenRelative)
	}
	for name := range g.notes.Sequences {
		ids := g.ids(t, name+".input_ids")
		got := forwardStates(t, m, o, ids)
		near(name+".embeddings", got.taps[nn.Place{Layer: 0, At: nn.BlockIn}], g.floats(t, name+".embeddings"))
		for i := range m.Config.Layers {
			block := fmt.Sprintf("%s.block.%d", name, i)
			near(block, got.taps[nn.Place{Layer: i, At: nn.BlockOut}], g.floats(t, block))
		}
		near(name+".final", got.final, g.floats(t, name+".final"))
		near(name+".logits", got.logits, g.floats(t, name+".logits"))
		losses := nll(o, got.logits, ids)
		near(name+".nll_tokens", losses, g.floats(t, name+".nll_tokens"))
		near(name+".nll_sum", []float32{total(losses)}, g.floats(t, name+".nll_sum"))
	}
	greedy := g.notes.Greedy
	if len(greedy.Tokens) == 0 {
		t.Fatal("no greedy tokens in golden.json")
	}
	tokens, err := m.Generate(o, g.notes.Sequences[greedy.Sequence], GenerateOptions{Tokens: len(greedy.Tokens)})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(tokens, greedy.Tokens) {
		t.Errorf("greedy tokens %v, want %v", tokens, greedy.Tokens)
	}
}

func TestGoldenGGUFModelsEqualTheirFolders(t *testing.T) {
	shared := golden.Path(t)
	cases := goldenCases(t)
	checked := 0
	files, err := filepath.Glob(filepath.Join(shared, "golden", "gguf", "*.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".gguf")
		for _, g := range cases {
			if g.name != name || len(g.notes.Sequences) == 0 {
				continue
			}
			checked++
			t.Run(name, func(t *testing.T) {
				m := loadModel(t, file)
				g.check(t, m)
				folder := g.load(t)
				for i, p := range m.Params() {
					q := folder.Params()[i]
					if p.Name != q.Name {
						t.Fatalf("weight %d is %s, in the folder %s", i, p.Name, q.Name)
					}
					sameFloats(t, p.Name, values(t, p), values(t, q))
				}
			})
		}
	}
	if checked == 0 {
		t.Fatal("no GGUF file with a folder of its name")
	}
}

func TestGoldenPrompts(t *testing.T) {
	checked := 0
	for _, g := range goldenCases(t) {
		if len(g.notes.Prompts) == 0 {
			continue
		}
		checked++
		t.Run(g.name, func(t *testing.T) {
			m := g.load(t)
			o := testOps(t)
			for name, prompt := range g.notes.Prompts {
				g.checkPrompt(t, m, o, name, prompt.IDs)
				tokens, err := m.Generate(o, prompt.IDs, GenerateOptions{Tokens: len(prompt.Greedy.Tokens)})
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(tokens, prompt.Greedy.Tokens) {
					t.Errorf("%s: greedy tokens %v, want %v", name, tokens, prompt.Greedy.Tokens)
				}
				if m.Tokenizer != nil && !slices.Equal(m.Tokenizer.Encode(prompt.Text), prompt.IDs) {
					t.Errorf("%s: ids %v, want %v", name, m.Tokenizer.Encode(prompt.Text), prompt.IDs)
				}
			}
		})
	}
	if checked == 0 {
		t.Fatal("no case was checked")
	}
}

func (g *recorded) checkPrompt(t *testing.T, m *Model, o *eager.Ops, name string, ids []int32) {
	const bound = 2e-3
	got := forwardStates(t, m, o, ids)
	n, width, vocab := len(ids), m.Config.Width, m.Config.Vocab
	agrees(t, name+".last_logits", got.logits[(n-1)*vocab:], g.floats(t, name+".last_logits"), bound, 0)

	top, want := g.ids(t, name+".top_ids"), g.floats(t, name+".top_logits")
	best := len(top) / n
	at := make([]float32, len(top))
	for i, id := range top {
		at[i] = got.logits[i/best*vocab+int(id)]
	}
	agrees(t, name+".top_logits", at, want, bound, 0)

	stream := slices.Clone(got.taps[nn.Place{Layer: 0, At: nn.BlockIn}][(n-1)*width:])
	for i := range m.Config.Layers {
		stream = append(stream, got.taps[nn.Place{Layer: i, At: nn.BlockOut}][(n-1)*width:]...)
	}
	agrees(t, name+".last_stream", stream, g.floats(t, name+".last_stream"), 0, 1e-4)
	agrees(t, name+".last_final", got.final[(n-1)*width:], g.floats(t, name+".last_final"), 0, 1e-4)
	agrees(t, name+".nll_sum", []float32{total(nll(o, got.logits, ids))}, g.floats(t, name+".nll_sum"), bound*float64(n), 0)
}

func values(t testing.TB, p *nn.Param) []float32 {
	t.Helper()
	v, err := p.Values()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// sameFloats wants equal bits.
func sameFloats(t testing.TB, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	for i := range got {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Errorf("%s: element %d is %v, want %v to the bit", what, i, got[i], want[i])
			return
		}
	}
}
