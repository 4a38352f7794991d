package eval

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/internal/mpi/mpitest"
	"keyhole.example/keyhole/lm"
)

// evaluateTogether evaluates as so many processes, each with a model of its own.
// change alters the options of one of them.
func evaluateTogether(t *testing.T, n int, o Options, change func(rank int, o *Options)) ([]*Report, []error) {
	t.Helper()
	models, reports := make([]*lm.Model, n), make([]*Report, n)
	for r := range models {
		models[r] = tinyModel(t, "gpt2")
	}
	errs := mpitest.Together(n, func(m *mpitest.Member) (err error) {
		o := o
		o.Model, o.Team = models[m.Rank()], m
		if change != nil {
			change(m.Rank(), &o)
		}
		reports[m.Rank()], err = Run(t.Context(), o)
		return err
	})
	return reports, errs
}

// TestProcessesChangeNoByte: an evaluation that one process began and several go
// on with, too.
func TestProcessesChangeNoByte(t *testing.T) {
	for _, protocol := range Protocols() {
		dir := t.TempDir()
		o := Options{Model: tinyModel(t, "gpt2"), Engine: testEngine(t), Editor: random{}, Set: tinySet(9), Protocol: protocol, Batch: 2, Pack: 2, Metrics: []string{}}
		o.Out = filepath.Join(dir, "alone.jsonl")
		want := evaluate(t, o)
		whole, err := os.ReadFile(o.Out)
		if err != nil {
			t.Fatal(err)
		}
		for _, cut := range []int{0, len(whole) / 2} {
			o.Out = filepath.Join(dir, "together.jsonl")
			if err := os.WriteFile(o.Out, whole[:cut], 0o644); err != nil {
				t.Fatal(err)
			}
			got, errs := evaluateTogether(t, 3, o, nil)
			for r, err := range errs {
				if err != nil {
					t.Fatalf("%s: process %d: %v", protocol, r, err)
				}
			}
			raw, err := os.ReadFile(o.Out)
			if err != nil {
				t.Fatal(err)
			}
			if string(raw) != string(whole) {
				t.Errorf("%s: from byte %d on three processes write\n%s\nwant\n%s", protocol, cut, raw, whole)
			}
			if !reflect.DeepEqual(got[0].Metrics, want.Metrics) {
				t.Errorf("%s: three processes report %v, one %v", protocol, got[0].Metrics, want.Metrics)
			}
		}
	}
}

func TestProcessesOfOtherEvaluationsAreRefused(t *testing.T) {
	o := Options{Engine: testEngine(t), Editor: random{}, Set: tinySet(6), Metrics: []string{}}
	_, errs := evaluateTogether(t, 2, o, func(rank int, o *Options) {
		if rank == 1 {
			o.Set = tinySet(5)
		}
	})
	for r, err := range errs {
		if err == nil || !strings.HasPrefix(err.Error(), "process 1 of 2 on node1 has another data set than process 0 of 2 on node0") {
			t.Errorf("process %d: %v", r, err)
		}
	}
}

// TestOneStoppedProcessStopsAll and nothing is half written.
func TestOneStoppedProcessStopsAll(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	stop()
	o := Options{Engine: testEngine(t), Editor: random{}, Set: tinySet(6), Metrics: []string{}}
	models := []*lm.Model{tinyModel(t, "gpt2"), tinyModel(t, "gpt2")}
	errs := mpitest.Together(2, func(m *mpitest.Member) error {
		ctx := t.Context()
		if m.Rank() == 1 {
			ctx = stopped
		}
		o := o
		o.Model, o.Team = models[m.Rank()], m
		_, err := Run(ctx, o)
		return err
	})
	if !errors.Is(errs[0], mpi.ErrStopped) || !errors.Is(errs[1], context.Canceled) {
		t.Errorf("got %v", errs)
	}
}
