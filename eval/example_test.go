package eval_test

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/ft"
	"keyhole.example/keyhole/embedded"
	"keyhole.example/keyhole/eval"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/tokenizer"
)

// nothing is an editor that changes nothing.
type nothing struct{}

func (nothing) Name() string { return "none" }

func (nothing) Apply(_ context.Context, _ *lm.Model, requests []edit.Request) (*edit.Edited, error) {
	return &edit.Edited{Editor: "none", Requests: requests}, nil
}

// An editor that changes nothing keeps every unrelated answer.
func ExampleRun() {
	tok, err := tokenizer.Train([]string{"the capital of the land"}, 260, nil)
	if err != nil {
		log.Fatal(err)
	}
	model, err := lm.New(lm.Config{
		ModelType: "gpt2", Layers: 2, Width: 8, Heads: 2, FFN: 16, Vocab: tok.Size(), Context: 64, Eps: 1e-5,
		Tied: true, Activation: kernel.GELUTanh, QKVBias: true, OutBias: true, MLPBias: true,
	}, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		log.Fatal(err)
	}
	model.Tokenizer = tok
	engine, err := kernel.New(kernel.Options{})
	if err != nil {
		log.Fatal(err)
	}
	set := &data.Set{Name: "example", Edits: []data.Edit{
		{ID: "1", Subject: "Norway", Prompt: "The capital of Norway is", TargetNew: "Rome", TargetTrue: []string{"Oslo"}},
		{ID: "2", Subject: "Italy", Prompt: "The capital of Italy is", TargetNew: "Oslo", TargetTrue: []string{"Rome"}},
	}}
	report, err := eval.Run(context.Background(), eval.Options{Model: model, Engine: engine, Editor: nothing{}, Set: set})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.N, report.Metrics["locality.borrowed"].Mean, report.Missing)
	// Output: 2 1 [generalization locality locality_kl]
}

// Fine-tuning on three held-out edits of the embedded model.
func ExampleRun_embedded() {
	model, err := embedded.Model()
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	set, err := embedded.Test()
	if err != nil {
		log.Fatal(err)
	}
	engine, err := kernel.New(kernel.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()
	cfg := ft.Default("ft")
	cfg.LR = 1e-2 // the published rate is for large models
	editor, err := ft.New(cfg, engine)
	if err != nil {
		log.Fatal(err)
	}
	report, err := eval.Run(context.Background(), eval.Options{Model: model, Engine: engine, Editor: editor, Set: set, Limit: 3})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s on %d edits, %s\n", report.Editor, report.N, report.Protocol)
	fmt.Printf("reliability %.2f, generalization %.2f, locality %.2f\n", report.Reliability, report.Generalization, report.Locality)
	// Output:
	// ft on 3 edits, single_restore
	// reliability 1.00, generalization 1.00, locality 0.69
}
