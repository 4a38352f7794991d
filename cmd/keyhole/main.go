// Command keyhole implants single pieces of knowledge in language models.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/edit/catalog"
	"keyhole.example/keyhole/internal/console"
	"keyhole.example/keyhole/internal/mmap"
	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/internal/printable"
	"keyhole.example/keyhole/workbench"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

// run executes the command line and returns the exit status: 0, 1 for a
// failure, 2 for wrong use, 3 for an edit that did not do what it should, 128
// plus the signal for an interrupt.
func run(args []string) int {
	stdout, stderr := console.New(os.Stdout, printable.New(os.Stdout)), console.New(os.Stderr, printable.New(os.Stderr))
	stdout.Above(stderr)
	stderr.Fold()
	ctx, stop := withSignals(context.Background(), stderr)
	defer stop()
	o := &options{}
	root := commands(o)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	stderr.Rewrite(asCalled(root, os.Args[0]))
	cmd, err := root.ExecuteContextC(ctx)
	status := 0
	if err != nil {
		status = o.explain(stderr.Loud(), cmd, err)
	}
	// Half a character at the end is no reason for another exit status.
	_ = stdout.Flush()
	_ = stderr.Flush()
	return o.leave(status, err)
}

// explain prints why a command failed, and returns the exit status.
func (o *options) explain(w io.Writer, cmd *cobra.Command, err error) int {
	var stopped *interrupted
	var failed *failure
	var short *workbench.UnmetError
	switch {
	case errors.As(err, &stopped):
		return 128 + int(stopped.signal)
	case errors.Is(err, mpi.ErrStopped):
		return 128 + int(syscall.SIGTERM)
	case errors.As(err, &short):
		o.say(w, err)
		return 3
	case errors.As(err, &failed):
		o.say(w, err)
		return 1
	}
	o.say(w, fmt.Errorf("%w\ntry: %s --help", err, cmd.CommandPath()))
	return 2
}

// failure marks an error of a command that was used as it should be. Any other
// error is one of use.
type failure struct{ err error }

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// usageError is wrong use that a command finds out by itself.
type usageError struct{ err error }

func (u *usageError) Error() string { return u.err.Error() }
func (u *usageError) Unwrap() error { return u.err }

func wrongUse(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// markFailures makes what the commands below c return a failure, unless they
// say that it is wrong use.
func markFailures(c *cobra.Command) {
	around(c, func(c *cobra.Command, args []string, run action) error {
		err := guarded(func() error { return run(c, args) })
		var use *usageError
		var name *catalog.NameError
		if err == nil || errors.As(err, &use) || errors.As(err, &name) {
			return err
		}
		return &failure{err}
	})
}

// guarded runs a command; that a mapped file was cut short meanwhile becomes its
// error.
func guarded(run func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			if err = mmap.Fault(r); err == nil {
				panic(r)
			}
		}
	}()
	return run()
}

// interrupted is the cause of a context that a signal ended.
type interrupted struct{ signal syscall.Signal }

func (i *interrupted) Error() string { return "interrupted by " + i.signal.String() }

// withSignals ends ctx at SIGINT or SIGTERM, with the signal as its cause, and says
// so at once. A second signal ends the program, which says what that loses, unless
// a launcher started it: that hands on what the terminal has sent already.
func withSignals(parent context.Context, said *console.Console) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	ch := make(chan os.Signal, 2)
	signal.Notify(ch, syscall.SIGINT, syscall.SIGTERM)
	job, launched, _ := mpi.Launched()
	if launched {
		signal.Notify(ch, jobSignals...)
	}
	go func() {
		for n := 0; ; n++ {
			s := <-ch
			if n == 0 {
				cancel(&interrupted{s.(syscall.Signal)})
			}
			switch {
			case launched && n == 0 && job.Rank == 0:
				fmt.Fprintln(said.Loud(), "finishing this step")
			case !launched && n == 0 && s == syscall.SIGINT:
				fmt.Fprintln(said.Loud(), "finishing this step; press Ctrl-C again to stop now")
			case !launched && n == 0:
				fmt.Fprintln(said.Loud(), "finishing this step; a second signal stops it now")
			}
			if launched || n == 0 {
				continue
			}
			lost := said.Lost()
			if lost == "" {
				lost = "what this command had not written yet"
			}
			said.Close()
			fmt.Fprintf(said.Loud(), "stopped; lost: %s\n", lost)
			os.Exit(128 + int(s.(syscall.Signal)))
		}
	}()
	return ctx, func() {
		signal.Stop(ch)
		cancel(nil)
	}
}
