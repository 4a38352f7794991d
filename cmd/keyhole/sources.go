package main

import (
	"keyhole/data"
	"keyhole/embedded"
	"keyhole/train"
)

// sources give what the binary carries: a model and edits.
func sources() train.Sources {
	return train.Sources{Model: embedded.Model, Train: embedded.Train, Val: embedded.Val}
}

// loadData reads a file of edits, or the embedded held-out edits.
func loadData(path string, d data.Options) (*data.Set, error) {
	if path == embeddedName {
		return embedded.Test()
	}
	return data.Load(path, d)
}
