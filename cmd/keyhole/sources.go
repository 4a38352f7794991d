package main

import (
	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/embedded"
	"keyhole.example/keyhole/train"
)

// sources give what the binary carries: a model and edits.
func sources() train.Sources {
	return train.Sources{Model: embedded.Model, Edits: embedded.Edits}
}

// loadData reads a file of edits, or embedded ones: the held-out edits where no
// split is named.
func loadData(path string, d data.Options) (*data.Set, error) {
	if path != embeddedName {
		return data.Load(path, d)
	}
	if d.Split == "" {
		d.Split = "test"
	}
	return embedded.Edits(d)
}
