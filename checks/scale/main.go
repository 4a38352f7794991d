//go:build unix

// Command scale measures the parts of a training step (what processes share, what
// each of them computes, what they exchange) and draws what follows for 1 to 64
// machines.
//
//	go run ./checks/scale -config configs/quickstart.yaml -out docs/results/scale/quickstart
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"keyhole.example/keyhole/report"
)

// list collects a flag that is given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func main() {
	var set list
	config := flag.String("config", "configs/quickstart.yaml", "`file` of the run")
	steps := flag.Int("steps", 24, "steps to measure")
	speed := flag.Float64("speed", 1, "how many times as fast as one core here a machine is")
	edits := flag.Int("edits", 0, "edits of a step; 0: as the config says")
	out := flag.String("out", "", "`path` of the drawing, without .svg; empty: none")
	flag.Var(&set, "set", "override a `key=value` of the config")
	flag.Parse()
	if err := run(*config, set, *steps, *speed, *edits, *out); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run(config string, set []string, steps int, speed float64, edits int, out string) error {
	p, err := measure(config, set, steps)
	if err != nil {
		return err
	}
	fmt.Printf("one process, one thread, processor time a step: shared %.1f ms, network %.1f ms, optimiser %.1f ms\n", 1e3*p.shared, 1e3*p.network, 1e3*p.optimiser)
	fmt.Printf("exchanged by all processes a step: %s in %d calls; the gradient would have %s\n", report.Bytes(int64(p.bytes)), p.calls, report.Bytes(int64(p.gradient)))
	if edits > 0 {
		p = p.of(edits)
	}
	var series []report.Series
	fmt.Println("machines  10 Gbit/s  100 Gbit/s  share of the exchange at 10 Gbit/s")
	links := []float64{10, 100}
	for _, gbit := range links {
		series = append(series, report.Series{Name: fmt.Sprintf("%g Gbit/s", gbit)})
	}
	for n := 1; n <= 64; n *= 2 {
		line := fmt.Sprintf("%8d", n)
		for i, gbit := range links {
			up := p.step(1, speed, gbit).total() / p.step(n, speed, gbit).total()
			series[i].X, series[i].Y = append(series[i].X, float64(n)), append(series[i].Y, up)
			line += fmt.Sprintf("  %9.2f", up)
		}
		s := p.step(n, speed, links[0])
		fmt.Printf("%s  %20.3f\n", line, s.exchange/s.total())
	}
	if out == "" {
		return nil
	}
	title := fmt.Sprintf("%s, up to %d edits a step: speed against one machine", strings.TrimSuffix(filepath.Base(config), ".yaml"), p.mostEdits())
	figure := report.Lines(title, report.Axis{Name: "machines", Log: true}, report.Axis{Name: "times as fast", Log: true}, series, nil)
	f, err := os.Create(out + ".svg")
	if err != nil {
		return err
	}
	return errors.Join(figure.WriteSVG(f), f.Close())
}
