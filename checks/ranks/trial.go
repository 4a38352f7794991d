//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"keyhole.example/keyhole/internal/mpi/mpitest"
)

const (
	steps     = 20
	processes = 3
	longest   = 4 * time.Minute // of a job on a busy machine
)

// settings are those of a small run.
var settings = []string{"quickstart-mend", "--steps", strconv.Itoa(steps), "--set", "hypernet.rank=16", "--set", "model.blocks=1",
	"--set", "train.accumulate=6", "--set", "train.val_every=0", "--set", "train.save_every=4", "--set", "threads=1"}

type trial struct {
	keyhole, dir string
	rng          *rand.Rand
	by           mpitest.Launcher
	want         string // sums of the run of one process
}

// reference trains without a launcher.
func (t *trial) reference() error {
	run := filepath.Join(t.dir, "alone")
	out, err := exec.Command(t.keyhole, slices.Concat([]string{"train"}, settings, []string{"--out", run})...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("alone: %w\n%s", err, out)
	}
	t.want, err = sums(run)
	return err
}

// sums are the sums of a run's last checkpoint.
func sums(run string) (string, error) {
	paths, err := filepath.Glob(filepath.Join(run, "checkpoints", fmt.Sprintf("step-%06d", steps), "*"))
	if err != nil || len(paths) == 0 {
		return "", fmt.Errorf("%s has no checkpoint of step %d (%v)", run, steps, err)
	}
	var out strings.Builder
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&out, "%s %x\n", filepath.Base(p), sha256.Sum256(b))
	}
	return out.String(), nil
}

// job is a launcher with its processes.
type job struct {
	cmd  *exec.Cmd
	out  bytes.Buffer
	done chan error
	stop context.CancelFunc
}

func (t *trial) start(n int, args ...string) (*job, error) {
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	j := &job{cmd: t.by.Command(ctx, n, t.keyhole, args...), done: make(chan error, 1), stop: cancel}
	j.cmd.Stdout, j.cmd.Stderr, j.cmd.Dir = &j.out, &j.out, t.dir
	if err := j.cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	go func() { j.done <- j.cmd.Wait() }()
	return j, nil
}

// finish waits for the end of the job, which has to have failed or not.
func (j *job) finish(fails bool) error {
	defer j.stop()
	err := <-j.done
	switch {
	case fails && err == nil:
		return fmt.Errorf("the job did not fail:\n%s", &j.out)
	case !fails && err != nil:
		return fmt.Errorf("%w\n%s", err, &j.out)
	case fails && j.out.Len() == 0:
		return fmt.Errorf("the job ended without a message")
	}
	return nil
}

// killed kills a process at a random step, and resumes with other numbers of
// processes until the run is done.
func (t *trial) killed(name string, stopped bool) error {
	run := filepath.Join(t.dir, strings.ReplaceAll(name, " ", ""))
	j, err := t.start(processes, slices.Concat([]string{"train"}, settings, []string{"--out", run})...)
	if err != nil {
		return err
	}
	at := 1 + t.rng.IntN(steps-2)
	for lines(run) < at {
		select {
		case err := <-j.done:
			return fmt.Errorf("the job ended before step %d: %v\n%s", at, err, &j.out)
		case <-time.After(5 * time.Millisecond):
		}
	}
	time.Sleep(time.Duration(t.rng.IntN(50)) * time.Millisecond)
	ranks := descendants(j.cmd.Process.Pid, t.keyhole)
	if len(ranks) == 0 {
		return fmt.Errorf("no process of the job is found")
	}
	victim := ranks[t.rng.IntN(len(ranks))]
	if stopped {
		_ = syscall.Kill(victim, syscall.SIGSTOP)
		time.Sleep(2 * time.Second)
	}
	began := time.Now()
	_ = syscall.Kill(victim, syscall.SIGKILL) // it may have ended by itself
	if err := j.finish(lines(run) < steps); err != nil {
		return err
	}
	ended := time.Since(began)
	n := 1 + t.rng.IntN(4)
	if j, err = t.start(n, "resume", run); err != nil {
		return err
	}
	if err := j.finish(false); err != nil {
		return fmt.Errorf("resumed by %d: %w", n, err)
	}
	got, err := sums(run)
	if err == nil && got != t.want {
		err = fmt.Errorf("killed at step %d, resumed by %d: the checkpoint differs\n%swant\n%s", at, n, got, t.want)
	}
	fmt.Printf("%s: killed at step %d, ended after %.1f s, resumed by %d\n", name, at, ended.Seconds(), n)
	return err
}

// lines is how many steps a run's log has.
func lines(run string) int {
	b, _ := os.ReadFile(filepath.Join(run, "log.jsonl")) // it may not be there yet
	return bytes.Count(b, []byte("\n"))
}

// descendants are the processes below pid that run a program.
func descendants(pid int, program string) []int {
	var out []int
	children, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range children {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(raw), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 2 || fields[1] != strconv.Itoa(pid) {
			continue
		}
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if exe, err := os.Readlink(filepath.Join(filepath.Dir(path), "exe")); err == nil && exe == program {
			out = append(out, child)
		}
		out = append(out, descendants(child, program)...)
	}
	return out
}

// otherFile gives one process other edits than the rest.
func (t *trial) otherFile() error {
	facts := filepath.Join(t.dir, "facts.yaml")
	if _, err := os.Stat(facts); err != nil {
		if out, err := exec.Command(t.keyhole, "data", "new", facts).CombinedOutput(); err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
	}
	run := filepath.Join(t.dir, "other")
	train := slices.Concat([]string{"train"}, settings, []string{"--out", run})
	j, err := t.start(1, slices.Concat(train, []string{":", "-n", "1", t.keyhole}, train, []string{"--data", facts})...)
	if err != nil {
		return err
	}
	if err := j.finish(true); err != nil {
		return err
	}
	if want := "has another "; !strings.Contains(j.out.String(), want) || !strings.Contains(j.out.String(), "process 1 of 2") {
		return fmt.Errorf("the message is\n%s\nwhich does not say that process 1 of 2 %s…", &j.out, want)
	}
	if _, err := os.Stat(run); err == nil {
		return fmt.Errorf("a refused run left %s", run)
	}
	fmt.Printf("%s: another file is refused\n", t.by.Name)
	return nil
}

// fullDisk trains on a disk that is too small for the second checkpoint, and
// resumes on one that is not.
func (t *trial) fullDisk() error {
	small := filepath.Join(t.dir, "small")
	if err := os.MkdirAll(small, 0o777); err != nil {
		return err
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=3000k", "tmpfs", small).CombinedOutput(); err != nil {
		fmt.Printf("%s: skipped the full disk: mount: %s\n", t.by.Name, bytes.TrimSpace(out))
		return nil
	}
	defer func() { _ = exec.Command("umount", small).Run() }()
	run := filepath.Join(small, "run")
	j, err := t.start(2, slices.Concat([]string{"train"}, settings, []string{"--out", run})...)
	if err != nil {
		return err
	}
	if err := j.finish(true); err != nil {
		return err
	}
	if !strings.Contains(j.out.String(), "process 0 of 2") || !strings.Contains(j.out.String(), "no space left") {
		return fmt.Errorf("the message does not say that process 0 has no space left:\n%s", &j.out)
	}
	if out, err := exec.Command("mount", "-o", "remount,size=64m", small).CombinedOutput(); err != nil {
		return fmt.Errorf("remount: %w\n%s", err, out)
	}
	if j, err = t.start(2, "resume", run); err != nil {
		return err
	}
	if err := j.finish(false); err != nil {
		return err
	}
	got, err := sums(run)
	if err == nil && got != t.want {
		err = fmt.Errorf("the checkpoint differs\n%swant\n%s", got, t.want)
	}
	fmt.Printf("%s: a full disk is told of, and the run goes on\n", t.by.Name)
	return err
}
