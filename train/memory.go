package train

import (
	"fmt"

	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/internal/resident"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/meta"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
	"keyhole.example/keyhole/text"
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
func (l *Loop) Estimate() Estimate { return l.estimate(l.Config, l.Sites) }

// estimate is that of another config of the same model and data, and the sites
// that it edits.
func (l *Loop) estimate(cfg Config, sites []lm.Site) Estimate {
	if l.SERAC != nil {
		return l.seracEstimate(cfg)
	}
	m := l.Model.Config
	first := m.Layers
	for _, s := range sites {
		first = min(first, s.Block)
	}
	var e Estimate
	e.Network = networkBytes * hypernet.Count(cfg.Hypernet, sites, netWords(l.Model))
	e.Network += hypernet.RememberedBytes(cfg.Hypernet, sites)
	e.Model = l.modelBytes(cfg, first)
	e.Graph = l.graphBytes(cfg, sites, first) + graph.HeadScratch(l.Model.Head())
	e.Cache = min(bounded(float64(cfg.Memory.Cache)*(1<<20)), l.cachedBytes(cfg))
	// runtime, tokenizer, packing buffers; and a step's examples as tokens
	e.Other = 64<<20 + bounded(taskBytes*float64(stepEdits(cfg.Train)))
	return e
}

// modelBytes is the size of the weight files, which are mapped, of the weights
// that are decoded from them and kept, and of the largest that is decoded anew at
// each use. Of a table of tokens that is not the head, single rows are decoded.
func (l *Loop) modelBytes(cfg Config, first int) int64 {
	file := l.Model.FileBytes()
	streamed := map[*nn.Param]bool{}
	for _, s := range l.Model.Sites() {
		streamed[s.Linear.W] = cfg.Memory.Stream && s.Block < first
	}
	byRows := l.Model.TokenTable()
	if byRows == l.Model.Head().W {
		byRows = nil
	}
	decoded, streams := int64(0), int64(0)
	for _, p := range l.Model.Params() {
		mapped := file > 0 && p.Resident() // its values are the file's own
		switch {
		case mapped || p == byRows:
		case streamed[p]:
			streams = max(streams, 4*int64(p.Len()))
		default:
			decoded += 4 * int64(p.Len())
		}
	}
	return file + decoded + streams
}

// graphBytes is about what is alive when the gradient begins: what the edited
// suffix keeps of each token of the rephrasings and locality texts, and what
// the network keeps of each factor row, one for each row of the edits that
// changes weights, and each site. Of the last block, little is computed but the wanted rows.
func (l *Loop) graphBytes(cfg Config, sites []lm.Site, first int) int64 {
	m := l.Model.Config
	_, rows, rest := l.tokens(cfg)
	perToken := (float64(m.Layers-first) - 0.5) * float64(13*m.Width+2*m.FFN)
	perRow := 0.0
	for _, s := range sites {
		d := s.Linear.In + s.Linear.Out
		perRow += 5*float64(d) + 2*float64(min(cfg.Hypernet.Rank, d))
	}
	perRow *= float64(cfg.Hypernet.Update.Steps)
	return bounded(4 * (rest*max(perToken, 0) + rows*perRow))
}

// cachedBytes is what the cache holds at the end, if it is large enough: the
// states of every text of the edits that the run comes to, a few texts of each
// that recur.
func (l *Loop) cachedBytes(cfg Config) int64 {
	edits, _, rest := l.tokens(cfg)
	each := (edits + rest) / float64(batchEdits(cfg.Train))
	visits := float64(cfg.Train.Steps) * float64(stepEdits(cfg.Train))
	return bounded(visits * each * 4 * float64(l.Model.Config.Width))
}

// tokens is how many tokens a batch has in its edits, how many of these are rows that
// change weights, and how many there are in its rephrasings and locality texts, with
// the room that graphs leave for longer ones.
func (l *Loop) tokens(cfg Config) (edits, rows, rest float64) {
	const room = 1.2
	scale := room * float64(batchEdits(cfg.Train))
	edits, rows, rest = l.tokensOfEdit()
	if cfg.Train.Turns > 0 { // each with what earlier ones are scored on
		rest *= float64(min(cfg.Train.BackDepth, cfg.Train.Turns))
	}
	return edits * scale, rows * scale, rest * scale
}

// tokensOfEdit is how many tokens a training edit has, how many of its rows change
// weights, and how many tokens its rephrasing and locality texts have, in the mean of
// a sample.
func (l *Loop) tokensOfEdit() (edits, rows, rest float64) {
	const sample = 64
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
		e, r := tokensOf(t)
		edits, rest = edits+float64(e), rest+float64(r)
		for _, x := range t.Inner {
			if n := x.Rows.Hi - x.Rows.Lo; n > 0 {
				rows += float64(n)
			} else {
				rows += float64(len(x.IDs))
			}
		}
	}
	made = max(made, 1)
	return edits / made, rows / made, rest / made
}

// tokensOf counts the tokens of an example's edits, and of its rephrasings and
// locality texts.
func tokensOf(t meta.Task) (edits, rest int) {
	for _, x := range t.Inner {
		edits += len(x.IDs)
	}
	for _, texts := range [][]text.Text{t.Outer, t.Loc} {
		for _, x := range texts {
			rest += len(x.IDs)
		}
	}
	return edits, rest
}

// stepEdits is the largest number of edits of an optimiser step.
func stepEdits(c LoopConfig) int {
	c.Batch, c.Turns = 0, 0
	return batchEdits(c)
}

// batchEdits is the largest number of edits that share one graph run.
func batchEdits(c LoopConfig) int {
	most := 0
	mix := c.Mix
	if len(mix) == 0 {
		mix = []int{c.Edits}
	}
	for _, edits := range mix {
		examples := c.Accumulate
		if len(c.Mix) > 0 {
			examples = max(1, c.Accumulate/edits)
		}
		switch {
		case c.Turns > 0: // one by one
			examples = 1
		case c.Batch > 0:
			examples = min(examples, c.Batch)
		}
		most = max(most, examples*edits)
	}
	return most
}

// networkBytes is the memory of a parameter in training: its value, its
// gradient, and Adam's two moments.
const networkBytes = 16

// bounded is a number of bytes, at most one whose sums are none that overflow.
func bounded(bytes float64) int64 { return int64(min(bytes, 1<<58)) }

// taskBytes is about what an example takes beside the graph: its texts' tokens.
const taskBytes = 1 << 11

// allowed is how much memory a run may take, in bytes, and what says so: the
// limit of the config, or else the machine. 0: nobody knows.
func allowed(cfg Config) (bytes int64, says string) {
	if cfg.Memory.Limit > 0 {
		return int64(cfg.Memory.Limit) << 20, fmt.Sprintf("memory.limit allows %d MiB", cfg.Memory.Limit)
	}
	have := resident.Machine()
	return have, fmt.Sprintf("this machine has %d MiB; memory.limit=N allows N MiB all the same", have>>20)
}

// refuseNetwork refuses a network whose training alone exceeds what there is,
// before any of it is made.
func refuseNetwork(cfg Config, sites []lm.Site, words *hypernet.Words) error {
	have, says := allowed(cfg)
	parameters := hypernet.Count(cfg.Hypernet, sites, words)
	if have == 0 || parameters <= have/networkBytes {
		return nil
	}
	advice := "edit fewer blocks"
	for smaller := cfg.Hypernet; smaller.Rank > 1; {
		smaller.Rank /= 2
		if hypernet.Count(smaller, sites, words) <= have/networkBytes/2 {
			advice = fmt.Sprintf("--set hypernet.rank=%d would fit, or edit fewer blocks", smaller.Rank)
			break
		}
	}
	return fmt.Errorf("memory: training the network's %d parameters takes %d bytes each, %d MiB, and %s; %s", parameters, networkBytes, parameters/(1<<20)*networkBytes, says, advice)
}

// checkMemory refuses a run whose estimate exceeds what there is.
func (l *Loop) checkMemory() error {
	have, says := allowed(l.Config)
	need := l.Estimate().Total()
	if have == 0 || need <= have {
		return nil
	}
	fits := l.fitting(have)
	if fits == "" && l.SERAC != nil {
		return fmt.Errorf("memory: this run will need about %d MiB, and %s; even with a frozen counterfactual model it would not fit: name smaller models with serac.encoder and serac.counterfactual", need>>20, says)
	}
	if fits == "" {
		return fmt.Errorf("memory: this run will need about %d MiB, and %s; even with hypernet.rank=8 on one block it would not fit: take a smaller model", need>>20, says)
	}
	return fmt.Errorf("memory: this run will need about %d MiB, and %s; the smallest change that fits: %s", need>>20, says, fits)
}
