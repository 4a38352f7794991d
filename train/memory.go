package train

import "fmt"

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

// Estimate says what the run will need. The graph is estimated from the
// longest texts that max_len allows, at the usual third of it.
func (l *Loop) Estimate() Estimate {
	m := l.Model.Config
	var e Estimate
	e.Network = networkBytes * int64(len(l.Net.Flat))
	streamed := 0
	for _, s := range l.Model.Sites() {
		if l.Config.Memory.Stream && s.Block < l.Objective.Prefix.First && !s.Linear.W.Resident() {
			streamed += s.Linear.W.Len()
		}
	}
	e.Model = 4*int64(l.Model.Parameters()-streamed) + l.Model.FileBytes()
	e.Graph = l.graphBytes()
	e.Cache = int64(l.Config.Memory.Cache) << 20
	e.Other = 96<<20 + 2*4*192*int64(m.Vocab) // runtime, and logits in chunks
	return e
}

// graphBytes bounds the graph's values by counting what a token costs in the
// suffix and what a factor row costs in the network.
func (l *Loop) graphBytes() int64 {
	m := l.Model.Config
	batch := l.Config.Train.Batch
	if batch == 0 {
		batch = l.Config.Train.Accumulate
	}
	tokens := int64(batch * l.Config.Train.Edits * 3 * 18)
	perToken := int64(m.Layers-l.Objective.Prefix.First) * int64(12*m.Width+6*m.FFN)
	rows := tokens / 3 * int64(len(l.Sites))
	perRow := int64(0)
	for _, s := range l.Net.Sites {
		perRow = max(perRow, int64(s.In+s.Out))
	}
	return 4 * (tokens*perToken + rows*perRow*5)
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
