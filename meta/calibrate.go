package meta

import (
	"math"
	"slices"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
)

// rungs are the scales that Scales tries: 1 to 8 in steps of √2.
const rungs = 7

func rung(i int) float32 { return float32(math.Exp2(float64(i) / 2)) }

// Scales finds for each task of the last call of Rows, which gave rows, the
// smallest scale of its update at which every wanted token of its edits is the
// most probable one and their mean probability is at least reach; where there is
// none, the one with the highest probability. A larger update may miss what a
// smaller one has, so the scales are tried from the smallest on.
func (o *Objective) Scales(rows [][]Rows, reach float64) ([]float32, error) {
	return Raise(len(o.inner.Tasks), reach, func(scales []float32) (prob []float64, right []bool, err error) {
		o.outside().SetTasks(o.inner.Tasks)
		o.ops.Deltas = map[string][]nn.Delta{}
		for i, s := range o.sites {
			for t, r := range rows[i] {
				delta := r.Delta
				delta.Scale *= scales[t]
				o.ops.Deltas[s.Name] = append(o.ops.Deltas[s.Name], delta)
			}
		}
		return o.answers()
	})
}

// Raise finds the smallest scale of each of n updates at which ask says that it is
// right with a probability of at least reach; where there is none, the one with the
// highest probability. ask is told the scales of all of them: those found keep theirs.
func Raise(n int, reach float64, ask func(scales []float32) (prob []float64, right []bool, err error)) ([]float32, error) {
	best, done := make([]float64, n), make([]bool, n)
	scales := make([]float32, n)
	for i := 0; i < rungs && slices.Contains(done, false); i++ {
		try := make([]float32, n)
		for t := range n {
			if try[t] = rung(i); done[t] {
				try[t] = scales[t]
			}
		}
		prob, right, err := ask(try)
		if err != nil {
			return nil, err
		}
		for t := range n {
			if done[t] {
				continue
			}
			done[t] = right[t] && prob[t] >= reach
			if done[t] || i == 0 || prob[t] > best[t] {
				best[t], scales[t] = prob[t], try[t]
			}
		}
	}
	return scales, nil
}

// Answers is, for each task of the last call of Rows or First, the mean probability
// of the wanted tokens of its edits in the model as it is now, and whether each of
// them is the most probable one.
func (o *Objective) Answers() (prob []float64, right []bool, err error) {
	o.outside().SetTasks(o.inner.Tasks)
	return o.answers()
}

// answers is Answers in the model with what ops has been given.
func (o *Objective) answers() (prob []float64, right []bool, err error) {
	d := o.model.Config.Width
	states := kernel.Mat(append([]float32(nil), o.hIn...), len(o.hIn)/d, d)
	x := lm.Blocks[kernel.Matrix](o.ops, o.model, states, o.Prefix.First, o.model.Config.Layers, &o.inner.Seq, &o.inner.Want)
	x = lm.FinalNorm[kernel.Matrix](o.ops, o.model, x)
	logits := o.model.Logits(o.ops, x)
	if err := o.ops.Err(); err != nil {
		return nil, nil, err
	}
	loss, rest, top := make([]float32, x.Rows), make([]float32, x.Rows), make([]int32, x.Rows)
	o.k.CrossEntropy(loss, rest, logits.Data, o.innerLabels.IDs, logits.Rows, logits.Cols)
	o.k.ArgMax(top, logits.Data, logits.Rows, logits.Cols)
	for _, r := range o.inner.Want.Tasks {
		p, all := 0.0, true
		for i := r.Lo; i < r.Hi; i++ {
			p += math.Exp(-float64(loss[i])) / float64(r.Hi-r.Lo)
			all = all && top[i] == o.innerLabels.IDs[i]
		}
		prob, right = append(prob, p), append(right, all)
	}
	return prob, right, nil
}
