package eval

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/tokenizer"
	"keyhole.example/keyhole/nn"
)

// tinyModel is a random model with a tokenizer of bytes and a few merges.
func tinyModel(t testing.TB, modelType string) *lm.Model {
	t.Helper()
	tok, err := tokenizer.Train([]string{"the capital of the land is the city of the king the the"}, 280, []string{"<|endoftext|>"})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	c := lm.Config{
		ModelType: modelType, Layers: 3, Width: 16, Heads: 2, HeadDim: 8, KVHeads: 2, FFN: 24,
		Vocab: tok.Size(), Context: 400, Eps: 1e-5, Tied: true, Activation: kernel.GELUTanh,
	}
	switch modelType {
	case "gpt2":
		c.QKVBias, c.OutBias, c.MLPBias = true, true, true
	case "llama":
		c.Rope, c.Activation = lm.Rope{Base: 10000, Dims: 8}, kernel.SiLU
	}
	m, err := lm.New(c, rng)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params() {
		v, err := p.Values()
		if err != nil {
			t.Fatal(err)
		}
		for i := range v {
			v[i] += float32(rng.NormFloat64()) * 0.3
		}
	}
	m.Tokenizer = tok
	return m
}

func testEngine(t testing.TB) *kernel.Engine {
	t.Helper()
	k, err := kernel.New(kernel.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

// tinySet has n records with everything that a family asks for.
func tinySet(n int) *data.Set {
	s := &data.Set{Name: "tiny", Format: "keyhole"}
	for i := range n {
		one := func(a string) [][]string { return [][]string{{a}} }
		e := data.Edit{
			ID: fmt.Sprintf("e%d", i), Subject: fmt.Sprintf("land %d", i), Prompt: fmt.Sprintf("the capital of land %d is", i),
			TargetNew: "rome", TargetTrue: []string{"oslo"},
			Paraphrases: []string{fmt.Sprintf("land %d has the capital", i), fmt.Sprintf("the king of land %d lives in", i)},
			Reverse:     []data.Prompt{{Prompt: "rome is the capital of", Answers: one("land")}},
			Locality: map[string][]data.Prompt{
				data.Neighborhood: {{Prompt: "the capital of norway is", Answers: one("oslo")}, {Prompt: fmt.Sprintf("city %d lies near", i), Answers: one("oslo")}},
				data.Unrelated:    {{Prompt: "who wrote it", Answers: one("ibsen")}},
				data.Distracting:  {{Prompt: "x is rome. the capital of norway is", Answers: one("oslo")}},
				data.Attribute:    {{Prompt: "the capital of italy is", Answers: one("rome")}},
			},
			Portability: map[string][]data.Prompt{
				data.OneHop:       {{Prompt: "the river there is", Answers: one("tiber")}},
				data.SubjectAlias: {{Prompt: "the capital there is", Answers: one("rome")}},
			},
			GenerationPrompts: []string{"the land is known for", "the king of the land"},
			RelationID:        "P36",
		}
		if i%3 == 2 {
			e.Locality = nil
		}
		s.Edits = append(s.Edits, e)
	}
	return s
}

// none changes nothing.
type none struct{}

func (none) Name() string { return "none" }
func (none) Apply(_ context.Context, _ *lm.Model, r []edit.Request) (*edit.Edited, error) {
	return &edit.Edited{Editor: "none", Requests: r}, nil
}

// random makes low-rank changes of two blocks, drawn by the first request.
type random struct {
	dense   bool
	applied *int
}

func (random) Name() string { return "random" }

func (r random) Apply(ctx context.Context, m *lm.Model, requests []edit.Request) (*edit.Edited, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.applied != nil {
		*r.applied++
	}
	h := fnv.New64a()
	h.Write([]byte(requests[0].ID))
	rng := rand.New(rand.NewPCG(h.Sum64(), 7))
	out := &edit.Edited{Editor: "random", Requests: requests}
	for _, s := range m.DefaultSites(2) {
		draw := func(rows, cols int) kernel.Matrix {
			x := kernel.Mat(make([]float32, rows*cols), rows, cols)
			for i := range x.Data {
				x.Data[i] = float32(rng.NormFloat64())
			}
			return x
		}
		c := edit.Change{Weight: s.Name}
		if r.dense {
			old, err := s.Linear.W.Values()
			if err != nil {
				return nil, err
			}
			c.Values = slices.Clone(old)
			for i := range c.Values {
				c.Values[i] += float32(rng.NormFloat64()) * 0.1
			}
		} else {
			c.Delta = &nn.Delta{U: draw(2, s.Linear.In), D: draw(2, s.Linear.Out), Scale: 0.1}
		}
		out.Changes = append(out.Changes, c)
	}
	return out, nil
}

// eachRandom is random with ApplyEach.
type eachRandom struct{ random }

func (r eachRandom) ApplyEach(ctx context.Context, m *lm.Model, requests []edit.Request) ([]*edit.Edited, error) {
	var out []*edit.Edited
	for i := range requests {
		e, err := r.Apply(ctx, m, requests[i:i+1])
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// stated puts a text in front of every prompt.
type stated struct{ text string }

func (stated) Name() string { return "stated" }
func (s stated) Apply(_ context.Context, _ *lm.Model, r []edit.Request) (*edit.Edited, error) {
	return &edit.Edited{Editor: "stated", Requests: r, Context: func(string) (string, error) { return s.text, nil }}, nil
}
