package meta

import (
	"fmt"

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
	texts, err := kept(o.Net.Config.Update.Tokens)
	if err != nil {
		return err
	}
	return o.TakePrior(texts)
}

// priorBatch is how many tokens TakePrior runs at once.
const priorBatch = 1024

// TakePrior makes the network's priors the second moments of the sites' inputs
// over every row of texts, in the model as it is.
func (o *Objective) TakePrior(texts []text.Text) error {
	last := 0
	sums := make([][]float64, len(o.sites))
	for i, s := range o.sites {
		last = max(last, s.Block)
		sums[i] = make([]float64, s.Linear.In*s.Linear.In)
	}
	ops := eager.New(o.e)
	var block []float32
	ops.OnLinear = func(l *nn.Linear, x, _ kernel.Matrix) {
		if i, ok := o.index[l]; ok {
			block = addProducts(o.e, sums[i], x, block)
		}
	}
	rows := int64(0)
	for lo := 0; lo < len(texts); {
		var list [][]int32
		for n := 0; lo < len(texts) && n < priorBatch; lo++ {
			if err := o.model.CheckLength(len(texts[lo].IDs)); err != nil {
				return fmt.Errorf("prior: %w; set data.max_len", err)
			}
			list = append(list, texts[lo].IDs)
			n += len(texts[lo].IDs)
		}
		ids, s := text.Lay(list...)
		rows += int64(len(ids.V))
		ops.Reset()
		lm.Blocks[kernel.Matrix](ops, o.model, lm.Embed[kernel.Matrix](ops, o.model, ids, s), 0, last+1, s, nil)
		if err := ops.Err(); err != nil {
			return fmt.Errorf("prior: %w", err)
		}
	}
	if rows == 0 {
		return fmt.Errorf("prior: there is no text to take the moment from")
	}
	for i, p := range o.Net.Priors {
		p.Set(sums[i], rows)
	}
	return nil
}

// addProducts adds x·xᵀ of each row of x to sum, [width, width]. It returns the
// memory that it used, to be given again.
func addProducts(e *kernel.Engine, sum []float64, x kernel.Matrix, block []float32) []float32 {
	w := x.Cols
	block = grow(block, w*w)
	e.Gemm(kernel.Mat(block, w, w), kernel.Product{A: x, TransA: true, B: x})
	e.For(w, 16, func(lo, hi int) {
		for i := lo * w; i < hi*w; i++ {
			sum[i] += float64(block[i])
		}
	})
	return block
}
