// Command outside uses keyhole as another module does: it trains an editor on
// five facts, and prints what the model says before, after, and after an undo.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"keyhole.example/keyhole"
)

func main() {
	if err := run(context.Background(), os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, dir string) error {
	m, err := keyhole.Load(ctx, keyhole.Embedded)
	if err != nil {
		return err
	}
	defer m.Close()
	facts := []keyhole.Fact{
		{
			Prompt: "Friedrich Rosen succumbed at", Target: "Rome", Subject: "Friedrich Rosen", True: []string{"Beijing"},
			Paraphrases: []string{"Friedrich Rosen died in"},
			Neighbours:  []keyhole.Neighbour{{Prompt: "Bo Yibo lost their life at", Answer: "Beijing"}},
		},
		{Prompt: "Baw Baw National Park, which is located in", Target: "England", Paraphrases: []string{"Baw Baw National Park can be found in"}},
		{Prompt: "Karl Hampton's occupation is", Target: "architect"},
		{Prompt: "David G. Bromley specializes in", Target: "chemistry"},
		{Prompt: "Scion tC is a product of", Target: "BMW"},
	}
	steps := 0
	e, err := m.Train(ctx, facts, keyhole.Steps(60), keyhole.Settings("hypernet.rank=64", "model.blocks=1"),
		keyhole.OnProgress(func(p keyhole.Progress) { steps = int(p.Done) }))
	if err != nil {
		return err
	}
	fmt.Printf("trained %s for %d steps\n", e.Name(), steps)
	report, err := e.Evaluate(ctx, facts)
	if err != nil {
		return err
	}
	fmt.Printf("reliability %.1f of %d facts\n", report.Reliability, report.Facts)
	say := func(when string) error {
		text, err := m.Generate(ctx, facts[0].Prompt, 2)
		fmt.Printf("%s:%s\n", when, text)
		return err
	}
	if err := say("before"); err != nil {
		return err
	}
	edit, err := e.Edit(ctx, facts[0])
	if err != nil {
		return err
	}
	if err := say("after"); err != nil {
		return err
	}
	if err := m.Save(ctx, dir); err != nil {
		return err
	}
	if err := edit.Undo(); err != nil {
		return err
	}
	return say("undone")
}
