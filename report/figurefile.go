package report

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"keyhole.example/keyhole/internal/atomicfile"
)

// CheckFigureFile fails for the name of a file that figures are not written into.
func CheckFigureFile(path string) error {
	_, err := new(Figure).drawing(path)
	return err
}

// WriteFile writes the figure as PNG or SVG, by what the file's name ends in: whole or
// not at all. It makes the folder that the file lies in.
func (f *Figure) WriteFile(path string) error {
	draw, err := f.drawing(path)
	if err != nil {
		return err
	}
	if err := atomicfile.Writable(path); err != nil {
		return err
	}
	return atomicfile.WriteBelow(path, draw)
}

// drawing writes the figure as a file's name asks for.
func (f *Figure) drawing(path string) (func(io.Writer) error, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".png":
		return f.WritePNG, nil
	case ".svg":
		return f.WriteSVG, nil
	}
	return nil, fmt.Errorf("%s: want a name that ends in .png or .svg", path)
}
