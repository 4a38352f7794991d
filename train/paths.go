package train

import (
	"path/filepath"

	"keyhole.example/keyhole/configs"
)

// BaseModel is the base model of a run or checkpoint folder as its config names
// it; "" stands for the embedded one.
func BaseModel(path string) (string, error) {
	c, err := findCheckpoint(path)
	if err != nil {
		return "", err
	}
	cfg := Default()
	if _, err := configs.Read(filepath.Join(c.Dir, "manifest.json"), []byte(c.Config), &cfg, configs.Options{}); err != nil {
		return "", err
	}
	return cfg.Model.Path, nil
}

// Locate replaces the names of the base model and of data in the config by the
// paths that the functions find for them. What is empty or embedded stays.
func (c *Config) Locate(model, data func(name string) (string, error)) error {
	names := []*string{&c.Data.Train, &c.Data.Val, &c.Data.Neighbors}
	c.Data.Exclude = append([]string(nil), c.Data.Exclude...)
	for i := range c.Data.Exclude {
		names = append(names, &c.Data.Exclude[i])
	}
	var err error
	if c.Model.Path, err = locate(c.Model.Path, model); err != nil {
		return err
	}
	for _, n := range names {
		if *n, err = locate(*n, data); err != nil {
			return err
		}
	}
	return nil
}

func locate(name string, find func(string) (string, error)) (string, error) {
	if isEmbedded(name) {
		return name, nil
	}
	return find(name)
}
