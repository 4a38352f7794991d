package bench

import (
	"context"
	"time"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/mend"
	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/train"
)

// Learned is the value of Workload.Editor that means the program's own editor.
const Learned = "learned"

// learned makes cfg one of the learned editor, as its recipe for SmolLM2 has it.
func (w *Workload) learned(cfg *train.Config) {
	cfg.Model.Sites, cfg.Data.Locality, cfg.Data.Localities, cfg.Data.OwnPrompt = w.Sites, "answer", 2, true
	cfg.Hypernet.LastLin, cfg.Hypernet.EditLR = true, 0.2
	u := &cfg.Hypernet.Update
	u.Rule, u.Prior, u.Rows, u.Ridge, u.Shrink, u.Tokens, u.Steps = hypernet.Solve, hypernet.Moment, hypernet.AnswerRows, 3e-2, 5e-4, 4000, 2
}

// editTimes are the seconds that single edits of the workload's data take, behind one
// that makes what later ones reuse.
func editTimes(ctx context.Context, e *train.Editor, w Workload) ([]float64, error) {
	const edits = 10
	set, err := data.Load(w.Data, data.Options{Limit: edits + 1})
	if err != nil {
		return nil, err
	}
	editor := mend.New(e.Objective, e.Config.Hypernet.Name(), e.TextOptions(), e.Model.Tokenizer)
	var out []float64
	for i := range set.Edits {
		start := time.Now()
		if _, err := editor.Apply(ctx, e.Model, edit.Requests(&set.Edits[i])[:1]); err != nil {
			return nil, err
		}
		if i > 0 {
			out = append(out, time.Since(start).Seconds())
		}
	}
	return out, nil
}

// ownRows compare the learned editor's step and edit with MEND's, both ours.
func ownRows(ours, mends []Measurement) []Row {
	step := Row{Name: "learned editor beside MEND, step", Unit: "edits/s", Target: "–"}
	single := Row{Name: "learned editor beside MEND, one edit", Unit: "edits/s", Target: "–"}
	var a, b, c, d, bounds, shares, solves, am, bm []float64
	for _, m := range ours {
		a, c = append(a, m.EditsPerSecond), append(c, 1/median(m.EditSeconds))
		bounds = append(bounds, median(m.StepSeconds)/m.BoundSeconds)
		shares = append(shares, (m.MatrixSeconds+m.AdamSeconds)/median(m.StepSeconds))
		solves, am = append(solves, m.SolveShare), append(am, m.PeakMiB)
	}
	for _, m := range mends {
		b, d, bm = append(b, m.EditsPerSecond), append(d, 1/median(m.EditSeconds)), append(bm, m.PeakMiB)
	}
	step.OursSpread, step.PeerSpread, single.OursSpread, single.PeerSpread = spread(a), spread(b), spread(c), spread(d)
	step.BoundRatio, step.MatrixShare, step.SolveShare = median(bounds), median(shares), median(solves)
	step.OursMiB, step.PeerMiB, step.EstimateMiB, step.Allocs = median(am), median(bm), ours[0].EstimateMiB, ours[0].AllocsPerStep
	step.MemoryRatio = step.OursMiB / step.PeerMiB
	for _, r := range []*Row{&step, &single} {
		r.Ours, r.Peer = r.OursSpread.Median, r.PeerSpread.Median
		r.Ratio = r.Ours / r.Peer
	}
	return []Row{step, single}
}
