// Command serve tries keyhole serve from outside: it kills the server with SIGKILL
// while edits are saved, and asks it by many clients at once. Read server.go (a
// server in a process of its own), kills.go, load.go.
//
//	go run ./checks/serve -kills 40                       about five minutes
//	go run ./checks/serve -kills 30 -load 10s -out docs/results/serve.md
//
// After each kill the server is started again in the same folder. It has to start,
// to have every change that it had said was made, in the order that it had said,
// and no change that was never asked for. It exits with 1 if it does not.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"keyhole.example/keyhole/checks/built"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "serve: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) (err error) {
	f := flag.NewFlagSet("serve", flag.ContinueOnError)
	kills := f.Int("kills", 40, "kills while edits are saved")
	load := f.Duration("load", 10*time.Second, "time of each part of the load test; 0: none")
	seed := f.Uint64("seed", 1, "seed of the changes and the moments")
	keyhole := f.String("keyhole", "", "program to try (default: built from this tree)")
	file := f.String("out", "", "write the report to this `file`, too")
	if err := f.Parse(args); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "serve")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	program, err := built.Keyhole(*keyhole, tmp)
	if err != nil {
		return err
	}
	report := fmt.Sprintf("# The server, killed and under load\n\nMade by `go run ./checks/serve -kills %d -load %v -out docs/results/serve.md`\non %d cores, which other work shared.\n", *kills, *load, runtime.NumCPU())
	if *kills > 0 {
		k := &killing{program: program, store: filepath.Join(tmp, "killed"), seed: *seed}
		part, err := k.all(*kills)
		if err != nil {
			return err
		}
		report += part
		fmt.Fprint(out, part)
	}
	if *load > 0 {
		part, err := measure(program, filepath.Join(tmp, "loaded"), *load)
		if err != nil {
			return err
		}
		report += part
		fmt.Fprint(out, part)
	}
	if *file != "" {
		return os.WriteFile(*file, []byte(report), 0o666)
	}
	return nil
}
