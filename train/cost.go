package train

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/report"
)

// MarshalJSON gives the memory by its parts, and all times in seconds.
func (p Plan) MarshalJSON() ([]byte, error) {
	m := p.Memory
	return json.Marshal(planned{
		map[string]int64{"network": m.Network, "model": m.Model, "graph": m.Graph, "cache": m.Cache, "other": m.Other, "total": m.Total()},
		p.Machine, p.Steps, p.Step.Seconds(), p.Validations, p.Validation.Seconds(), p.Total().Seconds(), p.Disk,
	})
}

// planned is a Plan as JSON has it.
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

// MemoryLine says what a run needs, by its parts.
func (p Plan) MemoryLine() string {
	m := p.Memory
	have := ""
	if p.Machine > 0 {
		have = " of " + report.Bytes(p.Machine)
	}
	return fmt.Sprintf("this run will need about %s of memory%s: network and optimiser %s, model %s, graph %s, cache %s, other %s",
		report.Bytes(m.Total()), have, report.Bytes(m.Network), report.Bytes(m.Model), report.Bytes(m.Graph), report.Bytes(m.Cache), report.Bytes(m.Other))
}

// TimeLine says how long it takes, and what stays on disk.
func (p Plan) TimeLine() string {
	return fmt.Sprintf("%.3g s a step, %d steps, %d validations: about %s; checkpoints take about %s on disk",
		p.Step.Seconds(), p.Steps, p.Validations, p.Total().Round(time.Second), report.Bytes(p.Disk))
}

// Within are the overrides that make a run fit into a time: its steps, and a
// schedule that ends with them.
func (p Plan) Within(d time.Duration, cfg Config, r *configs.Resolved) []string {
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

// Timer says to To, after the second step of a run, how long it will take.
type Timer struct {
	Observer
	To   io.Writer
	Plan Plan
	seen int
	left int // steps from where the run begins
}

// Started implements Observer.
func (t *Timer) Started(done, steps int) {
	t.left = steps - done
	t.Observer.Started(done, steps)
}

// Stepped implements Observer.
func (t *Timer) Stepped(m Metrics, edits int) {
	t.Observer.Stepped(m, edits)
	if t.seen++; t.seen != 2 || t.left <= 2 {
		return
	}
	t.Plan.Step = time.Duration(m.Seconds * float64(time.Second))
	left := time.Duration(t.left) * t.Plan.Step
	fmt.Fprintf(t.To, "%.3g s a step: about %s for %d steps, and what validations take; checkpoints take about %s on disk\n",
		m.Seconds, left.Round(time.Second), t.left, report.Bytes(t.Plan.Disk))
}
