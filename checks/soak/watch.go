package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/internal/resident"
	"keyhole.example/keyhole/report"
)

// options say how a command is watched.
type options struct {
	limit, every time.Duration
	out          string
}

// sample is a look at the process.
type sample struct {
	Seconds     float64 `json:"seconds"` // since it started
	RSS         float64 `json:"rss_mib"`
	Anon        float64 `json:"anon_mib"` // of RSS: memory of its own
	Descriptors int     `json:"descriptors"`
}

// watch runs a command, samples it until it ends, and draws what it saw. A
// command that is interrupted at the limit and ends by that did not fail.
func watch(ctx context.Context, o options, command []string, out io.Writer) error {
	if len(command) == 0 {
		return errors.New("watch: name the command to run")
	}
	log, err := os.Create(o.out + ".jsonl")
	if err != nil {
		return err
	}
	defer log.Close()
	c := exec.Command(command[0], command[1:]...)
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	if err := c.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()

	start := time.Now()
	tick, limit := time.NewTicker(o.every), time.After(o.limit)
	defer tick.Stop()
	var samples []sample
	var failed error
	interrupted := false
	for done := false; !done; {
		select {
		case failed = <-ended:
			done = true
		case <-limit:
			interrupted = true
			err = errors.Join(err, c.Process.Signal(syscall.SIGINT))
		case <-ctx.Done():
			interrupted, ctx = true, context.Background()
			err = errors.Join(err, c.Process.Signal(syscall.SIGINT))
		case <-tick.C:
			s, e := look(c.Process.Pid)
			if e != nil {
				continue // it ends just now
			}
			s.Seconds = time.Since(start).Seconds()
			samples = append(samples, s)
			err = errors.Join(err, json.NewEncoder(log).Encode(s))
		}
	}
	var status *exec.ExitError
	if interrupted && errors.As(failed, &status) && status.ExitCode() == 128+int(syscall.SIGINT) {
		failed = nil
	}
	if failed != nil {
		failed = fmt.Errorf("%s: %w", strings.Join(command, " "), failed)
	}
	return errors.Join(err, failed, tell(o.out, samples, out))
}

// look samples a process; see proc_pid_status(5) and proc_pid_fd(5).
func look(pid int) (sample, error) {
	m, err := resident.Of(pid)
	if err != nil {
		return sample{}, err
	}
	list, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(pid), "fd"))
	return sample{RSS: m.RSS, Anon: m.Anon, Descriptors: len(list)}, err
}

// draw tells of the samples in a file of watch.
func draw(name string, out io.Writer) error {
	f, err := os.Open(name + ".jsonl")
	if err != nil {
		return err
	}
	defer f.Close()
	var samples []sample
	for d := json.NewDecoder(f); ; {
		var s sample
		if err := d.Decode(&s); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("%s.jsonl, sample %d: %w", name, len(samples)+1, err)
		}
		samples = append(samples, s)
	}
	return tell(name, samples, out)
}

// tell prints how memory and descriptors grew, and draws them.
func tell(name string, samples []sample, out io.Writer) error {
	if len(samples) < 4 {
		return fmt.Errorf("%d samples are too few to tell anything", len(samples))
	}
	var at, rss, anon, files []float64
	for _, s := range samples {
		at = append(at, s.Seconds/60)
		rss, anon, files = append(rss, s.RSS), append(anon, s.Anon), append(files, float64(s.Descriptors))
	}
	fmt.Fprintf(out, "%d samples in %.1f minutes; growth by the second half of them\n", len(at), at[len(at)-1])
	half := len(at) / 2
	for _, s := range []struct {
		what   string
		values []float64
	}{{"resident memory, MiB", rss}, {"of its own, MiB", anon}, {"descriptors", files}} {
		lo, hi := bounds(s.values[half:])
		fmt.Fprintf(out, "%-22s from %.1f to %.1f, %+.3f an hour\n", s.what, lo, hi, 60*slope(at[half:], s.values[half:]))
	}
	minutes := report.Axis{Name: "minutes"}
	memory := report.Lines(filepath.Base(name)+": memory", minutes, report.Axis{Name: "MiB"},
		[]report.Series{{Name: "resident", X: at, Y: rss}, {Name: "of its own", X: at, Y: anon}}, nil)
	const what = "open descriptors"
	descriptors := report.Lines(filepath.Base(name)+": "+what, minutes, report.Axis{Name: what, Zero: true, Whole: true},
		[]report.Series{{Name: what, X: at, Y: files}}, nil)
	return errors.Join(
		atomicfile.Write(name+"-memory.png", memory.WritePNG),
		atomicfile.Write(name+"-descriptors.png", descriptors.WritePNG))
}
