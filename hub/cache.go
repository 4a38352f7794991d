package hub

import (
	"keyhole.example/keyhole/internal/regular"

	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// The cache is the one of the hub's own library:
//
//	models--org--name/blobs/<etag>                    a file's content
//	models--org--name/snapshots/<commit>/<file>       a link to its blob
//	models--org--name/refs/<revision>                 the commit of a branch or tag
//	.locks/models--org--name/<etag>.lock              held while a blob is fetched
//
// A part of a blob is <etag>.incomplete, as that library calls it.

const (
	partEnding = ".incomplete"
	lockPoll   = 50 * time.Millisecond
)

// folder is where a repository lies in the cache.
func (c *Client) folder(n Name) string {
	return filepath.Join(c.cache, string(n.Kind)+"--"+strings.ReplaceAll(n.Repo, "/", "--"))
}

func (c *Client) snapshot(n Name, commit string) string {
	return filepath.Join(c.folder(n), "snapshots", commit)
}

// commitOf is the commit that a revision had when it was fetched last; "" where
// it never was.
func (c *Client) commitOf(n Name) string {
	if commitID.MatchString(n.Revision) {
		return n.Revision
	}
	raw, err := regular.ReadFile(filepath.Join(c.folder(n), "refs", filepath.FromSlash(n.Revision)), maxNote)
	commit := strings.TrimSpace(string(raw))
	if err != nil || !commitID.MatchString(commit) {
		return ""
	}
	return commit
}

// setCommit notes the commit of a branch or tag.
func (c *Client) setCommit(n Name, commit string) error {
	if n.Revision == commit || c.commitOf(n) == commit {
		return nil
	}
	return replaceFile(filepath.Join(c.folder(n), "refs", filepath.FromSlash(n.Revision)), func(temp string) error {
		return os.WriteFile(temp, []byte(commit), 0o666)
	})
}

// replaceFile makes what is at path anew, whole or not at all.
func replaceFile(path string, make func(temp string) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".keyhole-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	temp := filepath.Join(dir, "new")
	if err := make(temp); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

var blobName = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,127}$`)

// link makes the snapshot's file point at a blob: a relative link, or the
// same content where links are not to be had. On such systems (Windows) the file
// is renamed into place first.
func (c *Client) link(n Name, commit, file, etag string) (string, error) {
	blob := filepath.Join(c.folder(n), "blobs", etag)
	at := filepath.Join(c.snapshot(n, commit), filepath.FromSlash(file))
	if same(at, blob) {
		return at, nil
	}
	target, err := filepath.Rel(filepath.Dir(at), blob)
	if err != nil {
		return "", err
	}
	return at, replaceFile(at, func(temp string) error {
		// the link is made in a folder of its own, but means the place it goes to
		if os.Symlink(target, temp) == nil || os.Link(blob, temp) == nil {
			return nil
		}
		return copyFile(temp, blob)
	})
}

func same(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

func copyFile(to, from string) error {
	in, err := regular.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// lock takes the lock of a blob, waiting for another program that fetches it.
func (c *Client) lock(ctx context.Context, folder, name string) (release func(), err error) {
	path := filepath.Join(c.cache, ".locks", filepath.Base(folder), name+".lock")
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, fmt.Errorf("cache: %w; name another folder with HF_HUB_CACHE", err)
	}
	l := flock.New(path)
	if _, err := l.TryLockContext(ctx, lockPoll); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { _ = l.Unlock() }, nil
}

// Cached is a repository in the cache.
type Cached struct {
	Name  string // as it is typed, without a file
	Kind  Kind
	Path  string // of the newest snapshot that a branch or tag names
	Bytes int64  // of all its blobs
	Parts int    // files that were begun and are not whole
	Files []string
}

// List says what is in the cache, sorted by name.
func (c *Client) List(kind Kind) ([]Cached, error) {
	entries, err := os.ReadDir(c.cache)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	var out []Cached
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), string(kind)+"--")
		org, repo, two := strings.Cut(rest, "--")
		if !ok || !two || !e.IsDir() {
			continue
		}
		n := Name{Kind: kind, Repo: org + "/" + repo, Revision: mainRevision}
		x := Cached{Name: n.String(), Kind: kind}
		blobs, _ := os.ReadDir(filepath.Join(c.cache, e.Name(), "blobs")) // none: nothing was fetched
		for _, b := range blobs {
			if strings.HasSuffix(b.Name(), partEnding) {
				x.Parts++
			}
			if info, err := b.Info(); err == nil {
				x.Bytes += info.Size()
			}
		}
		if commit := c.anyCommit(n); commit != "" {
			x.Path = c.snapshot(n, commit)
			x.Files = filesOf(x.Path)
		}
		out = append(out, x)
	}
	return out, nil
}

// anyCommit is that of main, or of any other revision in the cache.
func (c *Client) anyCommit(n Name) string {
	if commit := c.commitOf(n); commit != "" {
		return commit
	}
	entries, _ := os.ReadDir(filepath.Join(c.folder(n), "snapshots"))
	for _, e := range entries {
		if commitID.MatchString(e.Name()) {
			return e.Name()
		}
	}
	return ""
}

// filesOf lists the files below a folder that are really there, by paths
// relative to it.
func filesOf(dir string) []string {
	var out []string
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // what cannot be read is not there
		}
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() {
			if rel, err := filepath.Rel(dir, p); err == nil {
				out = append(out, filepath.ToSlash(rel))
			}
		}
		return nil
	})
	return out
}
