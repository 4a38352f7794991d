package hub

import (
	"keyhole.example/keyhole/internal/regular"

	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var (
	errCut    = errors.New("the connection ended early")
	errNoHost = errors.New("no such host")

	sha256ID = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

const maxListing = 64 << 20 // bytes of a repository's list of files

// meta is what the hub says about a file before it is fetched.
type meta struct {
	commit, etag string
	size         int64 // -1: unknown
}

// sibling is a file of a repository.
type sibling struct {
	Name string `json:"rfilename"`
	Size int64  `json:"size"` // 0 where a mirror does not say
}

// listing asks for a repository's commit and files.
func (c *Client) listing(ctx context.Context, n Name) (commit string, files []sibling, err error) {
	address := fmt.Sprintf("%s/api/%s/%s/revision/%s?blobs=true", c.endpoint, n.Kind, n.Repo, escape(n.Revision))
	var answer struct {
		SHA      string    `json:"sha"`
		Siblings []sibling `json:"siblings"`
	}
	err = c.again(ctx, func() (bool, error) {
		resp, err := c.do(ctx, request{method: http.MethodGet, url: address})
		if err != nil {
			return false, noHost(err)
		}
		if resp.StatusCode != http.StatusOK {
			return false, answerError(resp)
		}
		defer resp.Body.Close()
		raw, err := io.ReadAll(io.LimitReader(resp.Body, maxListing))
		if err != nil {
			return false, fmt.Errorf("%w: %w", errCut, err)
		}
		if err := json.Unmarshal(raw, &answer); err != nil {
			return false, fmt.Errorf("%s answered what is no list of files: %w; is HF_ENDPOINT a hub?", address, err)
		}
		return false, nil
	})
	if err != nil {
		return "", nil, err
	}
	if !commitID.MatchString(answer.SHA) {
		return "", nil, fmt.Errorf("%s names the commit %q, which is none; is HF_ENDPOINT a hub?", address, answer.SHA)
	}
	return answer.SHA, answer.Siblings, nil
}

// ask asks what a file is. Redirects on the hub are followed; one to another
// host leads to the content, and what the file is was said before it.
func (c *Client) ask(ctx context.Context, n Name, revision, file string) (meta, error) {
	var m meta
	err := c.again(ctx, func() (bool, error) {
		m = meta{size: -1}
		note := func(resp *http.Response) bool {
			h := resp.Header
			if x := h.Get("X-Repo-Commit"); x != "" {
				m.commit = x
			}
			if x := h.Get("X-Linked-Etag"); x != "" {
				m.etag = plainTag(x)
				m.size = number(h.Get("X-Linked-Size"))
				return true
			}
			next, err := url.Parse(h.Get("Location"))
			return err == nil && next.Host != "" && !c.own(next)
		}
		resp, err := c.do(ctx, request{method: http.MethodHead, url: c.address(n, revision, file), stop: note})
		if err != nil {
			return false, noHost(err)
		}
		if resp.StatusCode >= 400 {
			return false, answerError(resp)
		}
		resp.Body.Close()
		note(resp)
		if m.etag == "" {
			m.etag, m.size = plainTag(resp.Header.Get("ETag")), resp.ContentLength
		}
		return false, nil
	})
	switch {
	case err != nil:
		return m, err
	case !blobName.MatchString(m.etag) || strings.HasSuffix(m.etag, partEnding):
		return m, fmt.Errorf("%s names the file by the ETag %q, which is none of a hub; is HF_ENDPOINT a hub?", c.address(n, revision, file), m.etag)
	}
	if m.commit == "" && commitID.MatchString(revision) {
		m.commit = revision
	}
	if m.commit == "" { // a mirror that leaves the header out
		if m.commit, _, err = c.listing(ctx, n); err != nil {
			return m, err
		}
	}
	if !commitID.MatchString(m.commit) {
		return m, fmt.Errorf("%s names the commit %q, which is none; is HF_ENDPOINT a hub?", c.address(n, revision, file), m.commit)
	}
	return m, nil
}

func plainTag(s string) string { return strings.Trim(strings.TrimPrefix(s, "W/"), `"`) }

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// noHost marks an address that does not exist or takes no connections: asking
// again does not help.
func noHost(err error) error {
	var dns *net.DNSError
	if errors.As(err, &dns) || errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w (%w)", err, errNoHost)
	}
	return err
}

// fetch puts one file into the cache, if it is not there, and returns its path
// in the snapshot.
func (c *Client) fetch(ctx context.Context, n Name, file string, m meta) (string, error) {
	dir := c.folder(n)
	blob := filepath.Join(dir, "blobs", m.etag)
	if !whole(blob, m.size) {
		release, err := c.lock(ctx, dir, m.etag)
		if err != nil {
			return "", err
		}
		defer release()
		if !whole(blob, m.size) { // another program may have fetched it meanwhile
			if err := os.MkdirAll(filepath.Dir(blob), 0o777); err != nil {
				return "", fmt.Errorf("cache: %w; name another folder with HF_HUB_CACHE", err)
			}
			if err := c.download(ctx, c.address(n, m.commit, file), file, blob, m); err != nil {
				return "", err
			}
		}
	}
	return c.link(n, m.commit, file, m.etag)
}

// whole says whether a file is there with the size that it shall have.
func whole(path string, size int64) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && (size < 0 || info.Size() == size)
}

// download fetches an address to path, going on with the part that is there. A
// part that turns out to be damaged is fetched once more from its beginning.
func (c *Client) download(ctx context.Context, address, file, path string, m meta) error {
	part := path + partEnding
	info, err := os.Stat(part)
	resumed := err == nil && info.Size() > 0
	for {
		err := c.again(ctx, func() (bool, error) {
			before := sizeOf(part)
			err := c.receive(ctx, address, file, part, m.size)
			return sizeOf(part) > before, err
		})
		if err != nil {
			return err
		}
		err = verify(part, m)
		if err == nil {
			return os.Rename(part, path)
		}
		if rm := os.Remove(part); rm != nil {
			return errors.Join(err, rm)
		}
		if !resumed {
			return fmt.Errorf("%s: %w; what came was thrown away", address, err)
		}
		resumed = false
	}
}

func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// receive appends to the part what is missing of it.
func (c *Client) receive(ctx context.Context, address, file, part string, size int64) (err error) {
	f, err := regular.OpenFile(part, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	at, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if size >= 0 && at > size { // of another file, or damaged
		if at, err = 0, f.Truncate(0); err != nil {
			return err
		}
	}
	if size >= 0 && at == size && size > 0 {
		return f.Sync()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	resp, err := c.do(ctx, request{method: http.MethodGet, url: address, from: at})
	if err != nil {
		return noHost(err)
	}
	switch {
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && at > 0:
		resp.Body.Close()
		if size < 0 && strings.HasSuffix(resp.Header.Get("Content-Range"), fmt.Sprintf("*/%d", at)) {
			return f.Sync() // it was whole
		}
		if err := f.Truncate(0); err != nil {
			return err
		}
		return fmt.Errorf("%w: the server has nothing behind byte %d", errCut, at)
	case resp.StatusCode == http.StatusPartialContent && strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", at)):
	case resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusPartialContent:
		if resp.StatusCode == http.StatusPartialContent { // another range than was asked for
			resp.Body.Close()
			return errors.Join(fmt.Errorf("%s answered the range %q instead of byte %d on", address, resp.Header.Get("Content-Range"), at), f.Truncate(0))
		}
		if at, err = 0, f.Truncate(0); err != nil { // it knows no ranges
			resp.Body.Close()
			return err
		}
	default:
		return answerError(resp)
	}
	defer resp.Body.Close()
	total := size
	if total < 0 && resp.ContentLength >= 0 {
		total = at + resp.ContentLength
	}
	if _, err := f.Seek(at, io.SeekStart); err != nil {
		return err
	}
	return c.copy(ctx, cancel, f, resp.Body, file, at, total)
}

// copy writes a body behind byte at, and fails if it stalls, ends early, or
// does not end.
func (c *Client) copy(ctx context.Context, cancel func(error), f *os.File, body io.Reader, file string, at, total int64) error {
	watch := time.AfterFunc(stallTime, func() { cancel(fmt.Errorf("%w: nothing came for %s", errCut, stallTime)) })
	defer watch.Stop()
	buf := make([]byte, 256<<10)
	for {
		if c.Progress != nil {
			c.Progress(Progress{file, at, max(total, 0)})
		}
		k, err := body.Read(buf)
		watch.Reset(stallTime)
		if k > 0 {
			if total >= 0 && at+int64(k) > total {
				return errors.Join(fmt.Errorf("%w: more came than the %d bytes of %s", ErrCorrupt, total, file), f.Truncate(0))
			}
			if _, werr := f.Write(buf[:k]); werr != nil {
				return fmt.Errorf("%s: %w", file, werr)
			}
			at += int64(k)
		}
		switch {
		case errors.Is(err, io.EOF) && (total < 0 || at == total):
			if c.Progress != nil {
				c.Progress(Progress{file, at, at})
			}
			return f.Sync()
		case err != nil && ctx.Err() != nil && errors.Is(context.Cause(ctx), errCut):
			return context.Cause(ctx)
		case err != nil:
			return fmt.Errorf("%w at byte %d of %d of %s: %w", errCut, at, total, file, err)
		}
	}
}

// verify compares a file with its size and with the hash in its ETag.
func verify(path string, m meta) error {
	var h hash.Hash
	size := sizeOf(path)
	switch {
	case m.size >= 0 && size != m.size:
		return fmt.Errorf("%w: it has %d bytes instead of %d", ErrCorrupt, size, m.size)
	case sha256ID.MatchString(m.etag):
		h = sha256.New()
	case commitID.MatchString(m.etag): // git names contents as it does commits
		h = sha1.New()
		fmt.Fprintf(h, "blob %d\x00", size)
	default:
		return nil // a mirror's own tag
	}
	got, err := sum(path, h)
	if err != nil {
		return err
	}
	if got != m.etag {
		return fmt.Errorf("%w: its hash is %.12s… instead of %.12s…", ErrCorrupt, got, m.etag)
	}
	return nil
}

func sum(path string, h hash.Hash) (string, error) {
	f, err := regular.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
