package meta

import (
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/internal/golden"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/lmtest"
	"keyhole.example/keyhole/text"
	"keyhole.example/keyhole/train/optim"
)

// BenchmarkStep is one optimiser step (ten zsRE edits) on SmolLM2-135M with
// the peer's settings.
func BenchmarkStep(b *testing.B) {
	m := lmtest.SmolLM2(b)
	set, err := data.Load(golden.Path(b, "data", "zsre", "zsre_train.jsonl.gz"), data.Options{Limit: 200})
	if err != nil {
		b.Fatal(err)
	}
	for _, rank := range []int{1920, 128} {
		for _, threads := range []int{1, 2} {
			for _, warm := range []bool{false, true} {
				name := map[bool]string{false: "cold", true: "warm"}[warm]
				b.Run("smollm2/rank"+itoa(rank)+"/threads"+itoa(threads)+"/"+name, func(b *testing.B) {
					benchStep(b, m, set, rank, threads, warm)
				})
			}
		}
	}
}

func itoa(n int) string {
	if n == 0 {
		return ""
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

func benchStep(b *testing.B, m *lm.Model, set *data.Set, rank, threads int, warm bool) {
	k := lmtest.Engine(b, threads)
	sites := m.DefaultSites(3)
	cfg := hypernet.Default()
	cfg.Rank = rank
	net, err := hypernet.New(cfg, sites, rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		b.Fatal(err)
	}
	limit := int64(0)
	if warm {
		limit = 1 << 30
	}
	o, err := New(Default(), m, net, k, limit)
	if err != nil {
		b.Fatal(err)
	}
	m.SetStreaming(o.Prefix.First, true)
	mk := &Maker{Tok: m.Tokenizer, Text: text.Options{MaxLen: 32, Locality: "all"}, Rephrase: true, Records: set.Edits}
	var batches [][]Task
	for lo := 0; lo+10 <= len(set.Edits); lo += 10 {
		var tasks []Task
		for i := lo; i < lo+10; i++ {
			t, err := mk.Task(set.Edits[i:i+1], 0)
			if err != nil {
				b.Fatal(err)
			}
			tasks = append(tasks, t)
		}
		batches = append(batches, tasks)
	}
	grads := make([]float32, len(net.Flat))
	state := optim.NewState(len(net.Flat))
	outer := optim.Outer{LR: 1e-6, RateLR: 1e-4, Rates: net.NumRates(), Divisor: 10, Clip: 100}
	at := 0
	step := func() {
		if _, err := o.Step(batches[at%len(batches)], grads, false); err != nil {
			b.Fatal(err)
		}
		outer.Step(k, net.Flat, grads, outer.Norm(k, grads), &state)
		at++
	}
	for range 2 {
		step()
	}
	if warm {
		for range len(batches) {
			step()
		}
	}
	profile := o.StartProfile()
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
	b.ReportMetric(10*float64(b.N)/b.Elapsed().Seconds(), "edits/s")
	if testing.Verbose() {
		type row struct {
			name string
			time time.Duration
			gf   float64
		}
		var rows []row
		var total time.Duration
		for k, c := range profile {
			rows = append(rows, row{k, c.Time / time.Duration(b.N), c.Flops / float64(b.N) / 1e9})
			total += c.Time / time.Duration(b.N)
		}
		sort.Slice(rows, func(i, j int) bool { return rows[i].time > rows[j].time })
		b.Logf("graph %v of %v a step, graph memory %d MiB", total, b.Elapsed()/time.Duration(b.N), o.GraphBytes()>>20)
		for _, r := range rows[:min(12, len(rows))] {
			b.Logf("%-20s %10v %8.2f GFLOP %8.1f GFLOP/s", r.name, r.time, r.gf, r.gf/r.time.Seconds())
		}
	}
}
