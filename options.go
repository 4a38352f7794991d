package keyhole

import "keyhole.example/keyhole/train"

// Option changes how a call does its work.
type Option func(*settings)

type settings struct {
	threads  int
	steps    int
	run      string
	set      []string
	progress func(Progress)
}

func collect(options []Option) settings {
	var s settings
	for _, o := range options {
		o(&s)
	}
	return s
}

// Threads bounds the threads that compute; 0: all cores. No result depends on it.
func Threads(n int) Option { return func(s *settings) { s.threads = n } }

// Steps is how many optimiser steps Train makes.
func Steps(n int) Option { return func(s *settings) { s.steps = n } }

// RunFolder is where Train keeps the run, for OpenEditor and the program; by
// default nothing stays.
func RunFolder(dir string) Option { return func(s *settings) { s.run = dir } }

// Settings override keys of a config, "key=value": of a training
// (hypernet.rank=64) or of an editor without one (layer=5). `keyhole config
// explain` lists them.
func Settings(set ...string) Option {
	return func(s *settings) { s.set = append(s.set, set...) }
}

// Progress is how far a call is.
type Progress struct {
	Stage       string // fetch (bytes), train (steps), evaluate (facts)
	Done, Total int64
	Note        string // a file, or figures
}

// OnProgress is told, on the caller's goroutine or that of the work, how far a
// call is. It must not call back into the model.
func OnProgress(f func(Progress)) Option { return func(s *settings) { s.progress = f } }

func (s settings) tell(p Progress) {
	if s.progress != nil {
		s.progress(p)
	}
}

// teller is told of a training run.
type teller struct {
	settings
	steps int
}

func (t *teller) Started(done, steps int) {
	t.steps = steps
	t.tell(Progress{Stage: "train", Done: int64(done), Total: int64(steps)})
}

func (t *teller) Stepped(m train.Metrics, _ int) {
	t.tell(Progress{Stage: "train", Done: int64(m.Step), Total: int64(t.steps)})
}

func (t *teller) Validated(train.Metrics, bool) {}
func (t *teller) Saved(string)                  {}

func (t *teller) Skipped(id string, err error) {
	t.tell(Progress{Stage: "train", Total: int64(t.steps), Note: "left out fact " + id + ": " + err.Error()})
}
