package embedded

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"path"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/pretrain"
)

//go:embed assets
var assets embed.FS

// maxText bounds the decompressed size of the text.
const maxText = 16 << 20

// Manifest says which recipe made the assets, and what it reached.
func Manifest() (*pretrain.Manifest, error) {
	content, err := read(pretrain.ManifestFile)
	if err != nil {
		return nil, err
	}
	var m pretrain.Manifest
	if err := json.Unmarshal(content, &m); err != nil {
		return nil, fmt.Errorf("embedded %s: %w", pretrain.ManifestFile, err)
	}
	return &m, nil
}

// Train is the edits to train editors on.
func Train() (*data.Set, error) { return Edits(data.Options{Split: "train"}) }

// Val is the edits to validate on while training.
func Val() (*data.Set, error) { return Edits(data.Options{Split: "val"}) }

// Test is the held-out edits.
func Test() (*data.Set, error) { return Edits(data.Options{Split: "test"}) }

// Edits reads the edits of a split, train, val or test, as o says; it is
// data.Load for embedded edits.
func Edits(o data.Options) (*data.Set, error) {
	name := map[string]string{"train": pretrain.TrainFile, "val": pretrain.ValFile, "test": pretrain.TestFile}[o.Split]
	switch {
	case name == "":
		return nil, fmt.Errorf("embedded edits: there is no split %q; there are train, val and test", o.Split)
	case o.Format != "":
		return nil, fmt.Errorf("embedded edits have a format of their own; leave out the format %q", o.Format)
	}
	content, err := read(name)
	if err != nil {
		return nil, err
	}
	o.Split = "" // a file for each, whose records name none
	s, err := data.Read(bytes.NewReader(content), "embedded/"+name, o)
	if err != nil {
		return nil, err
	}
	if err := s.AddCompanions(o); err != nil {
		return nil, err
	}
	return s, nil
}

// Text is sentences of the corpus that the model was trained on, one a line:
// for statistics and perplexities where no other text is given.
func Text() (string, error) {
	content, err := read(pretrain.TextFile)
	if err != nil {
		return "", err
	}
	z, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return "", fmt.Errorf("embedded %s: %w", pretrain.TextFile, err)
	}
	text, err := io.ReadAll(io.LimitReader(z, maxText))
	if err != nil {
		return "", fmt.Errorf("embedded %s: %w", pretrain.TextFile, err)
	}
	return string(text), nil
}

func read(name string) ([]byte, error) {
	content, err := assets.ReadFile(path.Join("assets", name))
	if err != nil {
		return nil, fmt.Errorf("embedded assets: %w; make them anew with keyhole pretrain", err)
	}
	return content, nil
}
