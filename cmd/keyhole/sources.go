package main

import (
	"fmt"

	"keyhole/data"
	"keyhole/embedded"
	"keyhole/train"
)

// sources give what the binary carries: a model and edits.
func sources() train.Sources {
	return train.Sources{Model: embedded.Model, Train: embedded.Train, Val: embedded.Val}
}

// loadData reads a file of edits, or embedded ones: the held-out edits where no
// split is named.
func loadData(path string, d data.Options) (*data.Set, error) {
	if path != embeddedName {
		return data.Load(path, d)
	}
	splits := map[string]func() (*data.Set, error){"": embedded.Test, "test": embedded.Test, "val": embedded.Val, "train": embedded.Train}
	read := splits[d.Split]
	if read == nil {
		return nil, fmt.Errorf("embedded edits: there is no split %q; there are train, val and test", d.Split)
	}
	set, err := read()
	if err != nil {
		return nil, err
	}
	return set, set.AddCompanions(d)
}
