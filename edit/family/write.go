package family

import (
	"fmt"
	"strings"

	"keyhole.example/keyhole/lm"
)

// spread is the number of blocks that editors of several blocks change.
const spread = 5

// Traced is a family's file with what causal tracing suggests for a model: ROME's
// block, and for MEMIT and AlphaEdit the blocks that end there. from says what was
// traced.
func Traced(m *lm.Model, block int, from string) []byte {
	c := m.Config
	var b strings.Builder
	fmt.Fprintf(&b, "# Written by keyhole trace --write-defaults. In keyhole's folder of families it is\n# used for models of this shape wherever an editor is given no settings.\n")
	fmt.Fprintf(&b, "match: {model_type: %s, layers: %d, width: %d, vocab: %d}\neditors:\n", c.ModelType, c.Layers, c.Width, c.Vocab)
	fmt.Fprintf(&b, "  rome:\n    from: %q\n    config: {layer: %d}\n", from, block)
	var blocks []string
	for l := max(0, block-spread+1); l <= block; l++ {
		blocks = append(blocks, fmt.Sprint(l))
	}
	for _, editor := range []string{"memit", "alphaedit"} {
		fmt.Fprintf(&b, "  %s:\n    from: %q\n    config: {layers: [%s]}\n", editor, from, strings.Join(blocks, ", "))
	}
	return []byte(b.String())
}
