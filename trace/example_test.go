package trace_test

import (
	"context"
	"fmt"
	"log"

	"keyhole.example/keyhole/embedded"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/trace"
)

// Where the embedded model keeps a fact: how much of the answer's probability
// comes back when the state of the prompt's last token is restored behind a
// block.
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
	t, err := trace.New(m, k, trace.Default(), nil)
	if err != nil {
		log.Fatal(err)
	}
	r, err := t.Trace(context.Background(), trace.Query{
		Prompt: "Friedrich Rosen succumbed at", Subject: "Friedrich Rosen", Answer: "Beijing",
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("answer%s, with %.2f; with a corrupted subject %.2f\n", r.Answer, r.Clean, r.Corrupted)
	fmt.Printf("%d tokens, those of the subject are %q\n", len(r.Tokens), r.Tokens[r.SubjectRange[0]:r.SubjectRange[1]])
	last := len(r.Tokens) - 1
	for block, p := range r.Scores[last] {
		fmt.Printf("%q restored behind block %d: %.2f\n", r.Tokens[last], block, p)
	}
	// Output:
	// answer Beijing, with 1.00; with a corrupted subject 0.00
	// 5 tokens, those of the subject are ["Friedrich" " Ros" "en"]
	// " at" restored behind block 0: 0.97
	// " at" restored behind block 1: 0.99
	// " at" restored behind block 2: 1.00
	// " at" restored behind block 3: 1.00
	// " at" restored behind block 4: 1.00
	// " at" restored behind block 5: 1.00
}
