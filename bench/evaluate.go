package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/text"
)

// Evaluation compares the evaluation of n edits (the edit, one rephrasing and
// ten unrelated questions each, before and after) with one forward run for
// each prompt and model. Making the edits is left out on both sides: they are
// random low-rank changes of the last three blocks.
func Evaluation(ctx context.Context, root, model string, n, rounds int) (Row, error) {
	r := Row{Name: "evaluation, 1 + 1 + 10 prompts", Unit: "edits/s", Target: "≥ 4"}
	m, err := lm.Load(model)
	if err != nil {
		return r, err
	}
	defer m.Close()
	k, err := kernel.New(kernel.Options{})
	if err != nil {
		return r, err
	}
	defer k.Close()
	set, err := data.Load(filepath.Join(root, "data", "zsre", "zsre_eval.jsonl.gz"), data.Options{Limit: n})
	if err != nil {
		return r, err
	}
	questions, err := data.LoadQuestions(filepath.Join(root, "data", "zsre", "nq_locality.jsonl.gz"), data.Options{Limit: 10 * n})
	if err != nil {
		return r, err
	}
	made := prepared{}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range set.Edits {
		x := &set.Edits[i]
		x.Paraphrases = x.Paraphrases[:min(1, len(x.Paraphrases))]
		x.Locality = map[string][]data.Prompt{data.Unrelated: questions.Items[10*i : 10*i+10]}
		x.Portability = nil
		made[x.ID] = randomEdit(m, rng)
	}
	var ours, plain []float64
	for range rounds {
		start := time.Now()
		if _, err := eval.Run(ctx, eval.Options{Model: m, Engine: k, Editor: made, Set: set, Metrics: []string{}}); err != nil {
			return r, err
		}
		ours = append(ours, float64(n)/time.Since(start).Seconds())
		start = time.Now()
		for i := range set.Edits {
			if err := onePerPrompt(m, k, &set.Edits[i], made[set.Edits[i].ID]); err != nil {
				return r, err
			}
		}
		plain = append(plain, float64(n)/time.Since(start).Seconds())
	}
	r.OursSpread, r.PeerSpread = spread(ours), spread(plain)
	r.Ours, r.Peer = r.OursSpread.Median, r.PeerSpread.Median
	r.Ratio = r.Ours / r.Peer
	return r, nil
}

// prepared is an editor that hands out edits by request.
type prepared map[string]*edit.Edited

func (prepared) Name() string { return "prepared" }

// Apply implements edit.Editor.
func (p prepared) Apply(_ context.Context, _ *lm.Model, r []edit.Request) (*edit.Edited, error) {
	return p[r[0].ID], nil
}

// randomEdit changes the last three blocks' edited weights by rank 8.
func randomEdit(m *lm.Model, rng *rand.Rand) *edit.Edited {
	ed := &edit.Edited{Editor: "prepared"}
	noise := func(rows, cols int) kernel.Matrix {
		x := kernel.Mat(make([]float32, rows*cols), rows, cols)
		for i := range x.Data {
			x.Data[i] = float32(rng.NormFloat64() * 0.01)
		}
		return x
	}
	for _, s := range m.DefaultSites(3) {
		ed.Changes = append(ed.Changes, edit.Change{Weight: s.Name, Delta: &nn.Delta{U: noise(8, s.Linear.In), D: noise(8, s.Linear.Out), Scale: 1}})
	}
	return ed
}

// onePerPrompt scores every prompt of an edit by two forward runs of its own.
func onePerPrompt(m *lm.Model, k *kernel.Engine, x *data.Edit, ed *edit.Edited) error {
	type ask struct{ prompt, answer string }
	asks := []ask{{x.Prompt, x.TargetNew}}
	for _, p := range x.Paraphrases {
		asks = append(asks, ask{p, x.TargetNew})
	}
	for _, p := range x.Locality[data.Unrelated] {
		asks = append(asks, ask{p.Prompt, p.Answers[0][0]})
	}
	deltas, ok := ed.Deltas()
	if !ok {
		return fmt.Errorf("edit %s is not low-rank", x.ID)
	}
	o := eager.New(k)
	for _, a := range asks {
		t, err := text.Answer(m.Tokenizer, a.prompt, a.answer, data.JoinAuto, 32)
		if err != nil {
			return err
		}
		one := text.Pack(t)
		one.Want.Tasks = []nn.Range{{Hi: len(one.Want.V)}}
		for _, d := range []map[string][]nn.Delta{nil, deltas} {
			o.Reset()
			o.Deltas = d
			o.SetTasks([]nn.Range{{Hi: one.Rows()}})
			y := lm.Forward[kernel.Matrix](o, m, &one.IDs, &one.Seq, &one.Want)
			logits := m.Logits(o, y)
			if err := o.Err(); err != nil {
				return err
			}
			lse := make([]float32, logits.Rows)
			k.LogSumExp(lse, logits.Data, logits.Rows, logits.Cols)
		}
	}
	return nil
}
