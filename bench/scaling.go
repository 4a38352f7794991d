package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/report"
)

// Point is one measurement of a scaling series.
type Point struct {
	Axis           string  `json:"axis"`
	Value          float64 `json:"value"`
	EditsPerSecond float64 `json:"edits_per_second"`
	PeakMiB        float64 `json:"peak_rss_mib"`
}

// size is a GPT-2 shape with random weights.
type size struct{ layers, width, heads int }

// Scale measures edits per second and memory on GPT-2 shapes with random
// weights and made-up edits, which need no other file, and plots each series
// into dir.
func Scale(ctx context.Context, self, dir string, say func(string, ...any)) ([]Point, error) {
	tmp, err := os.MkdirTemp("", "keyhole-scaling-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	sizes := []size{{6, 256, 4}, {8, 512, 8}, {12, 768, 12}}
	models := make([]string, len(sizes))
	for i, s := range sizes {
		models[i] = filepath.Join(tmp, fmt.Sprintf("gpt2-%d", s.width))
		if err := randomModel(models[i], s); err != nil {
			return nil, err
		}
	}
	var texts []string
	for _, n := range []int{8, 16, 32, 64} {
		path := filepath.Join(tmp, fmt.Sprintf("edits-%d.jsonl", n))
		if err := madeUp(path, n, 640); err != nil {
			return nil, err
		}
		texts = append(texts, path)
	}
	base := Workload{Model: models[1], Data: texts[1], Blocks: 3, Rank: 256, Batch: 10, Edits: 60, MaxLen: 128}
	base.Steps = 6
	var points []Point
	add := func(axis string, value float64, w Workload) error {
		if w.Steps == 0 {
			w.Steps = 5
		}
		w.Name = fmt.Sprintf("%s %g", axis, value)
		say("measuring %s", w.Name)
		m, err := child(ctx, self, w)
		if err != nil {
			return err
		}
		points = append(points, Point{axis, value, m.EditsPerSecond, m.PeakMiB})
		return nil
	}
	for _, b := range []int{1, 2, 4, 8, 16, 32, 64} {
		w := base
		w.Batch, w.Steps = b, 6
		w.Edits = 6 * b
		if err := add("examples a step", float64(b), w); err != nil {
			return nil, err
		}
	}
	for i, n := range []float64{8, 16, 32, 64} {
		w := base
		w.Data = texts[i]
		if err := add("tokens of a prompt", n, w); err != nil {
			return nil, err
		}
	}
	for _, b := range []int{1, 2, 4, 6} {
		w := base
		w.Blocks = b
		if err := add("edited blocks", float64(b), w); err != nil {
			return nil, err
		}
	}
	for i, s := range sizes {
		w := base
		w.Model = models[i]
		if err := add("width", float64(s.width), w); err != nil {
			return nil, err
		}
	}
	for n := 1; n <= max(2, runtime.NumCPU()); n *= 2 {
		w := base
		w.Threads = n
		if err := add("threads", float64(n), w); err != nil {
			return nil, err
		}
	}
	return points, Plot(dir, points)
}

// Plot draws two PNGs of each series into a folder: speed and memory.
func Plot(dir string, points []Point) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	series := map[string][]Point{}
	var order []string
	for _, p := range points {
		if series[p.Axis] == nil {
			order = append(order, p.Axis)
		}
		series[p.Axis] = append(series[p.Axis], p)
	}
	for i, axis := range order {
		for _, y := range []struct {
			name, unit string
			of         func(Point) float64
		}{{"speed", "edits/s", func(p Point) float64 { return p.EditsPerSecond }}, {"memory", "peak MiB", func(p Point) float64 { return p.PeakMiB }}} {
			line := report.Series{Name: axis}
			for _, pt := range series[axis] {
				line.X, line.Y = append(line.X, pt.Value), append(line.Y, y.of(pt))
			}
			f := report.Lines(y.name+" against "+axis, report.Axis{Name: axis, Whole: true}, report.Axis{Name: y.unit, Zero: true}, []report.Series{line}, nil)
			path := filepath.Join(dir, fmt.Sprintf("%d-%s.png", i+1, y.name))
			if err := atomicfile.Write(path, f.WritePNG); err != nil {
				return err
			}
		}
	}
	return nil
}

// madeUp writes n edits whose prompts have about the given number of words.
func madeUp(path string, words, n int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var edits []data.Edit
	for i := range n {
		s := ""
		for w := range words {
			s += fmt.Sprintf("w%d ", (i*31+w*17)%97)
		}
		subject := fmt.Sprintf("subject %d", i)
		edits = append(edits, data.Edit{
			ID: fmt.Sprint(i), Subject: subject, Prompt: s + subject, TargetNew: fmt.Sprintf("w%d", i%89), Paraphrases: []string{"so " + s + subject},
			Locality: map[string][]data.Prompt{data.Unrelated: {{Prompt: s + "other", Answers: [][]string{{"w5"}}}}},
		})
	}
	if err := data.WriteEdits(f, edits); err != nil {
		return err
	}
	return f.Close()
}
