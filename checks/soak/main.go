// Command soak lets a command run for long and watches its resident memory and
// its open descriptors. Read watch.go, then slope.go.
//
//	go run ./checks/soak edits -n 20000 -out edits.jsonl
//	go run ./checks/soak watch -for 1h -out train keyhole train quickstart --out run
//	go run ./checks/soak draw train
//
// watch writes train.jsonl (the samples), train-memory.png and
// train-descriptors.png, and prints how both grew. It exits with 1 if the
// command failed. It needs Linux's /proc. draw does the same again with samples that
// there are.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/embedded"
	"keyhole.example/keyhole/internal/atomicfile"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "soak: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("want `edits`, `watch` or `draw`; see go doc ./checks/soak")
	}
	f := flag.NewFlagSet(args[0], flag.ContinueOnError)
	switch args[0] {
	case "edits":
		n := f.Int("n", 20000, "how many edits")
		path := f.String("out", "edits.jsonl", "file to write")
		if err := f.Parse(args[1:]); err != nil {
			return err
		}
		return writeEdits(*path, *n)
	case "watch":
		o := options{}
		f.DurationVar(&o.limit, "for", time.Hour, "interrupt the command after so long")
		f.DurationVar(&o.every, "every", 5*time.Second, "time between samples")
		f.StringVar(&o.out, "out", "soak", "samples and figures are named after this")
		if err := f.Parse(args[1:]); err != nil {
			return err
		}
		return watch(ctx, o, f.Args(), out)
	case "draw":
		if err := f.Parse(args[1:]); err != nil {
			return err
		}
		for _, name := range f.Args() {
			if err := draw(name, out); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("%q is none of edits, watch and draw", args[0])
}

// writeEdits writes n of the embedded edits to train on, again and again.
func writeEdits(path string, n int) error {
	set, err := embedded.Train()
	if err != nil {
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error { return data.WriteEdits(w, repeated(set.Edits, n)) })
}

// repeated is edits again and again until there are n, each with an id of its
// own.
func repeated(edits []data.Edit, n int) []data.Edit {
	list := make([]data.Edit, n)
	for i := range list {
		list[i] = edits[i%len(edits)]
		list[i].ID = fmt.Sprintf("%s-%d", list[i].ID, i/len(edits))
	}
	return list
}
