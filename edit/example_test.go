package edit_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/ft"
	"keyhole.example/keyhole/embedded"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn/eager"
)

// One fact of the embedded model is edited, asked for, kept as a file, and
// taken back.
func Example() {
	m, err := embedded.Model()
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	k, err := kernel.New(kernel.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer k.Close()
	cfg := ft.Default("ft")
	cfg.LR = 1e-2 // the published rate is for large models
	editor, err := ft.New(cfg, k)
	if err != nil {
		log.Fatal(err)
	}
	ask := func(when, prompt string) {
		ids, err := m.Generate(eager.New(k), m.Tokenizer.Encode(prompt), lm.GenerateOptions{Tokens: 1})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s%s\n", when, prompt, m.Tokenizer.Decode(ids))
	}

	request := edit.Request{ID: "1", Prompt: "Friedrich Rosen succumbed at", Subject: "Friedrich Rosen", Target: "Rome"}
	ask("base", request.Prompt)
	edited, err := editor.Apply(context.Background(), m, []edit.Request{request})
	if err != nil {
		log.Fatal(err)
	}
	undo, err := edited.Install(m, k)
	if err != nil {
		log.Fatal(err)
	}
	ask("edited", request.Prompt)
	ask("edited", "Friedrich Rosen passed away in")
	undo()
	ask("undone", request.Prompt)

	hash, err := m.Hash()
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "keyhole-example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "rosen"+edit.FileExt)
	if err := edit.WriteFile(path, edited, hash); err != nil {
		log.Fatal(err)
	}
	kept, err := edit.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("kept:", kept.Edited.Requests[0].Target, "for this model:", kept.Model == hash)
	// Output:
	// base: Friedrich Rosen succumbed at Beijing
	// edited: Friedrich Rosen succumbed at Rome
	// edited: Friedrich Rosen passed away in Rome
	// undone: Friedrich Rosen succumbed at Beijing
	// kept: Rome for this model: true
}
