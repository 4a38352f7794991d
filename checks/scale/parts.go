//go:build unix

package main

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/internal/mpi/mpitest"
	"keyhole.example/keyhole/train"
	"keyhole.example/keyhole/train/optim"
	"keyhole.example/keyhole/workbench"
)

// parts are what a step costs: seconds of one thread, and bytes.
type parts struct {
	shared    float64 // that processes divide
	network   float64 // that each of them computes: the network on all rows
	optimiser float64
	bytes     float64 // that all processes give together
	gradient  float64 // bytes of the network's gradient
	calls     int
	edits     []int // of the kinds of step, of which each is as frequent
	texts     int   // of an edit: its own, rephrasings and locality texts
}

// cost is a step's time by n machines.
type cost struct{ shared, own, exchange float64 }

func (c cost) total() float64 { return c.shared + c.own + c.exchange }

// latency is the time of a call with nothing in it, for each doubling of the
// processes: that of Ethernet.
const latency = 20e-6

// step is the cost by n machines that are speed times as fast as the thread that
// was measured. What comes from others passes the link once.
func (p parts) step(n int, speed, gbit float64) cost {
	busiest := 0.0
	for _, k := range p.edits {
		busiest += largest(k*p.texts, n) / float64(len(p.edits))
	}
	c := cost{shared: p.shared * busiest / speed, own: (p.network + p.optimiser) / speed}
	if n > 1 {
		c.exchange = float64(p.calls)*latency*math.Ceil(math.Log2(float64(n))) + p.bytes*float64(n-1)/float64(n)*8/(gbit*1e9)
	}
	return c
}

// largest is the share of k equal texts that the busiest of n processes has.
func largest(k, n int) float64 {
	return math.Ceil(float64(k)/float64(n)) / float64(k)
}

func (p parts) mostEdits() int { return slices.Max(p.edits) }

// of is the parts of a step of k edits.
func (p parts) of(k int) parts {
	mean := 0.0
	for _, n := range p.edits {
		mean += float64(n) / float64(len(p.edits))
	}
	times := float64(k) / mean
	p.shared, p.network, p.bytes = p.shared*times, p.network*times, p.bytes*times
	p.edits = []int{k}
	return p
}

// networkOps are the ops of the editor network, which every process runs on the
// rows of all.
var networkOps = []string{"matmul", "layer", "normalise", "columns", "columnsums", "concat", "gather", "regather", "solve.grad", "shared.dz"}

func isNetwork(op string) bool {
	return slices.ContainsFunc(networkOps, func(name string) bool { return op == name || strings.HasPrefix(op, name+".") })
}

func processorTime() float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return math.NaN()
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// measure trains some steps alone, for the times, and some as two processes, for
// what they exchange.
func measure(config string, set []string, steps int) (p parts, err error) {
	dir, err := os.MkdirTemp("", "scale-*")
	if err != nil {
		return p, err
	}
	defer os.RemoveAll(dir)
	cfg := train.Default()
	r, err := configs.Load(config, &cfg, configs.Options{Set: append(set, "threads=1", "train.val_every=0", "train.save_every=0")})
	if err != nil {
		return p, err
	}
	cfg.Train.Steps = 1 // the first decodes weights, takes the prior and lays out the graph
	l, err := train.Start(cfg, r, filepath.Join(dir, "alone"), false, workbench.Sources(), nobody{})
	if err != nil {
		return p, err
	}
	defer l.Close()
	if err := l.Run(context.Background()); err != nil {
		return p, err
	}
	profile := l.Objective.StartProfile()
	l.Config.Train.Steps += steps
	clock, used := time.Now(), processorTime()
	if err := l.Run(context.Background()); err != nil {
		return p, err
	}
	// Others may be at work here: times by the clock are scaled to processor time.
	per := (processorTime() - used) / time.Since(clock).Seconds() / float64(steps)
	total := (processorTime() - used) / float64(steps)
	for op, c := range profile {
		if isNetwork(op) {
			p.network += c.Time.Seconds() * per
		}
	}
	p.optimiser = optimiserTime(l)
	p.shared = total - p.network - p.optimiser
	p.gradient = 4 * float64(len(l.Learner().Values()))
	p.texts = 1 + cfg.Data.Paraphrases + cfg.Data.Localities
	p.edits = []int{cfg.Train.Accumulate * cfg.Train.Edits}
	if len(cfg.Train.Mix) > 0 {
		p.edits = nil
		for _, edits := range cfg.Train.Mix {
			p.edits = append(p.edits, edits*max(1, cfg.Train.Accumulate/edits))
		}
	}
	return p, p.exchange(cfg, r, filepath.Join(dir, "together"))
}

// optimiserTime is the processor time of one step of Adam and of the norm.
func optimiserTime(l *train.Loop) float64 {
	n := len(l.Learner().Values())
	values, grads, state := make([]float32, n), make([]float32, n), optim.NewState(n)
	for i := range grads {
		grads[i] = float32(i%7) - 3
	}
	o := optim.Outer{LR: 1e-5, RateLR: 1e-5, Rates: l.Learner().StepSizes(), Divisor: 1, Clip: 100}
	const times = 8
	used := processorTime()
	for range times {
		o.Step(l.Engine, values, grads, o.Norm(l.Engine, grads), &state)
	}
	return (processorTime() - used) / times
}

// counted is a process whose exchanges within steps are counted.
type counted struct {
	*mpitest.Member
	bytes, calls int
}

func (c *counted) Gather(mine []byte) ([][]byte, error) {
	c.calls++
	c.bytes += len(mine)
	return c.Member.Gather(mine)
}

// exchange counts what two processes give each other in steps.
func (p *parts) exchange(cfg train.Config, r *configs.Resolved, dir string) error {
	const steps = 6
	counts := make([]counted, 2)
	for _, err := range mpitest.Together(len(counts), func(m *mpitest.Member) error {
		c := &counts[m.Rank()]
		c.Member = m
		cfg := cfg
		cfg.Train.Steps = 1
		src := workbench.Sources()
		src.Team = c
		l, err := train.Start(cfg, r, dir, false, src, nobody{})
		if err != nil {
			return err
		}
		defer l.Close()
		if err := l.Run(context.Background()); err != nil {
			return err
		}
		c.bytes, c.calls = 0, 0
		l.Config.Train.Steps += steps
		return l.Run(context.Background())
	}) {
		if err != nil {
			return err
		}
	}
	p.calls = counts[0].calls / steps
	p.bytes = float64(counts[0].bytes+counts[1].bytes) / steps
	return nil
}

// nobody watches.
type nobody struct{}

func (nobody) Started(int, int)              {}
func (nobody) Stepped(train.Metrics, int)    {}
func (nobody) Validated(train.Metrics, bool) {}
func (nobody) Saved(string)                  {}
func (nobody) Skipped(string, error)         {}
