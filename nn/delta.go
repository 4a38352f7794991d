package nn

import "keyhole.example/keyhole/internal/kernel"

// Delta is a low-rank addition to a linear layer: y += Scale·(x·Uᵀ)·D, that is
// W += Scale·Dᵀ·U in the orientation [out, in]. U: [rank, in]; D: [rank, out].
type Delta struct {
	U, D  kernel.Matrix
	Scale float32
}
