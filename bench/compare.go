package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"

	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/tensorfile"
)

// Spread is minimum, median and maximum over the rounds.
type Spread struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

// String is "min…max", or a dash where nothing was measured.
func (s Spread) String() string {
	if s == (Spread{}) {
		return "–"
	}
	return fmt.Sprintf("%.2f…%.2f", s.Min, s.Max)
}

func spread(x []float64) Spread {
	if len(x) == 0 {
		return Spread{}
	}
	return Spread{slices.Min(x), median(x), slices.Max(x)}
}

// Row compares both sides on one piece of work. Ours and Peer are medians of
// edits per second (or what Unit says).
type Row struct {
	Name        string  `json:"name"`
	Unit        string  `json:"unit"`
	Ours        float64 `json:"ours"`
	Peer        float64 `json:"peer"`
	Ratio       float64 `json:"ratio"`
	Target      string  `json:"target"`
	BoundRatio  float64 `json:"bound_ratio"`  // step time ÷ bound
	MemoryRatio float64 `json:"memory_ratio"` // peak resident memory, ours ÷ the peer's
	OursSpread  Spread  `json:"ours_spread"`
	PeerSpread  Spread  `json:"peer_spread"`
	MatrixShare float64 `json:"matrix_share"` // of the step's time: matrix products and the optimiser's pass
	OursMiB     float64 `json:"ours_mib"`
	PeerMiB     float64 `json:"peer_mib"`
	EstimateMiB float64 `json:"estimate_mib"` // what was announced before the run
	Allocs      float64 `json:"allocs_per_step"`
	SolveShare  float64 `json:"solve_share,omitempty"` // of the step's time: ridge regressions
}

// Against says how to compare with the yardstick.
type Against struct {
	Dir     string // folder of the yardstick; data and models lie beside it
	Python  string
	Self    string // our executable, for a process per run
	Threads int    // of the yardstick; 0: the fastest number
	Rounds  int
	Edits   int // of one run's first epoch
	Say     func(format string, args ...any)
}

// Comparison is both sides, and what they reached on each piece of work.
type Comparison struct {
	Ours Side  `json:"ours"`
	Peer Side  `json:"peer"`
	Rows []Row `json:"rows"`
}

// Compare runs both sides in turn on all workloads. A yardstick whose matrix
// products run below half of ours is refused.
func Compare(ctx context.Context, a Against) (*Comparison, error) {
	p, err := findPeer(a.Dir, a.Python, max(a.Threads, 1))
	if err != nil {
		return nil, err
	}
	c := &Comparison{}
	if c.Ours, err = ownProducts(); err != nil {
		return nil, err
	}
	a.Say("our matrix products: %v", c.Ours)
	tmp, err := os.MkdirTemp("", "keyhole-against-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	root := filepath.Dir(filepath.Clean(a.Dir))
	zsre := filepath.Join(root, "data", "zsre", "zsre_train.jsonl.gz")
	gguf, err := filepath.Glob(filepath.Join(root, "models", "smollm2-135m", "*.gguf"))
	if err != nil || len(gguf) == 0 {
		return nil, fmt.Errorf("%s: no models/smollm2-135m/*.gguf beside the yardstick", root)
	}
	smol, gpt := filepath.Join(tmp, "smollm2"), filepath.Join(tmp, "gpt2-small")
	a.Say("writing the models as Hugging Face folders")
	m, err := lm.Load(gguf[0])
	if err != nil {
		return nil, err
	}
	if err := m.Save(smol, lm.SaveOptions{DType: tensorfile.F32}); err != nil {
		return nil, err
	}
	if err := m.Close(); err != nil {
		return nil, err
	}
	if err := gpt2Small(gpt, filepath.Join(root, "data", "tokenizers", "gpt2")); err != nil {
		return nil, err
	}
	works := []struct {
		w            Workload
		peerModel    string
		target, warm string
	}{
		{Workload{Name: "SmolLM2-135M, rank 1920", Model: gguf[0], Rank: 1920}, smol, "≥ 1.5", "≥ 2.5"},
		{Workload{Name: "SmolLM2-135M, rank 128", Model: gguf[0], Rank: 128}, smol, "≥ 2", ""},
		{Workload{Name: "GPT-2 small's shape, rank 1920", Model: gpt, Rank: 1920}, gpt, "≥ 1.5", ""},
		{Workload{Name: "GPT-2 small's shape, rank 128", Model: gpt, Rank: 128}, gpt, "≥ 2", ""},
	}
	for i := range works {
		w := &works[i].w
		w.Data, w.Blocks, w.Batch, w.Edits, w.MaxLen = zsre, 3, 10, a.Edits, 32
		w.Steps = a.Edits / w.Batch
	}
	if a.Threads == 0 {
		short := works[0].w
		short.Edits = min(short.Edits, 30)
		if p.threads, err = p.bestThreads(ctx, short, works[0].peerModel, runtime.NumCPU(), a.Say); err != nil {
			return nil, err
		}
	}
	if c.Peer, err = p.products(ctx); err != nil {
		return nil, err
	}
	a.Say("the yardstick's: %v", c.Peer)
	if err := worthComparing(c.Ours, c.Peer); err != nil {
		return nil, err
	}
	learned := works[0].w
	learned.Name, learned.Editor, learned.Rank = "SmolLM2-135M, learned editor, rank 512", Learned, 512
	learned.Sites = []string{"mlp.down@6", "mlp.down@8", "mlp.down@10", "mlp.down@12"}
	var own []Measurement
	ours, warm, theirs := make([][]Measurement, len(works)), make([][]Measurement, len(works)), make([][]result, len(works))
	for round := range a.Rounds {
		a.Say("round %d of %d: %s", round+1, a.Rounds, learned.Name)
		mine, err := child(ctx, a.Self, learned)
		if err != nil {
			return nil, err
		}
		own = append(own, mine)
		for i, x := range works {
			a.Say("round %d of %d: %s", round+1, a.Rounds, x.w.Name)
			mine, err := child(ctx, a.Self, x.w)
			if err != nil {
				return nil, err
			}
			ours[i] = append(ours[i], mine)
			r, err := p.run(ctx, x.w, x.peerModel)
			if err != nil {
				return nil, err
			}
			theirs[i] = append(theirs[i], r)
			if x.warm == "" {
				continue
			}
			x.w.CacheMB, x.w.Steps = 256, 2*x.w.Steps
			if mine, err = child(ctx, a.Self, x.w); err != nil {
				return nil, err
			}
			warm[i] = append(warm[i], mine)
		}
	}
	for i, x := range works {
		r := row(x.w.Name+", first epoch", x.target, ours[i], theirs[i], func(m Measurement) float64 { return m.EditsPerSecond },
			func(m Measurement) float64 { return median(m.StepSeconds) / m.BoundSeconds })
		var shares []float64
		for _, m := range ours[i] {
			shares = append(shares, (m.MatrixSeconds+m.AdamSeconds)/median(m.StepSeconds))
		}
		r.MatrixShare = median(shares)
		r.EstimateMiB, r.Allocs = ours[i][0].EstimateMiB, ours[i][0].AllocsPerStep
		c.Rows = append(c.Rows, r)
		if x.warm != "" {
			c.Rows = append(c.Rows, row(x.w.Name+", later epoch", x.warm, warm[i], theirs[i], func(m Measurement) float64 { return m.WarmPerSecond },
				func(m Measurement) float64 { return median(m.WarmSeconds) / m.WarmBound }))
		}
	}
	c.Rows = append(c.Rows, ownRows(own, ours[0])...)
	a.Say("evaluation")
	r, err := Evaluation(ctx, root, gguf[0], 20, a.Rounds)
	if err != nil {
		return nil, err
	}
	c.Rows = append(c.Rows, r)
	for _, x := range []struct{ name, model string }{{"GGUF, Q4_1", gguf[0]}, {"F32 folder", smol}} {
		a.Say("start of an evaluation, %s", x.name)
		if r, err = startRow(ctx, a.Self, root, x.name, x.model, filepath.Join(tmp, "start-"+filepath.Base(x.model))); err != nil {
			return nil, err
		}
		c.Rows = append(c.Rows, r)
	}
	return c, nil
}

func row(name, target string, ours []Measurement, theirs []result, speed, bound func(Measurement) float64) Row {
	var a, b, bounds, am, bm []float64
	for _, m := range ours {
		a, bounds, am = append(a, speed(m)), append(bounds, bound(m)), append(am, m.PeakMiB)
	}
	for _, r := range theirs {
		b, bm = append(b, r.EditsPerSecond), append(bm, r.PeakMiB)
	}
	r := Row{Name: name, Unit: "edits/s", Target: target, OursSpread: spread(a), PeerSpread: spread(b), BoundRatio: median(bounds), OursMiB: median(am), PeerMiB: median(bm)}
	r.Ours, r.Peer = r.OursSpread.Median, r.PeerSpread.Median
	r.Ratio, r.MemoryRatio = r.Ours/r.Peer, r.OursMiB/r.PeerMiB
	return r
}

// child runs a workload in a process of its own.
func child(ctx context.Context, self string, w Workload) (Measurement, error) {
	var m Measurement
	if err := inChild(ctx, self, "--worker", w, &m); err != nil {
		return m, fmt.Errorf("%s: %w", w.Name, err)
	}
	return m, nil
}

// inChild calls this program's bench with a flag and a JSON value, and reads
// the JSON that it prints.
func inChild(ctx context.Context, self, flag string, in, out any) error {
	spec, err := json.Marshal(in)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "bench", flag, string(spec))
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return err
	}
	return json.Unmarshal(text, out)
}
