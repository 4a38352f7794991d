package checkpoints

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/internal/lock"
	"keyhole.example/keyhole/internal/regular"
	"keyhole.example/keyhole/internal/seal"
)

const (
	lastName = "last"
	bestName = "best"
)

var stepName = regexp.MustCompile(`^step-([0-9]{6,18})$`)

// FolderName gives the name of a step's folder: step-000120 for 120.
func FolderName(step int) string { return fmt.Sprintf("step-%06d", step) }

// stepOf reads a folder's name; false if it is not that of a step.
func stepOf(name string) (int, bool) {
	m := stepName.FindStringSubmatch(name)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1])
	return n, err == nil && FolderName(n) == name
}

// Store is a folder of checkpoints. It is not safe for concurrent use.
type Store struct {
	dir  string
	lock *lock.Lock // nil for a view
}

// Open makes the folder dir if need be, takes its lock and sweeps away what
// interrupted saves and prunings left. The error is an *[InUseError] while
// another process has it open. Close the store when done.
func Open(dir string) (*Store, error) {
	if err := notLink(dir); err != nil {
		return nil, fmt.Errorf("open checkpoints: %w", err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("open checkpoints: %w", err)
	}
	held, err := lock.Folder(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, lock: held}
	if err := s.sweep(); err != nil {
		return nil, errors.Join(fmt.Errorf("open checkpoints %s: %w", dir, err), held.Unlock())
	}
	return s, nil
}

// View opens the folder dir for reading only: no lock, no sweep, no change.
func View(dir string) (*Store, error) {
	if err := notLink(dir); err != nil {
		return nil, fmt.Errorf("view checkpoints: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("view checkpoints: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("view checkpoints: %s is not a folder", dir)
	}
	return &Store{dir: dir}, nil
}

// notLink fails if dir is a symbolic link, behind which pruning and sweeping would
// delete what lies elsewhere.
func notLink(dir string) error {
	if info, err := os.Lstat(filepath.Clean(dir)); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return fmt.Errorf("%s: a symbolic link; put the folder itself there, or link the whole run's folder", dir)
	}
	return nil
}

// Close gives the lock back.
func (s *Store) Close() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.Unlock()
}

// Dir is the path of the store's folder.
func (s *Store) Dir() string { return s.dir }

// List gives the names of the step folders, by ascending step, valid or not.
func (s *Store) List() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("list checkpoints: %w", err)
	}
	var list []string
	for _, e := range entries {
		if _, ok := stepOf(e.Name()); ok && e.IsDir() && !s.isDeleting(e.Name()) {
			list = append(list, e.Name())
		}
	}
	slices.SortFunc(list, func(a, b string) int {
		x, _ := stepOf(a) // both are names of steps
		y, _ := stepOf(b)
		return x - y
	})
	return list, nil
}

// Last gives the name of the checkpoint that was saved last; it wraps [ErrNone]
// if there is none. If somebody deleted it, or the pointer, it gives the latest
// checkpoint that is intact: the way out when the last is damaged.
func (s *Store) Last() (string, error) {
	name, err := s.pointer(lastName)
	if errors.Is(err, errGone) || errors.Is(err, ErrNone) {
		if latest := s.intact(""); latest != "" {
			return latest, nil
		}
	}
	return name, err
}

// Gone names the checkpoint that was saved last, if somebody deleted it; empty
// if not.
func (s *Store) Gone() string {
	name, err := s.pointer(lastName)
	if errors.Is(err, errGone) {
		return name
	}
	return ""
}

// Best gives the name of the checkpoint that [Store.SetBest] chose; it wraps
// [ErrNone] if there is none.
func (s *Store) Best() (string, error) { return s.pointer(bestName) }

// SetBest makes the pointer best name a checkpoint (a name or "last").
func (s *Store) SetBest(ref string) error {
	if s.lock == nil {
		return s.readOnly("set best")
	}
	name, err := s.resolve(ref)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(s.dir, name, manifestName)); err != nil {
		return fmt.Errorf("set best checkpoint: %w", err)
	}
	return s.point(bestName, name)
}

// point writes a pointer.
func (s *Store) point(pointer, name string) error {
	err := atomicfile.Write(filepath.Join(s.dir, pointer), func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s %s\n", name, seal.Sum([]byte(name)))
		return err
	})
	if err != nil {
		return fmt.Errorf("checkpoint pointer: %w", err)
	}
	return nil
}

// pointer reads and checks a pointer. With an error that wraps errGone comes the
// missing folder's name.
func (s *Store) pointer(pointer string) (string, error) {
	const longest = 64
	text, err := regular.ReadOwn(filepath.Join(s.dir, pointer), longest)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", s.noPointer(pointer)
	case errors.Is(err, regular.ErrNot), errors.Is(err, regular.ErrTooLarge):
		return "", &CorruptError{Folder: s.dir, File: pointer, Offset: -1, Err: cause(err), Use: s.intact("")}
	case err != nil:
		return "", fmt.Errorf("checkpoint pointer: %w", err)
	}
	name, sum, sealed := strings.Cut(strings.TrimSuffix(string(text), "\n"), " ") // the first version wrote no sum
	if _, ok := stepOf(name); !ok || sealed && sum != seal.Sum([]byte(name)) {
		return "", &CorruptError{Folder: s.dir, File: pointer, Offset: -1, Err: fmt.Errorf("says %q, which names no checkpoint", text), Use: s.intact("")}
	}
	if _, err := os.Lstat(filepath.Join(s.dir, name)); err != nil {
		return name, &CorruptError{Folder: s.dir, File: pointer, Offset: -1, Err: fmt.Errorf("names %s, %w", name, errGone), Use: s.intact("")}
	}
	return name, nil
}

// noPointer explains why a pointer is absent.
func (s *Store) noPointer(pointer string) error {
	list, err := s.List()
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return s.none()
	}
	return fmt.Errorf("checkpoints %s: %s: %w; use %s", s.dir, pointer, ErrNone, list[len(list)-1])
}

func (s *Store) none() error {
	return fmt.Errorf("checkpoints %s: %w; train first", s.dir, ErrNone)
}

// resolve turns "last", "best", a folder's name or a step into a folder's name.
func (s *Store) resolve(ref string) (string, error) {
	switch ref {
	case "", lastName:
		return s.Last()
	case bestName:
		return s.Best()
	}
	if n, err := strconv.Atoi(ref); err == nil && n >= 0 {
		ref = FolderName(n)
	}
	if _, ok := stepOf(ref); !ok {
		return "", fmt.Errorf("checkpoints %s: %q names no checkpoint; use last, best, or a name such as step-000100", s.dir, ref)
	}
	if _, err := os.Stat(filepath.Join(s.dir, ref)); errors.Is(err, fs.ErrNotExist) {
		list, err := s.List()
		if err != nil {
			return "", err
		}
		if len(list) == 0 {
			return "", s.none()
		}
		return "", fmt.Errorf("checkpoints %s: no %s; there are %s: %w", s.dir, ref, strings.Join(list, ", "), fs.ErrNotExist)
	}
	return ref, nil
}

func (s *Store) readOnly(what string) error {
	return fmt.Errorf("checkpoints %s: %s: opened for viewing only", s.dir, what)
}
