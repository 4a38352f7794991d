package eval

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn/eager"
)

// benchSet has n records of one paraphrase and ten locality prompts.
func benchSet(n int) *data.Set {
	s := tinySet(n)
	topics := []string{"who wrote the song of the sea", "where is the river of gold", "when did the war of the crown end", "what is the height of the tower",
		"which team won the cup", "who plays the king in the film", "where do the birds go", "what makes the sky blue", "who built the old bridge", "how many moons are there"}
	for i := range s.Edits {
		e := &s.Edits[i]
		e.Paraphrases = e.Paraphrases[:1]
		e.Locality = map[string][]data.Prompt{}
		for j, q := range topics {
			e.Locality[data.Unrelated] = append(e.Locality[data.Unrelated], data.Prompt{
				Prompt:  q + " in the year " + string(rune('a'+i%26)) + string(rune('a'+j)),
				Answers: [][]string{{"the answer"}},
			})
		}
	}
	return s
}

// benchModels has the shapes that are measured: a small one with random
// weights, and, where there is one, a real one.
func benchModels(b *testing.B) map[string]*lm.Model {
	rng := rand.New(rand.NewPCG(1, 2))
	small, err := lm.New(lm.Config{
		ModelType: "gpt2", Layers: 12, Width: 192, Heads: 6, HeadDim: 32, KVHeads: 6, FFN: 768, Vocab: 4096, Context: 128,
		Eps: 1e-5, Tied: true, Activation: kernel.GELUTanh, QKVBias: true, OutBias: true, MLPBias: true,
	}, rng)
	if err != nil {
		b.Fatal(err)
	}
	small.Tokenizer = tinyModel(b, "gpt2").Tokenizer
	models := map[string]*lm.Model{"small": small}
	if shared := os.Getenv("KEYHOLE_SHARED"); shared != "" {
		files, err := filepath.Glob(filepath.Join(shared, "models", "smollm2-135m", "*.gguf"))
		if err != nil || len(files) == 0 {
			b.Fatalf("no GGUF file of SmolLM2 under %s: %v", shared, err)
		}
		m, err := lm.Load(files[0])
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { m.Close() })
		models["smollm2-135m"] = m
	}
	return models
}

// BenchmarkEdits compares the edits per second of Run with those of one
// forward pass per prompt and model. Making the edits is not measured.
func BenchmarkEdits(b *testing.B) {
	const edits = 10
	for name, m := range benchModels(b) {
		k := testEngine(b)
		set := benchSet(edits)
		each := map[string]*edit.Edited{}
		for i := range set.Edits {
			ed, err := random{}.Apply(context.Background(), m, edit.Requests(&set.Edits[i]))
			if err != nil {
				b.Fatal(err)
			}
			each[set.Edits[i].ID] = ed
		}
		b.Run(name+"/one_forward_per_prompt", func(b *testing.B) {
			o := eager.New(k)
			for b.Loop() {
				p := &planner{model: m, set: set, families: families()[:2], terms: newTerms(nil)}
				for i := range set.Edits {
					c, err := p.plan(i)
					if err != nil {
						b.Fatal(err)
					}
					deltas, _ := each[set.Edits[i].ID].Deltas()
					for _, q := range c.Probes {
						q.Base = plainWith(b, o, m, q, nil)
						q.Edited = plainWith(b, o, m, q, deltas)
					}
				}
			}
			b.ReportMetric(float64(b.N*edits)/b.Elapsed().Seconds(), "edits/s")
		})
		b.Run(name+"/packed", func(b *testing.B) {
			for b.Loop() {
				o := Options{Model: m, Engine: k, Editor: prepared{each}, Set: set, Metrics: []string{}}
				if _, err := Run(context.Background(), o); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*edits)/b.Elapsed().Seconds(), "edits/s")
		})
	}
}

// prepared hands out edits made before.
type prepared struct{ each map[string]*edit.Edited }

func (prepared) Name() string { return "prepared" }
func (p prepared) Apply(_ context.Context, _ *lm.Model, r []edit.Request) (*edit.Edited, error) {
	return p.each[r[0].ID], nil
}
