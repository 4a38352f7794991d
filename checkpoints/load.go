package checkpoints

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"keyhole.example/keyhole/internal/regular"
)

// Checkpoint is a step folder whose every byte has been checked.
type Checkpoint struct {
	Manifest
	Dir string // path of the step folder
}

// Name is the folder's name, such as step-000120.
func (c *Checkpoint) Name() string { return filepath.Base(c.Dir) }

// Path gives the path of a file that the manifest lists.
func (c *Checkpoint) Path(name string) (string, error) {
	if _, ok := c.file(name); !ok {
		return "", fmt.Errorf("checkpoint %s: has no file %s: %w", c.Dir, name, fs.ErrNotExist)
	}
	return filepath.Join(c.Dir, name), nil
}

// Load verifies and returns a checkpoint: "last" (or ""), "best", a folder's
// name, or a step. The error is a *[CorruptError] if it is damaged, and wraps
// [ErrNone] if there is no checkpoint at all or [ErrNewer] for a later format.
func (s *Store) Load(ref string) (*Checkpoint, error) {
	name, err := s.resolve(ref)
	if err != nil {
		return nil, err
	}
	c, err := verify(filepath.Join(s.dir, name))
	var corrupt *CorruptError
	if errors.As(err, &corrupt) {
		corrupt.Use = s.intact(name)
	}
	return c, err
}

// Verify checks every byte of the checkpoints in a folder and counts them.
func Verify(dir string) (n int, err error) {
	s, err := View(dir)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	names, err := s.List()
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if _, err := s.Load(name); err != nil {
			return 0, err
		}
	}
	return len(names), nil
}

// LoadFolder is [Store.Load] for the path of a step folder.
func LoadFolder(dir string) (*Checkpoint, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	s, err := View(filepath.Dir(dir))
	if err != nil {
		return nil, err
	}
	return s.Load(filepath.Base(dir))
}

// intact finds the latest checkpoint that passes every check, apart from one.
func (s *Store) intact(except string) string {
	list, err := s.List()
	if err != nil {
		return "" // the fault being reported matters more
	}
	for _, name := range slices.Backward(list) {
		if name == except {
			continue
		}
		if _, err := verify(filepath.Join(s.dir, name)); err == nil {
			return name
		}
	}
	return ""
}

// verify reads a step folder and checks each byte of it.
func verify(dir string) (*Checkpoint, error) {
	if info, err := os.Lstat(dir); err == nil && !info.IsDir() { // a folder's link may lead anywhere
		return nil, corrupt(filepath.Dir(dir), filepath.Base(dir), -1, errors.New("is a link or file, not a folder"))
	}
	m, err := readManifest(dir)
	if err != nil {
		return nil, err
	}
	if FolderName(m.Step) != filepath.Base(dir) {
		return nil, corrupt(dir, manifestName, -1, fmt.Errorf("is of step %d: the folder was renamed", m.Step))
	}
	for _, f := range m.Files {
		if err := verifyFile(dir, f); err != nil {
			return nil, err
		}
	}
	return &Checkpoint{Manifest: m, Dir: dir}, nil
}

// cause is what is wrong with a file that the error's reader is told of already.
func cause(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return fmt.Errorf("is %w", at.Err)
	}
	return err
}

func corrupt(dir, file string, offset int64, err error) *CorruptError {
	return &CorruptError{Folder: dir, File: file, Offset: offset, Err: err}
}

func readManifest(dir string) (Manifest, error) {
	text, err := regular.ReadOwn(filepath.Join(dir, manifestName), maxManifest)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Manifest{}, corrupt(dir, manifestName, -1, errors.New("missing"))
	case errors.Is(err, regular.ErrNot), errors.Is(err, regular.ErrTooLarge):
		return Manifest{}, corrupt(dir, manifestName, -1, cause(err))
	case err != nil:
		return Manifest{}, fmt.Errorf("checkpoint: %w", err)
	}
	m, err := ParseManifest(text)
	switch {
	case errors.Is(err, ErrNewer):
		return Manifest{}, fmt.Errorf("checkpoint %s: %s: %w", dir, manifestName, err)
	case err != nil:
		return Manifest{}, corrupt(dir, manifestName, -1, err)
	}
	return m, nil
}

func verifyFile(dir string, want File) error {
	path := filepath.Join(dir, want.Name)
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return corrupt(dir, want.Name, -1, errors.New("missing"))
	case err != nil:
		return fmt.Errorf("checkpoint: %w", err)
	case !info.Mode().IsRegular():
		return corrupt(dir, want.Name, -1, errors.New("is not a file"))
	case info.Size() != want.Size:
		return corrupt(dir, want.Name, min(info.Size(), want.Size), fmt.Errorf("has %d bytes, the manifest says %d", info.Size(), want.Size))
	}
	f, err := regular.OpenOwn(path)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("checkpoint: read %s: %w", path, err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want.SHA256 {
		return corrupt(dir, want.Name, -1, fmt.Errorf("SHA-256 is %s, the manifest says %s", shorten(got), shorten(want.SHA256)))
	}
	return nil
}
