package meta

import (
	"fmt"

	"keyhole.example/keyhole/internal/gram"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/text"
)

// Prepare takes the network's priors, if it has some that are not taken yet.
func (o *Objective) Prepare(kept func(tokens int) ([]text.Text, error)) error {
	if len(o.Net.Priors) == 0 || o.Net.Priors[0].Rows > 0 {
		return nil
	}
	return o.Retake(kept)
}

// Retake takes the network's priors anew.
func (o *Objective) Retake(kept func(tokens int) ([]text.Text, error)) error {
	texts, err := kept(o.Net.Config.Update.Tokens)
	if err != nil {
		return err
	}
	return o.TakePrior(texts)
}

// priorBatch is how many tokens TakePrior runs at once.
const priorBatch = 1024

// TakePrior makes the network's priors the second moments of the sites' inputs
// over every row of texts, in the model as it is. Processes take the batches in
// turns, and share the sums.
func (o *Objective) TakePrior(texts []text.Text) error {
	last := 0
	sums, mine := make([]*gram.Sum, len(o.sites)), make([]kernel.Matrix, len(o.sites))
	for i, s := range o.sites {
		last = max(last, s.Block)
		sums[i] = gram.New(s.Linear.In)
	}
	peers := o.Share.Peers
	alone := peers == nil || peers.Size() == 1
	ops := eager.New(o.k)
	ops.OnLinear = func(l *nn.Linear, x, _ kernel.Matrix) {
		i, ok := o.index[l]
		switch {
		case ok && alone:
			sums[i].Add(o.k, x)
		case ok:
			mine[i] = kernel.Mat(grow(mine[i].Data, x.Rows*x.Cols), x.Rows, x.Cols)
			mine[i].Put(x)
		}
	}
	rows := int64(0)
	for turn := 0; ; turn++ {
		list, n, err := o.priorTexts(&texts)
		if err != nil {
			return err
		}
		if rows += int64(n); n > 0 && (alone || turn%peers.Size() == peers.Rank()) {
			ids, s := text.Lay(list...)
			ops.Reset()
			lm.Blocks[kernel.Matrix](ops, o.model, lm.Embed[kernel.Matrix](ops, o.model, ids, s), 0, last+1, s, nil)
			if err := ops.Err(); err != nil {
				return fmt.Errorf("prior: %w", err)
			}
		}
		if !alone && (n == 0 || (turn+1)%peers.Size() == 0) {
			if err := gram.AddAll(o.k, peers, sums, mine); err != nil {
				return err
			}
			for i := range mine {
				mine[i].Rows = 0 // its memory stays
			}
		}
		if n == 0 {
			break
		}
	}
	if rows == 0 {
		return fmt.Errorf("prior: there is no text to take the moment from")
	}
	if !alone {
		if err := gram.Complete(peers, sums); err != nil {
			return err
		}
	}
	for i, p := range o.Net.Priors {
		p.Set(sums[i].Values, rows)
	}
	return nil
}

// priorTexts takes the texts of a batch from those that are left, and counts their
// tokens; 0: none are left.
func (o *Objective) priorTexts(left *[]text.Text) (list [][]int32, n int, err error) {
	for len(*left) > 0 && n < priorBatch {
		ids := (*left)[0].IDs
		if err := o.model.CheckLength(len(ids)); err != nil {
			return nil, 0, fmt.Errorf("prior: %w; set data.max_len", err)
		}
		list, n, *left = append(list, ids), n+len(ids), (*left)[1:]
	}
	return list, n, nil
}
