package train_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/mend"
	"keyhole.example/keyhole/embedded"
	"keyhole.example/keyhole/train"
)

// An editor of the embedded model is trained for four steps, far too few to be
// good, opened from its run folder, and asked for an edit.
func Example() {
	dir, err := os.MkdirTemp("", "keyhole-example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	run := filepath.Join(dir, "run")

	cfg := train.Default()
	cfg.Model.Blocks, cfg.Hypernet.Rank = 1, 8
	cfg.Train.Steps, cfg.Train.Accumulate, cfg.Train.ValEvery, cfg.Train.ValEdits = 4, 2, 2, 5
	resolved, err := configs.Load("", &cfg, configs.Options{})
	if err != nil {
		log.Fatal(err)
	}
	builtin := train.Sources{Model: embedded.Model, Edits: embedded.Edits}
	loop, err := train.Start(cfg, resolved, run, false, builtin, &quiet{})
	if err != nil {
		log.Fatal(err)
	}
	if err := loop.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	if err := loop.Close(); err != nil {
		log.Fatal(err)
	}

	e, _, err := train.OpenEditor(run, builtin, nil)
	if err != nil {
		log.Fatal(err)
	}
	editor := mend.New(e.Objective, "mend", e.TextOptions(), e.Model.Tokenizer)
	edited, err := editor.Apply(context.Background(), e.Model, []edit.Request{{ID: "1", Prompt: "Friedrich Rosen succumbed at", Target: "Rome"}})
	if err != nil {
		log.Fatal(err)
	}
	lines, err := train.ReadLog(run)
	fmt.Println(len(lines), "lines of log;", err)
	for _, c := range edited.Changes {
		fmt.Printf("%s: rank %d\n", c.Weight, c.Delta.U.Rows)
	}
	// Output:
	// 6 lines of log; <nil>
	// transformer.h.5.mlp.c_proj.weight: rank 1
	// transformer.h.5.mlp.c_fc.weight: rank 1
}
