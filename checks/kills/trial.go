package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// tries are the trials of a call.
type tries struct {
	program, dir string
	seed         uint64
	out          io.Writer
}

// count is what came of a command's trials.
type count struct {
	kills, byFile, trials int
	faults                []string
}

const (
	perTrial = 4                      // kills of a trial at most
	look     = 300 * time.Microsecond // between looks at a trial's folder
	patience = 5 * time.Minute        // for a command that is not killed
)

// start prepares a command in folder dir.
func (t *tries) start(dir string, command []string) *exec.Cmd {
	args := make([]string, len(command))
	for i, a := range command {
		args[i] = strings.ReplaceAll(a, "$IN", filepath.Join(t.dir, "inputs"))
	}
	c := exec.Command(t.program, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(dir, "cache"), "HOME="+dir)
	return c
}

// next is what is typed in a trial's folder as it is; nil: nothing is left.
func (k kind) next(dir string) []string {
	has := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return name != "" && err == nil
	}
	switch {
	case k.whole != "" && has(k.whole):
		return nil
	case k.again != nil && has(k.begun):
		return k.again
	}
	return k.command
}

// all runs a command undisturbed, and then in trials until it was killed n
// times.
func (t *tries) all(k kind, n int) (count, error) {
	var c count
	whole := filepath.Join(t.dir, k.name, "whole")
	if err := os.MkdirAll(whole, 0o777); err != nil {
		return c, err
	}
	took, names, err := t.undisturbed(whole, k)
	if err != nil {
		return c, err
	}
	for i := 0; c.kills < n; i++ {
		if i >= 10*n+10 {
			return c, fmt.Errorf("only %d kills in %d trials", c.kills, i)
		}
		dir := filepath.Join(t.dir, k.name, fmt.Sprint(i))
		if err := os.Mkdir(dir, 0o777); err != nil {
			return c, err
		}
		rng := rand.New(rand.NewPCG(t.seed, uint64(i)))
		kills, byFile, err := t.trial(dir, k, rng, min(perTrial, n-c.kills), took, names)
		c.kills, c.byFile, c.trials = c.kills+kills, c.byFile+byFile, c.trials+1
		if err == nil {
			err = k.differs(whole, dir)
		}
		if err != nil {
			c.faults = append(c.faults, fmt.Sprintf("trial %d, killed %d times: %v", i, kills, err))
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return c, err
		}
	}
	return c, nil
}

// undisturbed runs a command to its end, and returns how long it took and how
// many names appeared.
func (t *tries) undisturbed(dir string, k kind) (time.Duration, int, error) {
	seen := names{dir: dir, known: map[string]bool{}}
	seen.look()
	before := len(seen.known)
	begin := time.Now()
	p, err := t.spawn(dir, k.command)
	if err != nil {
		return 0, 0, err
	}
	for {
		select {
		case err := <-p.ended:
			return time.Since(begin), len(seen.known) - before, p.fault(err)
		case <-time.After(look):
			seen.look()
		}
	}
}

// process is a command that runs.
type process struct {
	cmd    *exec.Cmd
	said   *bytes.Buffer
	ended  chan error
	killed bool
}

func (t *tries) spawn(dir string, command []string) (*process, error) {
	p := &process{cmd: t.start(dir, command), said: &bytes.Buffer{}, ended: make(chan error, 1)}
	p.cmd.Stdout, p.cmd.Stderr = p.said, p.said
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.ended <- p.cmd.Wait() }()
	return p, nil
}

// fault is what a command that ended by itself did wrong.
func (p *process) fault(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w: %s", strings.Join(p.cmd.Args[1:], " "), err, lastLines(p.said.String(), 3))
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}

// trial kills a command up to most times, each time at a random moment or at a
// random one of the names that appear, and lets it end.
func (t *tries) trial(dir string, k kind, rng *rand.Rand, most int, took time.Duration, appear int) (kills, byFile int, err error) {
	for {
		command := k.next(dir)
		if command == nil {
			return kills, byFile, nil
		}
		p, err := t.spawn(dir, command)
		if err != nil {
			return kills, byFile, err
		}
		moment, name := patience, 0
		switch {
		case kills >= most:
		case rng.IntN(3) == 0:
			moment = time.Duration(rng.Float64() * float64(took))
		default: // a resumed command writes less, so the first names are likelier
			name = 1 + rng.IntN(1+rng.IntN(max(1, appear)))
		}
		failed := p.killAt(dir, moment, name)
		switch {
		case p.killed && kills < most:
			kills++
			if name > 0 {
				byFile++
			}
		case p.killed:
			return kills, byFile, fmt.Errorf("%s: not done after %v", strings.Join(command, " "), patience)
		default:
			return kills, byFile, failed // it ended before it could be killed, or was not to be
		}
	}
}

// killAt waits until the process ends, or kills it after some time, or, for a
// name above 0, when so many names have appeared. It returns what the process
// did wrong if it ended by itself.
func (p *process) killAt(dir string, after time.Duration, name int) error {
	var seen *names
	if name > 0 {
		seen = &names{dir: dir, known: map[string]bool{}}
		seen.look()
		name += len(seen.known)
	}
	deadline := time.Now().Add(after)
	for {
		select {
		case err := <-p.ended:
			return p.fault(err)
		case <-time.After(look):
		}
		if seen != nil {
			seen.look()
		}
		if time.Now().Before(deadline) && (seen == nil || len(seen.known) < name) {
			continue
		}
		if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		err := <-p.ended
		var status *exec.ExitError
		if errors.As(err, &status) {
			if w, ok := status.Sys().(syscall.WaitStatus); ok && w.Signaled() && w.Signal() == syscall.SIGKILL {
				p.killed = true
				return nil
			}
		}
		return p.fault(err)
	}
}
