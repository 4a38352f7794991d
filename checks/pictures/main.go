// Command pictures draws pictures of results anew, with the plotting of today, from
// what is kept of them.
//
//	go run ./checks/pictures docs/results/*/*.json
//
// A file holds the averages of many traces, as keyhole trace --data writes them, or
// lines of shares: title, x, y (names of the axes) and series, each with name, x and y.
// FILE.json becomes FILE.png. Or it holds points, those of keyhole bench --scaling
// --json, whose pictures lie beside it.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"keyhole.example/keyhole/bench"
	"keyhole.example/keyhole/compare"
	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/report"
	"keyhole.example/keyhole/trace"
)

// kept is what a file holds: one of the three.
type kept struct {
	trace.Summary

	Title  string
	X, Y   string
	Series []report.Series

	Points []bench.Point
}

func main() {
	for _, path := range os.Args[1:] {
		if err := draw(path); err != nil {
			fmt.Fprintf(os.Stderr, "pictures: %s: %v\n", path, err)
			os.Exit(1)
		}
	}
}

func draw(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var k kept
	if err := json.Unmarshal(raw, &k); err != nil {
		return err
	}
	if len(k.Points) > 0 {
		return bench.Plot(filepath.Dir(path), k.Points)
	}
	f, err := k.figure()
	if err != nil {
		return err
	}
	return atomicfile.Write(strings.TrimSuffix(path, ".json")+".png", f.WritePNG)
}

func (k *kept) figure() (*report.Figure, error) {
	switch {
	case len(k.Effects) > 0:
		return k.HeatMap()
	case len(k.Series) == 0:
		return nil, errors.New("there are no effects, series or points")
	}
	var names []string
	for _, s := range k.Series {
		if len(s.X) != len(s.Y) {
			return nil, fmt.Errorf("series %s has %d x and %d y", s.Name, len(s.X), len(s.Y))
		}
		names = append(names, s.Name)
	}
	return report.Lines(k.Title, report.Axis{Name: k.X}, report.Axis{Name: k.Y, Lo: 0, Hi: 1}, k.Series, compare.Palette(names...)), nil
}
