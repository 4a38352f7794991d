//go:build unix

// Command ranks does to jobs of several processes what happens to them: a process
// is killed at a random moment, is stopped and then killed, has another file than
// the others, and the disk is full. Every job has to end with a message, and what
// is resumed with another number of processes has to end in the bytes of one
// process that nothing happened to.
//
//	go build -o /tmp/keyhole ./cmd/keyhole && go run ./checks/ranks -keyhole /tmp/keyhole -n 20
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"keyhole.example/keyhole/internal/mpi/mpitest"
)

func main() {
	keyhole := flag.String("keyhole", "", "the `program`, built")
	n := flag.Int("n", 20, "kills for each launcher")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of the moments")
	flag.Parse()
	if err := run(*keyhole, *n, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "ranks:", err)
		os.Exit(1)
	}
}

func run(keyhole string, n int, seed uint64) error {
	keyhole, err := filepath.Abs(keyhole)
	if err != nil {
		return err
	}
	list, err := mpitest.Find()
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("no mpirun is installed; Debian's packages are openmpi-bin and mpich")
	}
	dir, err := os.MkdirTemp("", "ranks-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("seed %d\n", seed)
	t := &trial{keyhole: keyhole, dir: dir, rng: rand.New(rand.NewPCG(seed, 0))}
	if err := t.reference(); err != nil {
		return err
	}
	for _, l := range list {
		t.by = l
		for i := range n {
			if err := t.killed(fmt.Sprintf("%s-%d", l.Name, i), false); err != nil {
				return fmt.Errorf("%s, kill %d: %w", l.Name, i+1, err)
			}
		}
		for name, check := range map[string]func() error{
			"stopped, then killed": func() error { return t.killed(l.Name+"-stopped", true) }, "another file": t.otherFile, "full disk": t.fullDisk,
		} {
			if err := check(); err != nil {
				return fmt.Errorf("%s, %s: %w", l.Name, name, err)
			}
		}
	}
	fmt.Println("all jobs ended with a message, and all resumed runs in the same bytes")
	return nil
}
