package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/report"
	"keyhole.example/keyhole/train"
	"keyhole.example/keyhole/workbench"
)

// planned is the JSON of train --plan.
type planned struct {
	Memory       map[string]int64 `json:"memory_bytes"` // parts and total
	Machine      int64            `json:"machine_bytes,omitempty"`
	Steps        int              `json:"steps"`
	Step         float64          `json:"seconds_per_step"`
	Validations  int              `json:"validations"`
	Validation   float64          `json:"seconds_per_validation"`
	SecondsTotal float64          `json:"seconds_total"`
	Disk         int64            `json:"disk_bytes"`
}

// makePlan finds what the config names, and tries two steps.
func makePlan(c *cobra.Command, o *options, cfg train.Config, r *configs.Resolved) (*train.Plan, error) {
	f, err := newFinder(c)
	if err != nil {
		return nil, err
	}
	if err := f.config(&cfg); err != nil {
		return nil, err
	}
	cfg.Threads = o.threadsFor(cfg.Threads)
	src := workbench.Sources()
	src.Team = o.team()
	p, err := train.MakePlan(c.Context(), cfg, r, src)
	if err != nil {
		return nil, err
	}
	return p, agreed(src.Team, p)
}

func printPlan(w io.Writer, o *options, p *train.Plan) error {
	if o.json {
		m := p.Memory
		return printJSON(w, planned{
			map[string]int64{"network": m.Network, "model": m.Model, "graph": m.Graph, "cache": m.Cache, "other": m.Other, "total": m.Total()},
			p.Machine, p.Steps, p.Step.Seconds(), p.Validations, p.Validation.Seconds(), p.Total().Seconds(), p.Disk,
		})
	}
	_, err := fmt.Fprintf(w, "%s\n%s\n", memoryLine(*p), timeLine(*p))
	return err
}

// memoryLine says what a run needs, by its parts.
func memoryLine(p train.Plan) string {
	m := p.Memory
	have := ""
	if p.Machine > 0 {
		have = " of " + report.Bytes(p.Machine)
	}
	return fmt.Sprintf("this run will need about %s of memory%s: network and optimiser %s, model %s, graph %s, cache %s, other %s",
		report.Bytes(m.Total()), have, report.Bytes(m.Network), report.Bytes(m.Model), report.Bytes(m.Graph), report.Bytes(m.Cache), report.Bytes(m.Other))
}

// timeLine says how long it takes, and what stays on disk.
func timeLine(p train.Plan) string {
	return fmt.Sprintf("%.3g s a step, %d steps, %d validations: about %s; checkpoints take about %s on disk",
		p.Step.Seconds(), p.Steps, p.Validations, p.Total().Round(time.Second), report.Bytes(p.Disk))
}

// within are the overrides that make a run fit into a time: its steps, and a
// schedule that ends with them.
func within(d time.Duration, p *train.Plan, cfg train.Config, r *configs.Resolved) []string {
	steps := p.StepsWithin(d, cfg.Train.ValEvery)
	set := []string{fmt.Sprintf("train.steps=%d", steps)}
	if cfg.Train.Warmup > steps/10 {
		set = append(set, fmt.Sprintf("train.warmup=%d", steps/10))
	}
	for _, v := range r.Values() {
		if v.Key == "train.schedule" && v.Origin.Layer == configs.FromDefault {
			set = append(set, "train.schedule=cosine")
		}
	}
	return set
}

// timer says, after the second step of a run, how long it will take.
type timer struct {
	train.Observer
	w    io.Writer
	plan train.Plan
	seen int
	left int // steps from where the run begins
}

func (t *timer) Started(done, steps int) {
	t.left = steps - done
	t.Observer.Started(done, steps)
}

func (t *timer) Stepped(m train.Metrics, edits int) {
	t.Observer.Stepped(m, edits)
	if t.seen++; t.seen != 2 || t.left <= 2 {
		return
	}
	t.plan.Step = time.Duration(m.Seconds * float64(time.Second))
	left := time.Duration(t.left) * t.plan.Step
	fmt.Fprintf(t.w, "%.3g s a step: about %s for %d steps, and what validations take; checkpoints take about %s on disk\n",
		m.Seconds, left.Round(time.Second), t.left, report.Bytes(t.plan.Disk))
}
