package family

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/lm"
)

// spread is the number of blocks that editors of several blocks change.
const spread = 5

// UserFile is the file in UserFolder for the settings of models of m's shape.
func UserFile(m *lm.Model) (string, error) {
	folder := UserFolder()
	if folder == "" {
		return "", errors.New("this system has no folder for settings: name a file")
	}
	c := m.Config
	return filepath.Join(folder, fmt.Sprintf("%s-%dx%d%s", c.ModelType, c.Layers, c.Width, ending)), nil
}

// Free fails early where Write would for want of a free name or of rights.
func Free(path string) error {
	if err := atomicfile.Free(path); err != nil {
		return err
	}
	return atomicfile.Writable(path)
}

// Write writes a family's file with what causal tracing suggests for a model: ROME's
// block, and for MEMIT and AlphaEdit the blocks that end there. from says what was
// traced. places, if not nil, is where editor networks are trained. The file must not be
// there; its folder is made.
func Write(path string, m *lm.Model, block int, from string, places *Places) error {
	if err := atomicfile.Free(path); err != nil {
		return err
	}
	return atomicfile.WriteBelow(path, func(w io.Writer) error {
		_, err := io.WriteString(w, traced(m, block, from, places))
		return err
	})
}

// traced is the text of such a file.
func traced(m *lm.Model, block int, from string, places *Places) string {
	c := m.Config
	var b strings.Builder
	fmt.Fprintf(&b, "# Written by keyhole trace --write-defaults or keyhole sites. In keyhole's folder of\n# families it is used for models of this shape wherever an editor is given no settings.\n")
	fmt.Fprintf(&b, "match: {model_type: %s, layers: %d, width: %d, vocab: %d}\n", c.ModelType, c.Layers, c.Width, c.Vocab)
	if places != nil {
		fmt.Fprintf(&b, "train:\n  from: %q\n  sites: %s\n  rows: %s\n", places.From, places.SiteList(), places.Rows)
	}
	b.WriteString("editors:\n")
	fmt.Fprintf(&b, "  rome:\n    from: %q\n    config: {layer: %d}\n", from, block)
	var blocks []string
	for l := max(0, block-spread+1); l <= block; l++ {
		blocks = append(blocks, fmt.Sprint(l))
	}
	for _, editor := range []string{"memit", "alphaedit"} {
		fmt.Fprintf(&b, "  %s:\n    from: %q\n    config: {layers: [%s]}\n", editor, from, strings.Join(blocks, ", "))
	}
	return b.String()
}
