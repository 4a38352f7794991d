package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/hub"
	"keyhole.example/keyhole/workbench"
)

// finder turns names of models and data into paths, fetching what is missing
// and showing how far it is.
type finder struct {
	ctx    context.Context
	client *hub.Client
	shown  *fetching
}

func newFinder(c *cobra.Command) (*finder, error) {
	client, err := hub.FromEnv(os.Getenv)
	if err != nil {
		return nil, err
	}
	f := &finder{ctx: c.Context(), client: client, shown: &fetching{w: c.ErrOrStderr()}}
	client.Progress = f.shown.progress
	return f, nil
}

// model finds a base model; what the binary carries stays what it is.
func (f *finder) model(name string) (string, error) { return f.find(name, f.client.Model) }

// data finds a file of data.
func (f *finder) data(name string) (string, error) { return f.find(name, f.client.Data) }

func (f *finder) find(name string, look func(context.Context, string) (string, error)) (string, error) {
	if name == "" || name == workbench.Embedded {
		return name, nil
	}
	path, err := look(f.ctx, name)
	f.shown.finish()
	return path, err
}

// fetching shows the files that are being fetched, one bar each.
type fetching struct {
	w    io.Writer
	file string
	bar  *bar
}

// barUnit is what a bar counts: KiB, so that large files fit an int everywhere.
const barUnit = 1 << 10

func (s *fetching) progress(p hub.Progress) {
	if p.Total == 0 {
		return
	}
	if s.bar == nil || s.file != p.File {
		s.finish()
		if p.Total < 1<<20 {
			return // it is over before anybody has read it
		}
		if p.Done > 0 && p.Done < p.Total {
			fmt.Fprintf(s.w, "going on with %s: %s of %s are there\n", p.File, hub.Size(p.Done), hub.Size(p.Total))
		} else {
			fmt.Fprintf(s.w, "fetching %s, %s\n", p.File, hub.Size(p.Total))
		}
		s.file, s.bar = p.File, newBar(s.w, "KiB", int(p.Total/barUnit))
	}
	s.bar.set(int(p.Done/barUnit), p.File)
}

func (s *fetching) finish() {
	s.bar.finish()
	s.bar, s.file = nil, ""
}
