package train

import (
	"path/filepath"
	"strings"
)

// BaseModel is the base model of a run or checkpoint folder as its config names
// it; "" stands for the embedded one.
func BaseModel(path string) (string, error) {
	c, err := findCheckpoint(path)
	if err != nil {
		return "", err
	}
	var cfg Config
	if _, err := savedConfig(c, &cfg); err != nil {
		return "", err
	}
	return Moved(cfg.Model.Path, path), nil
}

// LearnerOf is what a run or checkpoint folder trains: LearnNetwork or LearnSERAC.
func LearnerOf(path string) (string, error) {
	c, err := findCheckpoint(path)
	if err != nil {
		return "", err
	}
	var cfg Config
	_, err = savedConfig(c, &cfg)
	return cfg.Learner, err
}

// Moved is where a run's base model lies now. Where there is nothing at its path,
// the run may have been moved with the model: the path, or the end of it, is looked
// for beside the run folder and the folders that it lies in. Whether what is found
// is the right model, its hash tells when it is loaded.
func Moved(model, run string) string {
	if isEmbedded(model) || exists(model) {
		return model
	}
	dir, err := filepath.Abs(run)
	if err != nil {
		return model // which is then not found
	}
	parts := strings.FieldsFunc(filepath.ToSlash(model), func(r rune) bool { return r == '/' })
	for {
		for i := range parts {
			if at := filepath.Join(dir, filepath.Join(parts[i:]...)); exists(at) {
				return at
			}
		}
		up := filepath.Dir(dir)
		if up == dir {
			return model
		}
		dir = up
	}
}

// Locate replaces the names of the base model and of data in the config by the
// paths that the functions find for them. What is empty or embedded stays.
func (c *Config) Locate(model, data func(name string) (string, error)) error {
	names := []*string{&c.Data.Train, &c.Data.Val, &c.Data.Neighbors, &c.Data.General}
	c.Data.Exclude = append([]string(nil), c.Data.Exclude...)
	for i := range c.Data.Exclude {
		names = append(names, &c.Data.Exclude[i])
	}
	var err error
	if c.Model.Path, err = locate(c.Model.Path, model); err != nil {
		return err
	}
	for _, p := range []*string{&c.SERAC.Encoder, &c.SERAC.Counterfactual} {
		if *p, err = locate(*p, model); err != nil {
			return err
		}
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
