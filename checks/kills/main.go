// Command kills kills keyhole with SIGKILL, again and again, and compares what
// comes of it with an uninterrupted run. Read cases.go, trial.go, tree.go.
//
//	go run ./checks/kills -n 200                 all commands, about half an hour on two cores
//	go run ./checks/kills -n 20 -only train,eval
//
// A trial runs a command in a folder of its own, kills it at a random moment, or
// when a file appears, up to four times, types it again each time, lets it end,
// and demands the bytes of the uninterrupted run and no other file. It exits
// with 1 if anything differs; -keep leaves the folders of such trials.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"keyhole.example/keyhole/checks/built"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "kills: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	f := flag.NewFlagSet("kills", flag.ContinueOnError)
	n := f.Int("n", 200, "kills in all, at least")
	seed := f.Uint64("seed", 1, "seed of the moments")
	only := f.String("only", "", "commands, with commas between (default: all)")
	keyhole := f.String("keyhole", "", "program to kill (default: built from this tree)")
	keep := f.Bool("keep", false, "leave the folders of trials that failed")
	if err := f.Parse(args); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "kills")
	if err != nil {
		return err
	}
	remove := func() { os.RemoveAll(tmp) }
	defer func() { remove() }()
	t := &tries{dir: tmp, seed: *seed, out: out}
	if t.program, err = built.Keyhole(*keyhole, tmp); err != nil {
		return err
	}
	var chosen []kind
	for _, k := range kinds {
		if *only == "" || slices.Contains(strings.Split(*only, ","), k.name) {
			chosen = append(chosen, k)
		}
	}
	if len(chosen) == 0 {
		return fmt.Errorf("-only %s names no command", *only)
	}
	if err := t.inputs(); err != nil {
		return err
	}
	fmt.Fprintf(out, "%-12s %6s %8s %7s %10s %7s\n", "command", "kills", "by files", "trials", "differing", "time")
	var total, bad int
	var errs []error
	for i, k := range chosen {
		start := time.Now()
		want := (*n*(i+1))/len(chosen) - (*n*i)/len(chosen)
		c, err := t.all(k, max(1, want))
		total, bad = total+c.kills, bad+len(c.faults)
		fmt.Fprintf(out, "%-12s %6d %8d %7d %10d %6.0fs\n", k.name, c.kills, c.byFile, c.trials, len(c.faults), time.Since(start).Seconds())
		for _, s := range c.faults {
			fmt.Fprintf(out, "  %s\n", s)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", k.name, err))
		}
	}
	fmt.Fprintf(out, "%-12s %6d\n", "all", total)
	if bad > 0 {
		errs = append(errs, fmt.Errorf("%d trials differ from the uninterrupted run", bad))
		if *keep {
			fmt.Fprintf(out, "their folders are in %s\n", tmp)
			remove = func() {}
		}
	}
	return errors.Join(errs...)
}
