package train_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/internal/mpi/mpitest"
	"keyhole.example/keyhole/train"
)

// team trains as so many processes. change alters the config of one of them;
// the process stopper is told to stop after step stopAt.
func team(t *testing.T, n int, c train.Config, dir string, resume bool, stopper, stopAt int, change func(rank int, c *train.Config)) []error {
	t.Helper()
	return mpitest.Together(n, func(m *mpitest.Member) error {
		cfg := c
		if change != nil {
			change(m.Rank(), &cfg)
		}
		r, err := configs.Load("", &cfg, configs.Options{})
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		q := &quiet{}
		if m.Rank() == stopper {
			q.stopAt, q.stop = stopAt, cancel
		}
		src := sources()
		src.Team = m
		l, err := train.Start(cfg, r, dir, resume, src, q)
		if err != nil {
			return err
		}
		defer l.Close()
		return l.Run(ctx)
	})
}

func TestProcessesChangeNoByte(t *testing.T) {
	if testing.Short() {
		t.Skip("many runs take too long with the race detector")
	}
	for name, c := range map[string]train.Config{"sum": small(), "solve": solving()} {
		t.Run(name, func(t *testing.T) {
			c.Threads = 1
			whole, cut := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "cut")
			run(t, c, whole, false, 0)
			for r, err := range team(t, 3, c, cut, false, 1, 7, nil) {
				if want := map[bool]error{true: context.Canceled, false: mpi.ErrStopped}[r == 1]; !errors.Is(err, want) {
					t.Fatalf("process %d of 3: %v, want %v", r, err, want)
				}
			}
			for r, err := range team(t, 2, c, cut, true, 0, 0, nil) {
				if err != nil {
					t.Fatalf("process %d of 2, resumed: %v", r, err)
				}
			}
			want := files(t, whole, "step-000012")
			for name, b := range files(t, cut, "step-000012") {
				if !bytes.Equal(b, want[name]) {
					t.Errorf("%s differs", name)
				}
			}
			log, err := train.ReadLog(cut)
			if err != nil || len(log) != 12+3 {
				t.Errorf("%d log lines (%v), want 12 steps and 3 validations", len(log), err)
			}
		})
	}
}

// TestProcessesMustBeAlike: none of them goes on, and all know which is the odd one.
func TestProcessesMustBeAlike(t *testing.T) {
	other := edits(t, 20)
	for name, c := range map[string]struct {
		change func(*train.Config)
		want   string
	}{
		"config":      {func(c *train.Config) { c.Train.LR = 1e-5 }, "process 1 of 2 on node1 has another config than process 0 of 2 on node0"},
		"data":        {func(c *train.Config) { c.Data.Train, c.Data.Val = other, "embedded" }, "process 1 of 2 on node1 has another training data"},
		"no such set": {func(c *train.Config) { c.Data.Train = filepath.Join(t.TempDir(), "none.json") }, "process 1 of 2 on node1: "},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			for r, err := range team(t, 2, small(), dir, false, -1, 0, func(rank int, cfg *train.Config) {
				if rank == 1 {
					c.change(cfg)
				}
			}) {
				if err == nil || !strings.HasPrefix(err.Error(), c.want) {
					t.Errorf("process %d: %v, want %s", r, err, c.want)
				}
			}
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a refused run leaves a folder (%v)", err)
			}
		})
	}
}

// TestOneProcessHasTheFolder: a second job is refused, in all its processes.
func TestOneProcessHasTheFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	l, err := start(t, small(), dir, false, sources(), &quiet{})
	must(t, err)
	defer l.Close()
	for r, err := range team(t, 2, small(), dir, true, -1, 0, nil) {
		if err == nil || !strings.Contains(fmt.Sprint(err), "is in use by process") {
			t.Errorf("process %d: %v", r, err)
		}
	}
}
