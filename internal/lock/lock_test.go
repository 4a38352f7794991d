//go:build unix

package lock_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keyhole.example/keyhole/internal/lock"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestLockOfAnotherProcess starts this test binary once more to hold the lock,
// and kills it: the lock must go with it.
func TestLockOfAnotherProcess(t *testing.T) {
	if dir := os.Getenv("LOCK_TEST_HOLD"); dir != "" {
		if _, err := lock.Folder(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held")
		select {}
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestLockOfAnotherProcess$")
	cmd.Env = append(os.Environ(), "LOCK_TEST_HOLD="+dir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	said := make([]byte, 4)
	if _, err := io.ReadFull(out, said); err != nil || string(said) != "held" {
		t.Fatalf("holder says %q, %v", said, err)
	}
	_, err = lock.Folder(dir)
	var used *lock.InUseError
	if !errors.As(err, &used) || used.PID != cmd.Process.Pid {
		t.Errorf("got %v, want process %d", err, cmd.Process.Pid)
	}
	host, hostErr := os.Hostname()
	must(t, hostErr)
	for _, want := range []string{host, "since 2", "-test.run=^TestLockOfAnotherProcess$"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %q", want, err)
		}
	}
	must(t, cmd.Process.Kill())
	if err := cmd.Wait(); err == nil {
		t.Error("the holder ended in peace")
	}
	l, err := lock.Folder(dir)
	must(t, err)
	must(t, l.Unlock())
	must(t, l.Unlock())
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("%d files stay, %v", len(entries), err)
	}
}

// TestALockThatIsAnotherFileIsLeftAlone has something of somebody else where the
// lock should be.
func TestALockThatIsAnotherFileIsLeftAlone(t *testing.T) {
	const text = "what somebody wrote\n"
	for name, plant := range map[string]func(victim, at string) error{
		"symbolic link":        os.Symlink,
		"hard link":            os.Link,
		"copy":                 func(_, at string) error { return os.WriteFile(at, []byte(text), 0o600) },
		"pipe":                 func(_, at string) error { return unix.Mkfifo(at, 0o600) },
		"folder":               func(_, at string) error { return os.Mkdir(at, 0o700) },
		"link to nothing":      func(v, at string) error { return os.Symlink(v+"-none", at) },
		"hard link of a clean": func(v, at string) error { return errors.Join(os.WriteFile(v, nil, 0o600), os.Link(v, at)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
			must(t, os.WriteFile(victim, []byte(text), 0o600))
			must(t, plant(victim, filepath.Join(dir, ".lock")))
			before, err := os.ReadFile(victim)
			must(t, err)
			if l, err := lock.Folder(dir); err == nil {
				t.Error("it is locked", l.Unlock())
			} else if !strings.Contains(err.Error(), ".lock") {
				t.Errorf("%v does not name the file", err)
			}
			if after, err := os.ReadFile(victim); err != nil || string(after) != string(before) {
				t.Errorf("the victim is %q, %v", after, err)
			}
			if _, err := os.Lstat(victim + "-none"); err == nil {
				t.Error("a file was made behind a link")
			}
			if _, err := os.Lstat(filepath.Join(dir, ".lock")); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestALockOfTheFirstVersionIsTaken(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, ".lock"), []byte("4711\n"), 0o600))
	l, err := lock.Folder(dir)
	must(t, err)
	must(t, l.Unlock())
}

// TestOneAtATime has many take the same lock, each of whom removes its file.
func TestOneAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	const takers, times = 8, 25
	var all sync.WaitGroup
	inside, total := 0, 0
	for range takers {
		all.Go(func() {
			for range times {
				l, err := lock.Wait(context.Background(), path, nil)
				if err != nil {
					t.Error(err)
					return
				}
				inside++
				if inside != 1 {
					t.Errorf("%d at a time", inside)
				}
				total++
				inside--
				if err := l.Unlock(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if total != takers*times {
		t.Errorf("%d of %d", total, takers*times)
	}
	l, err := lock.Beside(path)
	must(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	told := 0
	if _, err := lock.Wait(ctx, path, func(*lock.InUseError) { told++ }); !errors.Is(err, context.DeadlineExceeded) || told != 1 {
		t.Errorf("got %v, told %d times", err, told)
	}
	must(t, l.Unlock())
}
