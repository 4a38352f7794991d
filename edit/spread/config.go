package spread

import (
	"fmt"
	"slices"

	"keyhole.example/keyhole/edit/keyvalue"
	"keyhole.example/keyhole/lm"
)

// CheckLayers fails unless layers are blocks in ascending order.
func CheckLayers(layers []int) error {
	for i, l := range layers {
		if l < 0 || i > 0 && l <= layers[i-1] {
			return fmt.Errorf("layers: %v are not blocks in ascending order", layers)
		}
	}
	return nil
}

// CheckLossLayer fails for a number that cannot be a block.
func CheckLossLayer(layer int) error {
	if layer < -1 {
		return fmt.Errorf("v_loss_layer: %d is no block; use -1 for the last", layer)
	}
	return nil
}

// Sites are the second linear layers of the MLPs of blocks layers in m; none:
// those of five blocks that end, as published, at a quarter of the depth, of
// GPT-2, GPT-NeoX and OPT at a third.
func Sites(m *lm.Model, layers []int) ([]lm.Site, error) {
	layers = slices.Clone(layers)
	if len(layers) == 0 {
		const band = 5
		last := m.Config.Layers / 3
		if keyvalue.LooksUpEarly(m) {
			last = m.Config.Layers / 4
		}
		for l := max(0, last-band+1); l <= last; l++ {
			layers = append(layers, l)
		}
	}
	patterns := make([]string, len(layers))
	for i, l := range layers {
		patterns[i] = fmt.Sprintf("%s@%d", lm.RoleDown, l)
	}
	return m.FindSites(patterns)
}
