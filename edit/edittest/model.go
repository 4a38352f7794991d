package edittest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/tokenizer"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/text"
)

// Architectures are the values of TinyModel's arch that between them have
// every stored orientation and kind of MLP.
func Architectures() []string { return []string{"gpt2", "llama"} }

// TinyModel is a model of 4 blocks of width 32 with fresh weights and a
// tokenizer trained on a few sentences: 256 positions. arch is a model type of
// lm.New. The same arch gives the same bytes. The weights are large enough
// that its distributions are far from flat.
func TinyModel(t testing.TB, arch string) *lm.Model {
	t.Helper()
	const vocab, seed = 320, 7
	words, err := tokenizer.Train(sentences(), vocab, []string{"<|endoftext|>"})
	if err != nil {
		t.Fatal(err)
	}
	c := lm.Config{
		ModelType: arch, Layers: 4, Width: 32, Heads: 4, KVHeads: 4, FFN: 64,
		Vocab: words.Size(), Context: 256, Eps: 1e-5, Tied: true,
	}
	if arch != "gpt2" && arch != "opt" {
		c.Rope = lm.Rope{Base: 10000, Dims: 8}
	}
	if arch == "llama" {
		c.KVHeads, c.Activation = 2, kernel.SiLU
	}
	m, err := lm.New(c, rand.New(rand.NewPCG(seed, seed)))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params() {
		if p.Rows == 1 {
			continue // norms and biases
		}
		values, err := p.Values()
		if err != nil {
			t.Fatal(err)
		}
		larger := float32(6) // a standard deviation of 0.12 instead of 0.02
		if p == m.Head().W {
			larger = 20 // else no state could make one token certain
		}
		grown := slices.Clone(values)
		for i := range grown {
			grown[i] *= larger
		}
		if err := p.Assign(grown); err != nil {
			t.Fatal(err)
		}
	}
	m.Tokenizer = words
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// Facts are records in CounterFact's manner: a subject, a prompt, the new and
// the true target, two paraphrases and two neighbours. They are invented.
func Facts() []data.Edit {
	var out []data.Edit
	for i, f := range [][4]string{
		{"Mira Tolvan", "Mira Tolvan was born in the city of", "Rome", "Oslo"},
		{"Hart Bridge", "Hart Bridge is located in the city of", "Paris", "Cairo"},
		{"Dale Orwin", "Dale Orwin was born in the city of", "London", "Tokyo"},
		{"Stone Hall", "Stone Hall is located in the city of", "Vienna", "Rome"},
		{"Lena Marsh", "Lena Marsh speaks the language", "French", "Greek"},
		{"Otto Brandt", "Otto Brandt speaks the language", "Polish", "German"},
		{"the Ferro", "the Ferro is made by", "Nissan", "Fiat"},
		{"the Quanta", "the Quanta is made by", "Apple", "Sony"},
	} {
		out = append(out, data.Edit{
			ID: string(rune('a' + i)), Subject: f[0], Prompt: f[1], TargetNew: f[2], TargetTrue: []string{f[3]},
			Paraphrases: []string{
				"He left early. It rained. " + f[0] + ", which belongs to",
				"Some say that " + f[0] + " comes from",
			},
			Locality: map[string][]data.Prompt{data.Neighborhood: {
				{Prompt: "Old Mill " + f[1][len(f[0])+1:], Answers: [][]string{{f[3]}}},
				{Prompt: "Ann Weld " + f[1][len(f[0])+1:], Answers: [][]string{{f[3]}}},
			}},
		})
	}
	return out
}

// Requests are the first two Facts as requests.
func Requests() []edit.Request {
	var out []edit.Request
	for _, f := range Facts()[:2] {
		out = append(out, edit.Request{ID: f.ID, Prompt: f.Prompt, Subject: f.Subject, Target: f.TargetNew, True: f.TargetTrue[0]})
	}
	return out
}

func sentences() []string {
	var out []string
	for _, f := range Facts() {
		out = append(out, f.Prompt+" "+f.TargetNew, f.Prompt+" "+f.TargetTrue[0])
		out = append(out, f.Paraphrases...)
	}
	return out
}

// NLL is the mean −log p of the target's tokens behind prompt, in nats, by the
// model as it is.
func NLL(t testing.TB, m *lm.Model, k *kernel.Engine, prompt, target string) float64 {
	t.Helper()
	return adaptedNLL(t, m, k, nil, prompt, target)
}

// adaptedNLL is NLL with an adapter behind its layer; nil: none.
func adaptedNLL(t testing.TB, m *lm.Model, k *kernel.Engine, a edit.Adapter, prompt, target string) float64 {
	t.Helper()
	asked, err := text.Answer(m.Tokenizer, prompt, target, data.JoinAuto, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.CheckLength(len(asked.IDs)); err != nil {
		t.Fatal(err)
	}
	o := eager.New(k)
	if a != nil {
		edit.Intercept(o, a, []edit.Span{{Range: nn.Range{Lo: 0, Hi: len(asked.IDs)}, Prompt: asked.Prompt()}})
	}
	ids, seq := text.Lay(asked.IDs)
	logits := m.Logits(o, lm.Forward(o, m, ids, seq, nil))
	if err := o.Err(); err != nil {
		t.Fatal(err)
	}
	sum, n := 0.0, 0
	for i, label := range asked.Labels {
		if label < 0 {
			continue
		}
		row := logits.Data[i*logits.Cols : (i+1)*logits.Cols]
		top, total := float64(slices.Max(row)), 0.0
		for _, v := range row {
			total += math.Exp(float64(v) - top)
		}
		sum += top + math.Log(total) - float64(row[label])
		n++
	}
	return sum / float64(n)
}
