package lm

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm/gguf"
	"keyhole.example/keyhole/lm/tensorfile"
)

// dialect is how llama.cpp's converter writes an architecture: what its
// metadata leave out, and its names and layouts of weights.
type dialect struct {
	name       string // general.architecture
	activation kernel.Activation
	rms        bool // RMS norms
	learned    bool // learned positions
	parallel   bool // the default of use_parallel_residual
	transposed bool // linear weights that we keep [in, out] lie [out, in]
	shifted    bool // norms that we keep without the one of their gain have it

	fill func(c *Config) // what follows from the architecture; nil: nothing

	names  map[string]string // outside blocks, without ".weight": ours to theirs
	blocks string            // what our names of block weights begin with
	inner  map[string]string // inside a block

	// row gives the order of rows in a linear layer of a block, named as in
	// inner: the file's row of ours. It, or what it returns, may be nil.
	row func(c *Config, inner string) func(row int) int
}

// locate finds the file's name and layout of a weight.
func (d *dialect) locate(c *Config, w weight) place {
	base, kind := w.name, ""
	if at := strings.LastIndexByte(w.name, '.'); at >= 0 {
		base, kind = w.name[:at], w.name[at:]
	}
	p := place{transposed: d.transposed && w.inOut}
	if d.shifted && w.shifted {
		p.less = 1
	}
	rest, ok := strings.CutPrefix(base, d.blocks)
	if !ok {
		p.names = []string{d.names[base] + kind}
		return p
	}
	number, inner, _ := strings.Cut(rest, ".")
	p.names = []string{"blk." + number + "." + d.inner[inner] + kind}
	if d.row != nil {
		p.row = d.row(c, inner)
	}
	return p
}

func bindGGUF(file *gguf.File) (*Model, error) {
	name, err := file.Text("general.architecture")
	if err != nil {
		return nil, err
	}
	arch, err := ggufArchitecture(name)
	if err != nil {
		return nil, err
	}
	c, err := ggufConfig(file, arch)
	if err != nil {
		return nil, err
	}
	if c.Window > 0 && arch.modelType == "llama" { // llama.cpp keeps Mistral under llama's name
		if arch, err = findArchitecture("mistral", ""); err != nil {
			return nil, err
		}
		c.ModelType = arch.modelType
	}
	dialect := arch.gguf
	if dialect == nil {
		dialect = llamaDialect(name, true)
	}
	src := newFileSource(file, func(w weight) place { return dialect.locate(&c, w) })
	for _, name := range []string{ropeShort, ropeLong} {
		src.used[name] = true
	}
	if t, ok := file.Tensor(ropeFactors); ok {
		if err := c.Rope.fromFactors(t); err != nil {
			return nil, err
		}
		src.used[ropeFactors] = true
	}
	m, err := newModel(arch, c, src)
	if err == nil {
		err = src.ignoreTiedHead(m)
	}
	if err == nil {
		err = src.finish()
	}
	if err != nil {
		return nil, err
	}
	m.whole, m.origins = src.whole, src.origins
	return m, nil
}

// meta reads metadata under the architecture's prefix and keeps the first
// error.
type meta struct {
	file   *gguf.File
	prefix string
	err    error
}

func (m *meta) int(key string) int {
	v, err := m.file.Int(m.prefix + key)
	return keepFirst(m, v, err)
}

func (m *meta) intOr(key string, missing int) int {
	if !m.file.Has(m.prefix + key) {
		return missing
	}
	return m.int(key)
}

func (m *meta) floatOr(key string, missing float64) float64 {
	v, err := m.file.Float(m.prefix + key)
	if errors.Is(err, gguf.ErrMissing) {
		return missing
	}
	return keepFirst(m, v, err)
}

func (m *meta) boolOr(key string, missing bool) bool {
	v, err := m.file.Bool(m.prefix + key)
	if errors.Is(err, gguf.ErrMissing) {
		return missing
	}
	return keepFirst(m, v, err)
}

func (m *meta) textOr(key, missing string) string {
	v, err := m.file.Text(m.prefix + key)
	if errors.Is(err, gguf.ErrMissing) {
		return missing
	}
	return keepFirst(m, v, err)
}

func keepFirst[V any](m *meta, v V, err error) V {
	if m.err == nil {
		m.err = err
	}
	return v
}

func ggufConfig(file *gguf.File, arch *architecture) (Config, error) {
	d := arch.gguf
	f := &meta{file: file, prefix: d.name + "."}
	c := Config{ModelType: arch.modelType, Activation: d.activation}
	c.Layers = f.int("block_count")
	c.Width = f.int("embedding_length")
	c.FFN = f.int("feed_forward_length")
	c.Heads = f.int("attention.head_count")
	c.KVHeads = f.intOr("attention.head_count_kv", c.Heads)
	c.Context = f.int("context_length")
	c.Window = f.intOr("attention.sliding_window", 0)
	c.AttnCap, c.LogitCap = f.floatOr("attn_logit_softcapping", 0), f.floatOr("final_logit_softcapping", 0)
	c.Parallel = f.boolOr("use_parallel_residual", d.parallel)
	if c.HeadDim = f.intOr("attention.key_length", 0); c.HeadDim == 0 && c.Heads > 0 {
		c.HeadDim = c.Width / c.Heads
	}
	if v := f.intOr("attention.value_length", c.HeadDim); v != c.HeadDim {
		return c, fmt.Errorf("%s: heads of %d for keys and %d for values are not supported", file.Path(), c.HeadDim, v)
	}
	// Epsilon is kept as float32; the nearest short decimal is meant.
	if d.rms {
		c.Eps = shortest(f.floatOr("attention.layer_norm_rms_epsilon", 1e-6))
	} else {
		c.Eps = shortest(f.floatOr("attention.layer_norm_epsilon", 1e-5))
	}
	if !d.learned {
		c.Rope = Rope{Base: shortest(f.floatOr("rope.freq_base", 10000)), Dims: f.intOr("rope.dimension_count", c.HeadDim)}
		switch scaling := f.textOr("rope.scaling.type", "none"); scaling {
		case "none":
		case scaleLinear:
			c.Rope.Scaling, c.Rope.Factor = scaleLinear, shortest(f.floatOr("rope.scaling.factor", 1))
		case scaleYarn:
			c.Rope.Scaling, c.Rope.Factor = scaleYarn, shortest(f.floatOr("rope.scaling.factor", 1))
			c.Rope.Original = f.intOr("rope.scaling.original_context_length", c.Context)
			c.Rope.BetaFast, c.Rope.BetaSlow, c.Rope.Whole = 32, 1, true
			c.Rope.Attention = 0.1*math.Log(max(c.Rope.Factor, 1)) + 1
		case scaleLongrope: // its factors are tensors
		default:
			return c, fmt.Errorf("%s: rope scaling %q is not supported (want none, linear, yarn or longrope)", file.Path(), scaling)
		}
	}
	if t, ok := file.Tensor(ropeShort); ok {
		c.Rope.fromLongrope(t, f, c.Context)
	}
	if f.err != nil {
		return c, f.err
	}
	if t, ok := file.Tensor("token_embd.weight"); ok {
		c.Vocab = t.Rows()
	} else {
		return c, fmt.Errorf("%s: tensor token_embd.weight is missing", file.Path())
	}
	has := func(name string) bool { _, ok := file.Tensor(name); return ok }
	_, c.QKNorm = d.inner["self_attn.q_norm"]
	if d.fill != nil {
		d.fill(&c)
	}
	c.QKVBias = has("blk.0.attn_q.bias") || has("blk.0.attn_qkv.bias")
	c.OutBias, c.MLPBias = has("blk.0.attn_output.bias"), has("blk.0.ffn_up.bias")
	head, ok := file.Tensor("output.weight")
	embedding, _ := file.Tensor("token_embd.weight")
	c.Tied = !ok || sameBytes(head, embedding)
	for key, list := range map[string]*[]int32{"bos": &c.BOS, "eos": &c.EOS} {
		if id, err := file.Int("tokenizer.ggml." + key + "_token_id"); err == nil && id >= 0 && id < c.Vocab {
			*list = []int32{int32(id)}
		}
	}
	return c, nil
}

// shortest is the float64 that reads like the float32 v: 1e-05, not
// 9.999999747378752e-06.
func shortest(v float64) float64 {
	var out float64
	if _, err := fmt.Sscan(fmt.Sprint(float32(v)), &out); err != nil {
		return v
	}
	return out
}

// longrope's factors, for texts within the original context and beyond.
const (
	ropeShort = "rope_factors_short.weight"
	ropeLong  = "rope_factors_long.weight"
)

// fromLongrope reads the factors of short texts.
func (r *Rope) fromLongrope(t *tensorfile.Tensor, f *meta, context int) {
	factors, err := t.Float32()
	if err != nil {
		f.err = err
		return
	}
	r.Scaling, r.Original = scaleLongrope, f.intOr("rope.scaling.original_context_length", context)
	for _, v := range factors {
		r.Short = append(r.Short, shortest(float64(v)))
	}
	r.Factor = max(float64(context)/float64(max(r.Original, 1)), 1)
	r.Attention = shortest(f.floatOr("rope.scaling.attn_factor", 1))
}

// ropeFactors is the tensor into which llama.cpp's converter turns llama3's
// rope scaling: what each frequency is divided by.
const ropeFactors = "rope_freqs.weight"

// fromFactors finds the scaling that gives the file's factors. Only the
// largest factor varies among published models.
func (r *Rope) fromFactors(t *tensorfile.Tensor) error {
	factors, err := t.Float32()
	if err != nil {
		return err
	}
	if len(factors) != r.Dims/2 || len(factors) == 0 {
		return fmt.Errorf("tensor %s has %d factors for %d rotary dimensions", t.Name, len(factors), r.Dims)
	}
	largest := slices.Max(factors)
	if largest == 1 {
		return nil
	}
	guess := *r
	guess.Scaling, guess.Factor, guess.LowFreq, guess.HighFreq, guess.Original = scaleLlama3, float64(largest), 1, 4, 8192
	for i, f := range (&Rope{Base: r.Base, Dims: r.Dims}).frequencies() {
		want := guess.slowdown(float64(f))
		if !(math.Abs(want-float64(factors[i])) <= 1e-3*want) {
			return fmt.Errorf("tensor %s is no llama3 rope scaling that we know: factor %d is %v, want %v", t.Name, i, factors[i], want)
		}
	}
	*r = guess
	return nil
}
