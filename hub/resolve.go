package hub

import (
	"keyhole.example/keyhole/internal/regular"

	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Pulled says where a name's files are.
type Pulled struct {
	Name   string   `json:"name"`
	Kind   Kind     `json:"kind"`
	Path   string   `json:"path"`
	Commit string   `json:"commit,omitempty"` // of a repository
	Files  []string `json:"files"`
	Bytes  int64    `json:"bytes"`
}

// Model finds a base model: a folder, a GGUF file, a folder that holds one GGUF
// file and nothing else to load, or org/name[@revision][:file] of the hub, which
// is fetched if it is not in the cache. It returns a path.
func (c *Client) Model(ctx context.Context, name string) (string, error) {
	return c.locate(ctx, name, ModelKind)
}

// Data finds a file of data: a path, a short name (see [Datasets]), or
// org/name[@revision][:file] of a data set of the hub.
func (c *Client) Data(ctx context.Context, name string) (string, error) {
	return c.locate(ctx, name, DatasetKind)
}

func (c *Client) locate(ctx context.Context, name string, kind Kind) (string, error) {
	at, err := Expand(name)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(at); err == nil {
		if kind == ModelKind && info.IsDir() {
			return onlyGGUF(at), nil
		}
		return at, nil
	}
	d, known := Dataset{}, false
	if kind == DatasetKind {
		if d, known = FindDataset(name); known && d.Repo == "" {
			return c.dataset(ctx, d)
		}
	}
	n, ok := d.name(), known
	if known {
		if p, err := c.copyOf(d); p != "" || err != nil {
			return p, err
		}
	} else if n, ok, err = Parse(name, kind); err != nil {
		return "", err
	}
	if !ok {
		return "", notHere(name, kind)
	}
	if p, ok := c.cached(n); ok {
		return p, nil
	}
	p, err := c.pull(ctx, n)
	switch {
	case err != nil && known:
		return "", fmt.Errorf("data set %s: %w", d.Name, err)
	case err != nil:
		return "", err
	}
	return p.Path, nil
}

// notHere is the error about what is neither a path nor a name.
func notHere(name string, kind Kind) error {
	if kind == DatasetKind {
		near := ""
		if d, ok := nearDataset(name); ok {
			near = fmt.Sprintf("; did you mean %s?", d)
		}
		return fmt.Errorf("there is no file %s, and no data set of that name%s (keyhole datasets lists them): %w", name, near, ErrNotFound)
	}
	return fmt.Errorf("there is no file or folder %s; a model is a path, or org/name of the hub: %w", name, ErrNotFound)
}

// onlyGGUF is the single GGUF file of a folder that has nothing else to load,
// else the folder.
func onlyGGUF(dir string) string {
	found, _ := filepath.Glob(filepath.Join(dir, "*.gguf"))
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err == nil || len(found) != 1 {
		return dir
	}
	return found[0]
}

// Pull fetches what a name means, asking the hub for the newest even if
// something is in the cache. What is there already is not fetched again.
func (c *Client) Pull(ctx context.Context, name string) (*Pulled, error) {
	if d, ok := FindDataset(name); ok {
		if at, err := c.copyOf(d); err != nil {
			return nil, err
		} else if at == "" && d.Repo != "" {
			p, err := c.pull(ctx, d.name())
			if err != nil {
				return nil, fmt.Errorf("data set %s: %w", d.Name, err)
			}
			p.Name = d.Name
			return p, nil
		}
		at, err := c.dataset(ctx, d)
		if err != nil {
			return nil, err
		}
		return &Pulled{Name: d.Name, Kind: DatasetKind, Path: at, Files: []string{filepath.Base(at)}, Bytes: sizeOf(at)}, nil
	}
	n, ok, err := Parse(name, ModelKind)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		near := ""
		if d, ok := nearDataset(name); ok {
			near = fmt.Sprintf("; did you mean %s?", d)
		}
		return nil, fmt.Errorf("%s is neither org/name[@revision][:file] of the hub, nor datasets/org/name:file, nor the short name of a data set%s: %w", name, near, ErrNotFound)
	}
	return c.pull(ctx, n)
}

// pull fetches what a name of the hub means.
func (c *Client) pull(ctx context.Context, n Name) (*Pulled, error) {
	if c.offline {
		if p, ok := c.cached(n); ok {
			return c.pulled(n, p), nil
		}
		return nil, c.absent(n, errors.New("HF_HUB_OFFLINE forbids to fetch it"))
	}
	p, err := c.online(ctx, n)
	if errors.Is(err, ErrUnreachable) {
		return nil, c.absent(n, err)
	}
	return p, err
}

func (c *Client) online(ctx context.Context, n Name) (*Pulled, error) {
	files := []sibling{{Name: n.File}}
	revision := n.Revision
	if n.File == "" || path.Ext(n.File) == "" { // all that is wanted, or a tag
		commit, all, err := c.listing(ctx, n)
		if err != nil {
			return nil, c.explain(n, err)
		}
		revision = commit
		if n.Kind == DatasetKind {
			f, err := pick(n, all, func(name string) bool { return fetchable(n.Kind, name) && !strings.HasPrefix(path.Base(name), ".") })
			if err != nil {
				return nil, err
			}
			files = []sibling{f}
		} else if files, err = modelFiles(n, all); err != nil {
			return nil, err
		}
	}
	out := &Pulled{Name: n.String(), Kind: n.Kind}
	for _, f := range files {
		switch {
		case !safePath(f.Name):
			return nil, fmt.Errorf("%s: the hub names a file %q, which would not lie in the cache; nothing of it was fetched", n, f.Name)
		case !fetchable(n.Kind, f.Name):
			return nil, fmt.Errorf("%s: %s is not of a kind that is read here, so it is not fetched; nothing from the hub is run", n, f.Name)
		}
	}
	for _, f := range files {
		m, err := c.ask(ctx, n, revision, f.Name)
		if err != nil {
			return nil, c.explain(n, err)
		}
		revision = m.commit // one commit for all, even if the branch moves on meanwhile
		at, err := c.fetch(ctx, n, f.Name, m)
		if err != nil {
			return nil, c.explain(n, err)
		}
		out.Commit, out.Path = m.commit, at
		out.Files = append(out.Files, f.Name)
		out.Bytes += sizeOf(at)
	}
	if err := c.setCommit(n, out.Commit); err != nil {
		return nil, err
	}
	if len(files) > 1 || !(n.Kind == DatasetKind || n.File != "" || isGGUF(files[0].Name)) {
		out.Path = c.snapshot(n, out.Commit)
	}
	return out, nil
}

// cached is what the cache has of a name, if that is all of it.
func (c *Client) cached(n Name) (string, bool) {
	commit := c.commitOf(n)
	if commit == "" {
		return "", false
	}
	dir := c.snapshot(n, commit)
	if n.File == "" && n.Kind == ModelKind && complete(dir, func(index string) []string { return shardsOf(filepath.Join(dir, index)) }) {
		return dir, true
	}
	var have []sibling
	for _, f := range filesOf(dir) {
		have = append(have, sibling{Name: f})
	}
	may := func(f string) bool {
		return fetchable(n.Kind, f) && (n.Kind == DatasetKind || n.File != "" || isGGUF(f))
	}
	f, err := pick(n, have, may)
	if err != nil || (n.File == "" && n.Kind == DatasetKind) { // the repository may have others
		return "", false
	}
	return filepath.Join(dir, filepath.FromSlash(f.Name)), true
}

// shardsOf lists the files of an index of weights.
func shardsOf(index string) []string {
	raw, err := regular.ReadFile(index, maxListing)
	if err != nil {
		return nil
	}
	var x struct {
		Map map[string]string `json:"weight_map"`
	}
	if json.Unmarshal(raw, &x) != nil {
		return nil
	}
	all := map[string]bool{}
	for _, f := range x.Map {
		all[f] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// pulled describes what lies at a path of the cache.
func (c *Client) pulled(n Name, at string) *Pulled {
	p := &Pulled{Name: n.String(), Kind: n.Kind, Path: at, Commit: c.commitOf(n)}
	if info, err := os.Stat(at); err == nil && info.IsDir() {
		p.Files = filesOf(at)
		for _, f := range p.Files {
			p.Bytes += sizeOf(filepath.Join(at, filepath.FromSlash(f)))
		}
		return p
	}
	p.Files, p.Bytes = []string{filepath.Base(at)}, sizeOf(at)
	return p
}

// absent says how to get what cannot be fetched now.
func (c *Client) absent(n Name, why error) error {
	size := "its size is known to the hub alone"
	if k, ok := knownSize(n); ok {
		size = "about " + Size(k)
	}
	what, flag := c.page(n), "the folder with its files"
	if n.File != "" {
		what, flag = c.address(n, n.Revision, n.File), "the file"
	}
	if !errors.Is(why, ErrUnreachable) {
		why = fmt.Errorf("%w (%w)", why, ErrUnreachable)
	}
	return fmt.Errorf("%s is not in the cache, and cannot be fetched: %w. It is %s (%s). With a network: keyhole pull %s. "+
		"Without: run that elsewhere and copy its %s to %s here, or fetch it by other means and name %s in place of %s",
		n, why, what, size, n, filepath.Base(c.folder(n)), c.cache, flag, n)
}

// copyOf is the prepared copy of a data set in the folder KEYHOLE_DATA; "" where
// there is none.
func (c *Client) copyOf(d Dataset) (string, error) {
	if c.prepared == "" || d.Copy == "" {
		return "", nil
	}
	dir, err := Expand(c.prepared)
	if err != nil {
		return "", err
	}
	at := filepath.Join(dir, filepath.FromSlash(d.Copy))
	if _, err := os.Stat(at); err != nil {
		return "", nil
	}
	got, err := sum(at, sha256.New())
	if err != nil {
		return "", err
	}
	if d.CopySHA256 != "" && got != d.CopySHA256 {
		return "", fmt.Errorf("%s: %w: its SHA-256 is %.12s…, that of data set %s is %.12s…; name the file by its path if it is meant", at, ErrCorrupt, got, d.Name, d.CopySHA256)
	}
	return at, nil
}

// placeOf is where a data set that lies on no hub is kept.
func (c *Client) placeOf(d Dataset) string {
	return filepath.Join(c.datasets, filepath.FromSlash(d.Name), path.Base(d.URL))
}

// dataset finds a data set that lies on no hub, or fetches it from its address.
func (c *Client) dataset(ctx context.Context, d Dataset) (string, error) {
	if p, err := c.copyOf(d); p != "" || err != nil {
		return p, err
	}
	if d.URL == "" {
		return "", fmt.Errorf("data set %s has no public address that is known (%s); put %s into a folder, and name that folder with KEYHOLE_DATA: %w", d.Name, d.Source, d.Copy, ErrNotFound)
	}
	at := c.placeOf(d)
	if whole(at, -1) {
		return at, nil
	}
	err := errors.New("HF_HUB_OFFLINE forbids to fetch it")
	if !c.offline {
		if err = os.MkdirAll(filepath.Dir(at), 0o777); err != nil {
			return "", err
		}
		release, lerr := c.lock(ctx, "keyhole-datasets", strings.ReplaceAll(d.Name, "/", "--"))
		if lerr != nil {
			return "", lerr
		}
		defer release()
		if whole(at, -1) {
			return at, nil
		}
		if d.SHA256 == "" { // nothing would tell that a part is of another file
			_ = os.Remove(at + partEnding)
		}
		if err = c.download(ctx, d.URL, d.Name, at, meta{etag: d.SHA256, size: -1}); err == nil {
			return at, nil
		}
	}
	if c.offline || errors.Is(err, ErrUnreachable) {
		size := "size unknown"
		if d.Size > 0 {
			size = "about " + Size(d.Size)
		}
		return "", fmt.Errorf("data set %s is not on this machine, and cannot be fetched: %w. Fetch %s (%s) by other means, put it at %s, or name the file: %w", d.Name, err, d.URL, size, at, ErrUnreachable)
	}
	return "", fmt.Errorf("data set %s: %w", d.Name, err)
}
