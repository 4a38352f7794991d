package configs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"keyhole.example/keyhole/configs"
)

func FuzzLoad(f *testing.F) {
	list, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(list) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, path := range list {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, "train.steps=5", "KEYHOLE_NAME=x")
	}
	f.Add([]byte("a: &a [*a]"), "model.scale={a: 1}", "KEYHOLE_MODEL_SITES=[a,b]")
	f.Fuzz(func(t *testing.T, text []byte, set, env string) {
		c := defaults()
		r, err := configs.Read("fuzz.yaml", text, c, configs.Options{Set: []string{set}, Env: []string{env}})
		if err != nil {
			if !reflect.DeepEqual(c, defaults()) {
				t.Fatalf("defaults changed on error: %+v", c)
			}
			return
		}
		roundTrip(t, c, r)
	})
}

func ExampleRead() {
	type section struct {
		Steps int     `yaml:"steps" doc:"optimiser steps"`
		LR    float64 `yaml:"lr" doc:"step size"`
	}
	type whole struct {
		Train section `yaml:"train"`
	}
	c := whole{Train: section{Steps: 100, LR: 1e-4}}
	r, err := configs.Read("run.yaml", []byte("train:\n  steps: 20\n"), &c, configs.Options{Set: []string{"train.lr=1e-6"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(string(r.Bytes()))
	_, err = configs.Read("run.yaml", []byte("train:\n  stpes: 20\n"), &c, configs.Options{})
	fmt.Println(err)
	// Output:
	// train:
	//   steps: 20 # run.yaml:2
	//   lr: 1e-06 # --set
	// run.yaml:2: train.stpes = 20: unknown key; did you mean train.steps?
}
