package lm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/internal/regular"
)

const (
	configName  = "config.json"
	configLimit = 16 << 20 // bytes
)

// readConfig reads a folder's config.json.
func readConfig(dir string) (*architecture, Config, map[string]any, error) {
	path := filepath.Join(dir, configName)
	data, err := regular.ReadFile(path, configLimit)
	if err != nil {
		return nil, Config{}, nil, fmt.Errorf("%s is no model folder: %w", dir, err)
	}
	a, c, settings, err := parseConfig(data)
	if err != nil {
		return nil, Config{}, nil, fmt.Errorf("%s: %w", path, err)
	}
	return a, c, settings, nil
}

// ParseConfig reads the text of a config.json, for a model to be made by New.
func ParseConfig(data []byte) (Config, error) {
	_, c, _, err := parseConfig(data)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", configName, err)
	}
	return c, nil
}

// parseConfig reads a config.json. Keys that mean nothing here are kept in
// settings, which Save writes again.
func parseConfig(data []byte) (*architecture, Config, map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	f := &fields{}
	if err := decoder.Decode(&f.values); err != nil {
		return nil, Config{}, nil, fmt.Errorf("not a JSON object: %w", err)
	}
	if f.values == nil {
		return nil, Config{}, nil, errors.New("not a JSON object but null")
	}
	if decoder.More() {
		return nil, Config{}, nil, errors.New("something follows the JSON object")
	}
	class := ""
	if list, ok := f.values["architectures"].([]any); ok && len(list) > 0 {
		class, _ = list[0].(string)
	}
	modelType := f.textOr("model_type", "")
	if f.err != nil {
		return nil, Config{}, nil, f.err
	}
	a, err := findArchitecture(modelType, class)
	if err != nil {
		return nil, Config{}, nil, fmt.Errorf("model_type: %w", err)
	}
	c := Config{ModelType: a.modelType}
	a.read(f, &c)
	c.BOS, c.EOS = f.ids("bos_token_id", c.Vocab), f.ids("eos_token_id", c.Vocab)
	if f.err != nil {
		return nil, Config{}, nil, f.err
	}
	if err := c.Validate(); err != nil {
		return nil, Config{}, nil, err
	}
	return a, c, f.values, nil
}

// wholeHeads fills in what follows from the other sizes.
func (c *Config) wholeHeads(f *fields) {
	if c.KVHeads == 0 {
		c.KVHeads = c.Heads
	}
	if c.HeadDim != 0 || f.err != nil {
		return
	}
	if c.Heads < 1 || c.Width%c.Heads != 0 {
		f.err = fmt.Errorf("hidden size %d is not a multiple of the %d attention heads", c.Width, c.Heads)
		return
	}
	c.HeadDim = c.Width / c.Heads
}

// fields reads keys of a config.json and keeps the first error. A key that is
// null counts as missing.
type fields struct {
	values map[string]any
	err    error
}

func (f *fields) fail(key string, err error) {
	if f.err == nil {
		f.err = fmt.Errorf("%s: %w", key, err)
	}
}

func (f *fields) missing(key string) bool { return f.values[key] == nil }

// int reads a whole number that has to be there.
func (f *fields) int(key string) int {
	if f.missing(key) {
		f.fail(key, errors.New("missing"))
		return 0
	}
	number, ok := f.values[key].(json.Number)
	if !ok {
		f.fail(key, fmt.Errorf("%s is not a whole number", shown(f.values[key])))
		return 0
	}
	n, err := strconv.ParseInt(number.String(), 10, 32) // no size in a config is larger
	if err != nil {
		f.fail(key, fmt.Errorf("%s is not a whole number below 2^31", shown(number)))
	}
	return int(n)
}

func (f *fields) intOr(key string, missing int) int {
	if f.missing(key) {
		return missing
	}
	return f.int(key)
}

// nullableOr tells null, which gives 0, from a missing key.
func (f *fields) nullableOr(key string, missing int) int {
	if v, there := f.values[key]; there && v == nil {
		return 0
	}
	return f.intOr(key, missing)
}

func (f *fields) floatOr(key string, missing float64) float64 {
	if f.missing(key) {
		return missing
	}
	number, ok := f.values[key].(json.Number)
	v, err := number.Float64()
	if !ok || err != nil || math.IsInf(v, 0) {
		f.fail(key, fmt.Errorf("%s is not a number", shown(f.values[key])))
	}
	return v
}

func (f *fields) boolOr(key string, missing bool) bool {
	if f.missing(key) {
		return missing
	}
	v, ok := f.values[key].(bool)
	if !ok {
		f.fail(key, fmt.Errorf("%s is neither true nor false", shown(f.values[key])))
	}
	return v
}

func (f *fields) textOr(key, missing string) string {
	if f.missing(key) {
		return missing
	}
	v, ok := f.values[key].(string)
	if !ok {
		f.fail(key, fmt.Errorf("%s is not a text", shown(f.values[key])))
	}
	return v
}

// mustBe refuses a switch that is not built here; want is the usual setting,
// which a missing key means.
func (f *fields) mustBe(key string, want bool) {
	if f.boolOr(key, want) != want {
		f.fail(key, fmt.Errorf("%t is not supported", !want))
	}
}

func (f *fields) activation(key, missing string) kernel.Activation {
	name := f.textOr(key, missing)
	switch name {
	case "gelu_new", "gelu_pytorch_tanh", "gelu_fast":
		return kernel.GELUTanh
	case "gelu":
		return kernel.GELU
	case "silu", "swish":
		return kernel.SiLU
	case "relu":
		return kernel.ReLU
	case "tanh":
		return kernel.Tanh
	}
	f.fail(key, fmt.Errorf("activation %q is not supported (want gelu_new, gelu, silu, relu or tanh)", name))
	return 0
}

// ids reads a token or a list of tokens. Tokens outside the vocabulary can't
// occur, and published configs have some: they are left out.
func (f *fields) ids(key string, vocab int) []int32 {
	if f.missing(key) {
		return nil
	}
	list, ok := f.values[key].([]any)
	if !ok {
		list = []any{f.values[key]}
	}
	var ids []int32
	for _, v := range list {
		number, _ := v.(json.Number)
		n, err := strconv.ParseInt(number.String(), 10, 64)
		if err != nil {
			f.fail(key, fmt.Errorf("%s is not a token id", shown(v)))
			return nil
		}
		if n >= 0 && n < int64(vocab) {
			ids = append(ids, int32(n))
		}
	}
	return ids
}

// rope reads rotary positions over fraction of each head. Both spellings are
// known: rope_theta with rope_scaling, and the later rope_parameters.
func (f *fields) rope(headDim int, baseKey string, fraction float64) Rope {
	r := Rope{Base: f.floatOr(baseKey, 10000)}
	scaling := "rope_scaling"
	if !f.missing("rope_parameters") {
		scaling = "rope_parameters"
	}
	if !f.missing(scaling) {
		values, ok := f.values[scaling].(map[string]any)
		if !ok {
			f.fail(scaling, fmt.Errorf("%s is not an object", shown(f.values[scaling])))
			return r
		}
		sub := &fields{values: values}
		r.Base = sub.floatOr("rope_theta", r.Base)
		fraction = sub.floatOr("partial_rotary_factor", fraction)
		r.Scaling = sub.textOr("rope_type", sub.textOr("type", "default"))
		if r.Scaling == "default" {
			r.Scaling = ""
		} else {
			r.readScaling(sub, f.intOr("max_position_embeddings", 0), f.intOr("original_max_position_embeddings", 0))
		}
		if sub.err != nil {
			f.fail(scaling, sub.err)
		}
	}
	if !(fraction > 0 && fraction <= 1) {
		f.fail(baseKey, fmt.Errorf("rotary positions over %v of a head: want more than 0, at most 1", fraction))
		return r
	}
	r.Dims = int(float64(headDim) * fraction)
	if r.Dims == 0 && f.err == nil {
		f.fail(baseKey, fmt.Errorf("rotary positions over %v of a head of %d turn nothing", fraction, headDim))
	}
	return r
}

// readScaling reads what belongs to r.Scaling. context is the model's, original
// what the config says outside of the scaling.
func (r *Rope) readScaling(sub *fields, context, original int) {
	const key = "original_max_position_embeddings"
	switch r.Scaling {
	case scaleLlama3:
		r.LowFreq, r.HighFreq = sub.floatOr("low_freq_factor", 1), sub.floatOr("high_freq_factor", 4)
		r.Original = sub.int(key)
		r.Factor = sub.floatOr("factor", 0)
	case scaleYarn:
		r.Factor, r.Original = sub.floatOr("factor", 0), sub.intOr(key, context)
		r.BetaFast, r.BetaSlow = sub.floatOr("beta_fast", 32), sub.floatOr("beta_slow", 1)
		r.Whole = sub.boolOr("truncate", true)
		grown := func(by float64) float64 { return 0.1*by*math.Log(max(r.Factor, 1)) + 1 }
		r.Attention = grown(1)
		if m, all := sub.floatOr("mscale", 0), sub.floatOr("mscale_all_dim", 0); m != 0 && all != 0 {
			r.Attention = grown(m) / grown(all)
		}
		r.Attention = sub.floatOr("attention_factor", r.Attention)
	case "su", scaleLongrope:
		r.Scaling, r.Short = scaleLongrope, sub.floats("short_factor")
		r.Factor, r.Original = sub.floatOr("factor", 1), sub.intOr(key, original)
		if r.Original > 0 {
			r.Factor = float64(context) / float64(r.Original)
		} else {
			r.Original = context
		}
		r.Factor = max(r.Factor, 1)
		r.Attention = 1
		if r.Factor > 1 && r.Original > 1 {
			r.Attention = math.Sqrt(1 + math.Log(r.Factor)/math.Log(float64(r.Original)))
		}
		r.Attention = sub.floatOr("attention_factor", r.Attention)
	default:
		r.Factor = sub.floatOr("factor", 0)
	}
}

// floats reads a list of numbers.
func (f *fields) floats(key string) []float64 {
	list, ok := f.values[key].([]any)
	if !ok {
		f.fail(key, fmt.Errorf("%s is not a list of numbers", shown(f.values[key])))
		return nil
	}
	out := make([]float64, len(list))
	for i, v := range list {
		sub := &fields{values: map[string]any{key: v}}
		if out[i] = sub.floatOr(key, 0); sub.err != nil {
			f.fail(key, sub.err)
			return nil
		}
	}
	return out
}

// marked reads a list with an entry for each block and says where it is want;
// nil without the key.
func (f *fields) marked(key string, want any) []bool {
	if f.missing(key) {
		return nil
	}
	list, ok := f.values[key].([]any)
	if !ok {
		f.fail(key, fmt.Errorf("%s is not a list with an entry for each block", shown(f.values[key])))
		return nil
	}
	out := make([]bool, len(list))
	for i, v := range list {
		number, isNumber := v.(json.Number)
		out[i] = v == want || isNumber && number.String() == want
	}
	return out
}

// shown is a JSON value for an error, cut to a line.
func shown(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%T", v)
	}
	const longest = 40
	if len(text) > longest {
		return strings.ToValidUTF8(string(text[:longest]), "") + "…"
	}
	return string(text)
}
