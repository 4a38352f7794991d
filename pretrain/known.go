package pretrain

import (
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn/eager"
)

// known says of each sentence of a corpus whether the model completes it: the
// most probable token is right at each token of the object.
func known(model *lm.Model, k *kernel.Engine, corpus []sentence) ([]bool, error) {
	const batch = 256
	o := eager.New(k)
	var p packed
	out := make([]bool, len(corpus))
	var best []int32
	for lo := 0; lo < len(corpus); lo += batch {
		part := corpus[lo:min(lo+batch, len(corpus))]
		p.set(part, 0, 0)
		o.Reset()
		logits := model.Logits(o, lm.Forward[kernel.Matrix](o, model, &p.IDs, &p.Seq, &p.Want))
		if err := o.Err(); err != nil {
			return nil, err
		}
		best = append(best[:0], make([]int32, logits.Rows)...)
		k.ArgMax(best, logits.Data, logits.Rows, logits.Cols)
		at := 0
		for i, s := range part {
			right := true
			for range s.object.Hi - s.object.Lo {
				right = right && best[at] == p.labels.IDs[at]
				at++
			}
			out[lo+i] = right
		}
	}
	return out, nil
}
