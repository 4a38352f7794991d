package train

import (
	"fmt"

	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
)

// GCPercent is the setting of the garbage collector that a program should use
// while it trains: nearly all memory is a few long-lived slices without
// pointers, beside which little garbage is made, so frequent collections cost
// nothing and a large allowance would be wasted memory.
const GCPercent = 5

// Estimate is the memory that a run will need, in bytes, by what needs it.
type Estimate struct {
	Network int64 // parameters, gradients and Adam's moments
	Model   int64 // weights that are kept in memory
	Graph   int64 // values of the graph
	Cache   int64
	Other   int64 // runtime, tokenizer, packing buffers
}

// Total is the sum.
func (e Estimate) Total() int64 { return e.Network + e.Model + e.Graph + e.Cache + e.Other }

// Estimate says what the run will need. It looks at which weights are decoded
// already, so it holds before the first step. Text lengths are those of a
// sample of the training edits.
func (l *Loop) Estimate() Estimate {
	m := l.Model.Config
	var e Estimate
	e.Network = networkBytes * int64(len(l.Net.Flat))
	for _, p := range l.Net.Priors {
		e.Network += hypernet.PriorBytes(p.Width)
	}
	e.Model = l.modelBytes()
	e.Graph = l.graphBytes() + graph.HeadScratch(m.Width, m.Vocab)
	e.Cache = int64(l.Config.Memory.Cache) << 20
	e.Other = 64 << 20 // runtime, tokenizer, packing buffers
	return e
}

// modelBytes is the size of the weight files, which are mapped, and of the
// weights that are decoded from them and kept.
func (l *Loop) modelBytes() int64 {
	file := l.Model.FileBytes()
	streamed := map[*nn.Param]bool{}
	for _, s := range l.Model.Sites() {
		streamed[s.Linear.W] = l.Config.Memory.Stream && s.Block < l.Objective.Prefix.First
	}
	decoded := int64(0)
	for _, p := range l.Model.Params() {
		mapped := file > 0 && p.Resident() // its values are the file's own
		if !mapped && !streamed[p] {
			decoded += 4 * int64(p.Len())
		}
	}
	return file + decoded
}

// graphBytes is about what is alive when the gradient begins: what the edited
// suffix keeps of each token of the rephrasings and locality texts, and what
// the network keeps of each factor row, one for each token of the edits and
// each site. Of the last block, little is computed but the wanted rows.
func (l *Loop) graphBytes() int64 {
	m := l.Model.Config
	edits, rest := l.tokens()
	perToken := (float64(m.Layers-l.Objective.Prefix.First) - 0.5) * float64(13*m.Width+2*m.FFN)
	perRow := 0.0
	for _, s := range l.Net.Sites {
		d := s.In + s.Out
		perRow += 5*float64(d) + 2*float64(min(l.Net.Config.Rank, d))
	}
	return int64(4 * (rest*max(perToken, 0) + edits*perRow))
}

// tokens is how many tokens a batch has in its edits, and in its rephrasings
// and locality texts, with the room that graphs leave for longer ones.
func (l *Loop) tokens() (edits, rest float64) {
	const sample, room = 64, 1.2
	records := l.train.Edits
	n := min(len(records), sample)
	maker := l.Editor.maker(records)
	made := 0.0
	for i := range n {
		at := i * len(records) / n
		t, err := maker.Task(records[at:at+1], 0)
		if err != nil {
			continue // training reports it when it comes to this edit
		}
		made++
		for _, x := range t.Inner {
			edits += float64(len(x.IDs))
		}
		for _, x := range append(t.Outer, t.Loc...) {
			rest += float64(len(x.IDs))
		}
	}
	batch := l.Config.Train.Batch
	if batch == 0 {
		batch = l.Config.Train.Accumulate
	}
	scale := room * float64(batch*l.Config.Train.Edits) / max(made, 1)
	return edits * scale, rest * scale
}

// networkBytes is the memory of a parameter in training: its value, its
// gradient, and Adam's two moments.
const networkBytes = 16

// refuseNetwork refuses a network whose training alone exceeds the limit,
// before any of it is made.
func refuseNetwork(cfg Config, parameters int64) error {
	limit := int64(cfg.Memory.Limit) << 20
	if limit > 0 && parameters > limit/networkBytes {
		return fmt.Errorf("memory.limit: training the network's %d parameters takes %d bytes each, more than %d MiB; lower hypernet.rank, edit fewer blocks, or raise the limit", parameters, networkBytes, cfg.Memory.Limit)
	}
	return nil
}

// checkMemory refuses a run whose estimate exceeds the limit.
func (l *Loop) checkMemory() error {
	limit := int64(l.Config.Memory.Limit) << 20
	if need := l.Estimate().Total(); limit > 0 && need > limit {
		return fmt.Errorf("memory.limit: this run will need about %d MiB, more than %d; lower hypernet.rank or train.batch, edit fewer blocks, set memory.stream: true, or raise the limit", need>>20, limit>>20)
	}
	return nil
}
