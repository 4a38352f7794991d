package kernel

import "math"

// CrossEntropy computes lse[i] = log Σ_j exp(logits[i, j]) and
// nll[i] = lse[i] - logits[i, labels[i]], in nats. nll, lse, labels: [rows];
// logits: [rows, cols]. A label of -1 gives nll 0.
func (e *Engine) CrossEntropy(nll, lse []float32, logits []float32, labels []int32, rows, cols int) {
	e.For(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			row := logits[r*cols : (r+1)*cols]
			lse[r], nll[r] = logSumExp(row), 0
			if labels[r] != -1 {
				nll[r] = lse[r] - row[labels[r]]
			}
		}
	})
}

// CrossEntropyGrad computes dlogits = (softmax(logits) - onehot(labels))*scale
// for each row. dlogits, logits: [rows, cols]; lse, as CrossEntropy gave it,
// labels, scale: [rows]. dlogits may be logits. A label of -1 gives zeros.
func (e *Engine) CrossEntropyGrad(dlogits, logits, lse []float32, labels []int32, scale []float32, rows, cols int) {
	e.For(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			row := dlogits[r*cols : (r+1)*cols]
			if labels[r] == -1 {
				clear(row)
				continue
			}
			expTo(row, logits[r*cols:(r+1)*cols], lse[r], scale[r])
			row[labels[r]] -= scale[r]
		}
	})
}

// KL computes kl[i] = Σ_j P_j·(log P_j - log Q_j) in nats, where P and Q are
// the softmax of row i of p and q, and with it their log Σ exp. kl, lseP,
// lseQ: [rows]; p, q: [rows, cols], finite. The result is at least zero up to
// rounding, about 1e-6, and exactly zero when the rows are equal.
func (e *Engine) KL(kl, lseP, lseQ, p, q []float32, rows, cols int) {
	e.For(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			kl[r], lseP[r], lseQ[r] = klRow(p[r*cols:(r+1)*cols], q[r*cols:(r+1)*cols])
		}
	})
}

// klRow takes the sum with p-q rather than with the log probabilities, so that
// the rounding of the two log Σ exp to float32 does not enter.
func klRow(p, q []float32) (kl, lseP, lseQ float32) {
	mp, mq := maxOf(p), maxOf(q)
	var sp, sq, spd float64
	for lo := 0; lo < len(p); lo += expBlock {
		hi := min(lo+expBlock, len(p))
		a, b, c := klSums(p[lo:hi], q[lo:hi], mp, mq)
		sp, sq, spd = sp+a, sq+b, spd+c
	}
	lp, lq := float64(mp)+math.Log(sp), float64(mq)+math.Log(sq)
	return float32(spd/sp - (lp - lq)), float32(lp), float32(lq)
}

// KLGrad computes dq = (softmax(q) - softmax(p))*scale for each row, the
// gradient of KL by q. dq, p, q: [rows, cols]; lseP, lseQ, as KL gave them,
// scale: [rows]. dq may be q.
func (e *Engine) KLGrad(dq, p, q, lseP, lseQ, scale []float32, rows, cols int) {
	e.For(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			a, b := r*cols, (r+1)*cols
			klGrad(dq[a:b], p[a:b], q[a:b], lseP[r], lseQ[r], scale[r])
		}
	})
}
