package checkpoints

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"keyhole.example/keyhole/internal/atomicfile"
)

// Save writes a checkpoint for m.Step and makes the pointer last name it. Each
// entry of files writes the file of that name; they are called in the order of
// the names. Format and Files of m are filled in here. A checkpoint of the same
// step is replaced. On error nothing that was there has changed.
func (s *Store) Save(m Manifest, files map[string]func(w io.Writer) error) error {
	if s.lock == nil {
		return s.readOnly("save")
	}
	if m.Step < 0 {
		return fmt.Errorf("save checkpoint: step %d is negative", m.Step)
	}
	m.Format, m.Files = FormatVersion, nil
	name := FolderName(m.Step)
	err := atomicfile.ReplaceDir(filepath.Join(s.dir, name), func(dir string) error {
		for _, file := range slices.Sorted(maps.Keys(files)) {
			if !validFileName(file) {
				return fmt.Errorf("%q cannot be the name of a checkpoint's file", file)
			}
			f, err := writeFile(filepath.Join(dir, file), files[file])
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			m.Files = append(m.Files, f)
		}
		text, err := m.encode()
		if err != nil {
			return err
		}
		_, err = writeFile(filepath.Join(dir, manifestName), func(w io.Writer) error {
			_, err := w.Write(text)
			return err
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("save checkpoint %s: %w", name, err)
	}
	return s.point(lastName, name)
}

// writeFile writes and fsyncs a new file, and takes its sum on the way.
func writeFile(path string, fill func(w io.Writer) error) (File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return File{}, err
	}
	sum := sha256.New()
	const bufferSize = 1 << 18
	buf := bufio.NewWriterSize(f, bufferSize)
	count := &counter{w: io.MultiWriter(buf, sum)}
	err = fill(count)
	if err == nil {
		err = errors.Join(buf.Flush(), f.Sync())
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return File{}, err
	}
	return File{Name: filepath.Base(path), Size: count.n, SHA256: hex.EncodeToString(sum.Sum(nil))}, nil
}

// counter counts the bytes written to w.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
