// Package spreadtest prepares golden values of editors that spread values over
// layers, for the tests of these editors.
package spreadtest

import (
	"fmt"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/keyvalue"
	"keyhole.example/keyhole/edit/keyvalue/keyvaluetest"
	"keyhole.example/keyhole/edit/stats"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
)

// Config is the search of h, unlimited, in the case's contexts.
func Config(c *keyvaluetest.Case, h keyvaluetest.HParams, from keyvalue.Config) keyvalue.Config {
	from.FactToken = h.FactToken
	from.Search = keyvalue.Search{Steps: h.Steps, LR: h.LR, WeightDecay: h.Decay, Clamp: h.Clamp, KL: h.KL, StopLoss: 0.05}
	from.Contexts.Templates, from.Force = c.Templates, true
	return from
}

// Moments are cov.LAYER.C.
func Moments(t testing.TB, c *keyvaluetest.Case) stats.Source {
	g := c.Tensors(t, "cov.")
	return func(m *lm.Model, s lm.Site) (*stats.Moment, error) {
		hash, err := m.Hash()
		if err != nil {
			return nil, err
		}
		const tokens = 1000
		out := &stats.Moment{Info: stats.Info{Model: hash, Site: s.Name, Width: s.Linear.In, Tokens: tokens, Corpus: "golden"}}
		for _, v := range g.Floats(fmt.Sprintf("%d.C", s.Block)) {
			out.Sum = append(out.Sum, float64(v)*tokens)
		}
		return out, nil
	}
}

// Keys are a layer's keys in m as it is, [d_ff, requests], as rows one after
// another.
func Keys(t testing.TB, c *keyvaluetest.Case, m *lm.Model, k *kernel.Engine, layer int, requests []edit.Request) []float32 {
	t.Helper()
	var contexts []string
	for _, s := range c.Templates {
		contexts = append(contexts, strings.TrimSuffix(s, "{}"))
	}
	var out *mat.Dense
	for i, r := range requests {
		f, err := keyvalue.NewFact(m, r, contexts, keyvalue.SubjectLast)
		if err != nil {
			t.Fatal(err)
		}
		s, err := keyvalue.States(m, eager.New(k), f.Prompts, nn.Place{Layer: layer, At: nn.MLPAct})
		if err != nil {
			t.Fatal(err)
		}
		if out == nil {
			out = mat.NewDense(s[0].Cols, len(requests), nil)
		}
		for j, v := range keyvalue.Mean(s[0], 1) {
			out.Set(j, i, (v+float64(s[0].Data[j]))/2)
		}
	}
	return Flat(out)
}

// LastLogits are the logits behind each of the probes, one after another.
func LastLogits(t testing.TB, c *keyvaluetest.Case, m *lm.Model, k *kernel.Engine) []float32 {
	t.Helper()
	var out []float32
	for _, text := range c.Probes {
		ids := m.Tokenizer.EncodeSpecial(text)
		n := len(ids)
		o := eager.New(k)
		last := &nn.RowSet{V: []int32{int32(n - 1)}}
		x := m.Logits(o, lm.Forward[kernel.Matrix](o, m, &nn.IDs{V: ids}, nn.Pack(n), last))
		if err := o.Err(); err != nil {
			t.Fatal(err)
		}
		out = append(out, x.Data[:x.Cols]...)
	}
	return out
}

// Dense is a matrix of rows one after another.
func Dense(x []float32, rows, cols int) *mat.Dense {
	out := mat.NewDense(rows, cols, nil)
	for i, v := range x {
		out.Set(i/cols, i%cols, float64(v))
	}
	return out
}

// Flat is the reverse of Dense.
func Flat(x mat.Matrix) []float32 {
	rows, cols := x.Dims()
	out := make([]float32, 0, rows*cols)
	for i := range rows {
		for j := range cols {
			out = append(out, float32(x.At(i, j)))
		}
	}
	return out
}
