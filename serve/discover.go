package serve

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"keyhole.example/keyhole/hub"
	"keyhole.example/keyhole/train"
	"keyhole.example/keyhole/workbench"
)

// Discover adds what is there without being named: the runs of the model at a path,
// and the data sets that are on the disk.
func (o *Options) Discover(model string) error {
	entries, err := os.ReadDir(o.Runs)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("--runs: %w", err)
	}
	for _, e := range entries {
		dir := filepath.Join(o.Runs, e.Name())
		base, err := train.BaseModel(dir)
		if base == "" {
			base = workbench.Embedded
		}
		if err != nil || base != model {
			continue // no run, or one of another model
		}
		if name, err := RunName(dir); err == nil && o.Trained[name] == "" {
			o.Trained[name] = dir
		}
	}
	client, err := hub.FromEnv(os.Getenv)
	if err != nil {
		return err
	}
	o.Data = map[string]string{}
	for _, d := range hub.Datasets() {
		if path, err := client.Have(d); err == nil && path != "" {
			o.Data[d.Name] = path
		}
	}
	return nil
}
