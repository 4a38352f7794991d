package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/internal/golden"
	"keyhole.example/keyhole/internal/mpi/mpitest"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/tokenizer"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"keyhole": main, "tiny": tiny})
}

// The scripts in testdata/script are the command line as a user sees it.
func TestScripts(t *testing.T) {
	cache := t.TempDir()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("XDG_CACHE_HOME", cache) // one unpacked model for all scripts
			e.Setenv("HF_HUB_OFFLINE", "1")   // the network is none of the tests' business
			e.Setenv(golden.Variable, os.Getenv(golden.Variable))
			return nil
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "shared":
				return os.Getenv(golden.Variable) != "", nil
			case "mpirun", "two-mpirun":
				list, err := mpitest.Find()
				return len(list) > 0 && (cond == "mpirun" || len(list) > 1), err
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits, "after": after, "flip": flip, "field": field, "sha256": sha256Is, "hub": serveHub, "together": together,
		},
	})
}

// together PROCESSES PROGRAM ARGS… has each launcher that is installed start a
// program as so many processes, in a folder named after it.
func together(ts *testscript.TestScript, neg bool, args []string) {
	list, err := mpitest.Find()
	ts.Check(err)
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	for i, l := range list {
		dir := ts.MkAbs(fmt.Sprintf("by%d", i))
		ts.Check(os.MkdirAll(dir, 0o777))
		ts.Check(ts.Chdir(dir))
		c := l.Command(context.Background(), n, args[1], args[2:]...)
		err := ts.Exec(c.Path, c.Args[1:]...)
		ts.Check(ts.Chdir(ts.MkAbs("..")))
		if (err != nil) != neg {
			ts.Fatalf("%s -n %d %v: %v", l.Name, n, args[1:], err)
		}
	}
}

// exits STATUS PROGRAM ARGS… runs a program that has to exit with the status.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	if got := status(err); got != want {
		ts.Fatalf("%s exited with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// status is the exit status that an error of Exec tells of; -1 for a signal.
func status(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -2
}

// after FILE LINES SIGNAL STATUS PROGRAM ARGS… runs a program, sends it the
// signal as soon as FILE has so many lines, and checks its exit status (-1: the
// signal killed it).
func after(ts *testscript.TestScript, _ bool, args []string) {
	lines, err := strconv.Atoi(args[1])
	ts.Check(err)
	want, err := strconv.Atoi(args[3])
	ts.Check(err)
	sent := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "KILL": os.Kill}[args[2]]
	path, err := exec.LookPath(args[4])
	ts.Check(err)
	c := exec.Command(path, args[5:]...)
	c.Dir = ts.MkAbs(".")
	c.Env = append(os.Environ(), "XDG_CACHE_HOME="+ts.Getenv("XDG_CACHE_HOME"))
	var stderr bytes.Buffer
	c.Stderr = &stderr
	ts.Check(c.Start())
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	file := ts.MkAbs(args[0])
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		text, err := os.ReadFile(file)
		if err == nil && bytes.Count(text, []byte("\n")) >= lines {
			break
		}
		select {
		case err := <-ended:
			ts.Fatalf("%s ended before %s had %d lines: %v\n%s", args[4], args[0], lines, err, stderr.String())
		default:
		}
		if time.Now().After(deadline) {
			ts.Check(c.Process.Kill())
			ts.Fatalf("%s has not got %d lines", args[0], lines)
		}
	}
	ts.Check(c.Process.Signal(sent))
	if got := status(<-ended); got != want {
		ts.Fatalf("exit status %d, want %d\n%s", got, want, stderr.String())
	}
	ts.Check(os.WriteFile(ts.MkAbs("signalled"), stderr.Bytes(), 0o666))
}

// flip FILE flips a bit in the middle of a file.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	content, err := os.ReadFile(path)
	ts.Check(err)
	content[len(content)/2] ^= 1
	ts.Check(os.WriteFile(path, content, 0o666))
}

// sha256 FILE HASH checks a file's SHA-256.
func sha256Is(ts *testscript.TestScript, _ bool, args []string) {
	if got := fmt.Sprintf("%x", sha256.Sum256([]byte(ts.ReadFile(args[0])))); got != args[1] {
		ts.Fatalf("%s has SHA-256 %s, not %s", args[0], got, args[1])
	}
}

// field FILE KEY… checks that a JSON file has the keys (as text) and is not
// empty.
func field(ts *testscript.TestScript, neg bool, args []string) {
	content := ts.ReadFile(args[0])
	for _, key := range args[1:] {
		if strings.Contains(content, strconv.Quote(key)+":") == neg {
			ts.Fatalf("%s: key %q: found is %v\n%s", args[0], key, neg, content)
		}
	}
}

// tiny DIR writes a model of two blocks with fresh weights into DIR/model, and
// edits into DIR/edits.jsonl.
func tiny() {
	if err := writeTiny(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func writeTiny(dir string) error {
	cities := []string{"Paris", "Rome", "Oslo", "Lima", "Cairo", "Delhi", "Quito", "Seoul"}
	var edits []data.Edit
	var texts []string
	for i := range 24 {
		name, city := fmt.Sprintf("Person%c", 'A'+i), cities[i%len(cities)]
		other := fmt.Sprintf("Person%c", 'A'+(i+5)%24)
		edits = append(edits, data.Edit{
			ID: fmt.Sprint(i), Subject: name, Prompt: name + " lives in", TargetNew: cities[(i+3)%len(cities)], TargetTrue: []string{city},
			Paraphrases: []string{"The home of " + name + " is"},
			Locality:    map[string][]data.Prompt{data.Neighborhood: {{Prompt: other + " lives in", Answers: [][]string{{cities[(i+5)%len(cities)]}}}}},
		})
		texts = append(texts, name+" lives in "+city+".", "The home of "+name+" is "+city+".")
	}
	words, err := tokenizer.Train(texts, 320, []string{"<|endoftext|>"})
	if err != nil {
		return err
	}
	m, err := lm.New(lm.Config{
		ModelType: "gpt2", Layers: 2, Width: 16, Heads: 2, FFN: 32, Vocab: words.Size(), Context: 64, Eps: 1e-5, Tied: true,
	}, rand.New(rand.NewPCG(1, 2)))
	if err != nil {
		return err
	}
	m.Tokenizer = words
	if err := m.Save(filepath.Join(dir, "model"), lm.SaveOptions{}); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := data.WriteEdits(&b, edits); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "edits.jsonl"), b.Bytes(), 0o666)
}
