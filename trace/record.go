package trace

import (
	"slices"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/nn"
)

// kept is what a run leaves behind, by block: the outputs of blocks and of their
// modules [rows, width], what entered block 0, and attention's keys and values.
type kept struct {
	in        []float32
	hidden    [][]float32
	mlp, attn [][]float32
	keys      *nn.Keys
}

func newKept(layers int) *kept {
	return &kept{
		hidden: make([][]float32, layers), mlp: make([][]float32, layers), attn: make([][]float32, layers),
		keys: nn.NewKeys(layers),
	}
}

// at is where the outputs of a component are kept, nil if they are not.
func (k *kept) at(c nn.Component) [][]float32 {
	switch c {
	case nn.BlockOut:
		return k.hidden
	case nn.MLPOut:
		return k.mlp
	case nn.AttnOut:
		return k.attn
	}
	return nil
}

// tap keeps a copy of what passes.
func (k *kept) tap(p nn.Place, x kernel.Matrix) {
	if p.At == nn.BlockIn && p.Layer == 0 {
		k.in = slices.Clone(x.Data[:x.Rows*x.Cols])
	}
	if states := k.at(p.At); states != nil {
		states[p.Layer] = slices.Clone(x.Data[:x.Rows*x.Cols])
	}
}
