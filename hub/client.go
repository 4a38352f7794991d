package hub

import (
	"keyhole.example/keyhole/internal/regular"

	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	defaultEndpoint = "https://huggingface.co"

	maxRedirects = 5
	maxTries     = 6 // in a row, without a byte of progress
	maxWait      = 2 * time.Minute
	answerTime   = 30 * time.Second // for the head of an answer
	stallTime    = 60 * time.Second // without a byte of its body
)

// Client looks names up, in the cache and on the hub.
type Client struct {
	endpoint string // without a slash at the end
	token    string
	cache    string
	datasets string // folder of data sets that lie on no hub
	prepared string // KEYHOLE_DATA: folder with prepared copies of data sets
	offline  bool
	http     *http.Client

	// Progress, if set, is told how much of a file is there.
	Progress func(Progress)

	pause func(context.Context, time.Duration) error // waits; tests replace it
}

// Progress is the state of one file.
type Progress struct {
	File        string // as the hub calls it
	Done, Total int64  // bytes; Total is 0 where the server does not say
}

// FromEnv makes a client as the environment says: HF_ENDPOINT, HF_TOKEN (or the
// file of HF_TOKEN_PATH, or token in HF_HOME), HF_HUB_CACHE, HF_HOME,
// HF_HUB_OFFLINE, and KEYHOLE_DATA, a folder that holds data sets already.
// Proxies are those of HTTPS_PROXY and NO_PROXY.
func FromEnv(getenv func(string) string) (*Client, error) {
	c := &Client{endpoint: strings.TrimRight(getenv("HF_ENDPOINT"), "/"), prepared: getenv("KEYHOLE_DATA"), pause: pause}
	if c.endpoint == "" {
		c.endpoint = defaultEndpoint
	}
	if u, err := url.Parse(c.endpoint); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("HF_ENDPOINT is %q, which is no address; it looks like %s", c.endpoint, defaultEndpoint)
	}
	c.offline = isTrue(getenv("HF_HUB_OFFLINE")) || isTrue(getenv("TRANSFORMERS_OFFLINE"))
	home := getenv("HF_HOME")
	user, err := os.UserCacheDir()
	if x := getenv("XDG_CACHE_HOME"); x != "" {
		user, err = x, nil // as the hub's library does it on every system
	} else if h, herr := os.UserHomeDir(); herr == nil {
		user, err = filepath.Join(h, ".cache"), nil
	}
	if home == "" {
		if err != nil {
			return nil, fmt.Errorf("folder of models: %w; set HF_HOME", err)
		}
		home = filepath.Join(user, "huggingface")
	}
	if home, err = Expand(home); err != nil {
		return nil, err
	}
	c.cache = filepath.Join(home, "hub")
	for _, name := range []string{"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"} {
		if dir := getenv(name); dir != "" {
			if c.cache, err = Expand(dir); err != nil {
				return nil, err
			}
			break
		}
	}
	if c.cache, err = filepath.Abs(c.cache); err != nil {
		return nil, err
	}
	if c.datasets = filepath.Join(home, "keyhole-datasets"); user != "" {
		c.datasets = filepath.Join(user, "keyhole", "datasets")
	}
	c.token = token(getenv, home)
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = answerTime
	t.DisableCompression = true // sizes and sums are those of the file itself
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	c.http = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

func isTrue(s string) bool {
	switch strings.ToUpper(s) {
	case "1", "ON", "YES", "TRUE":
		return true
	}
	return false
}

// token is the user's, or empty.
func token(getenv func(string) string, home string) string {
	for _, name := range []string{"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"} {
		if t := strings.TrimSpace(getenv(name)); t != "" {
			return t
		}
	}
	path := getenv("HF_TOKEN_PATH")
	if path == "" {
		path = filepath.Join(home, "token")
	}
	raw, err := regular.ReadFile(path, maxNote)
	if err != nil {
		return "" // most people have none
	}
	return strings.TrimSpace(string(raw))
}

// maxNote bounds the small files of the cache: tokens and the commits of branches.
const maxNote = 64 << 10

// Cache is the folder that files are fetched to.
func (c *Client) Cache() string { return c.cache }

// page is a repository's page for people.
func (c *Client) page(n Name) string {
	if n.Kind == DatasetKind {
		return c.endpoint + "/datasets/" + n.Repo
	}
	return c.endpoint + "/" + n.Repo
}

// address is where a file of a revision lies.
func (c *Client) address(n Name, revision, file string) string {
	return c.page(n) + "/resolve/" + escape(revision) + "/" + escapePath(file)
}

func escape(s string) string { return url.PathEscape(s) }

func escapePath(p string) string {
	parts := strings.Split(p, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

// request is one request with its redirects.
type request struct {
	method, url string
	from        int64 // first byte wanted
	// stop ends the chain at an answer, redirect or not.
	stop func(*http.Response) bool
}

// do sends a request and follows its redirects. The caller closes the body.
func (c *Client) do(ctx context.Context, q request) (*http.Response, error) {
	at, err := url.Parse(q.url)
	if err != nil {
		return nil, err
	}
	for range maxRedirects + 1 {
		req, err := http.NewRequestWithContext(ctx, q.method, at.String(), nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("User-Agent", "keyhole")
		req.Header.Set("Accept-Encoding", "identity")
		if q.from > 0 {
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-", q.from))
		}
		if c.token != "" && c.own(at) {
			req.Header.Set("Authorization", "Bearer "+c.token)
		}
		resp, err := c.http.Do(req)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		where := resp.Header.Get("Location")
		if resp.StatusCode < 300 || resp.StatusCode >= 400 || where == "" || (q.stop != nil && q.stop(resp)) {
			return resp, nil
		}
		resp.Body.Close()
		next, err := at.Parse(where)
		if err != nil {
			return nil, fmt.Errorf("%s leads to %q, which is no address", at, where)
		}
		if next.Scheme != "https" && (next.Scheme != "http" || at.Scheme == "https") {
			return nil, fmt.Errorf("%s leads to %s; what is not https is not followed from there", at.Redacted(), next.Redacted())
		}
		at = next
	}
	return nil, fmt.Errorf("%s leads on more than %d times", q.url, maxRedirects)
}

// own says whether an address is the hub's own: the same scheme, host and port.
func (c *Client) own(u *url.URL) bool {
	e, err := url.Parse(c.endpoint)
	return err == nil && u.Scheme == e.Scheme && strings.EqualFold(u.Host, e.Host)
}

// failure makes an error of an answer that is none of want.
func failure(resp *http.Response) error {
	_, _ = io.CopyN(io.Discard, resp.Body, 1<<16) // so that the connection may serve again
	resp.Body.Close()
	u := *resp.Request.URL
	u.RawQuery = "" // addresses of stores hold signatures
	return &statusError{url: u.Redacted(), status: resp.StatusCode, code: resp.Header.Get("X-Error-Code"), text: resp.Header.Get("X-Error-Message")}
}

// passing says whether it makes sense to ask again, and after what time.
func passing(err error, try int) (time.Duration, bool) {
	wait := time.Second << min(try, 5)
	var st *statusError
	var later *laterError
	switch {
	case errors.As(err, &later):
		return min(later.after, maxWait), true
	case errors.As(err, &st):
		return wait, st.status >= 500 || st.status == http.StatusTooManyRequests || st.status == http.StatusRequestTimeout
	case errors.Is(err, ErrUnreachable):
		return wait, !errors.Is(err, errNoHost) && try < 2
	}
	return wait, errors.Is(err, errCut)
}

// laterError is an answer that says when to come again.
type laterError struct {
	statusError
	after time.Duration
}

func (e *laterError) Unwrap() error { return &e.statusError }

// retryAfter reads the header of that name: seconds, or a date.
func retryAfter(resp *http.Response, now time.Time) (time.Duration, bool) {
	h := resp.Header.Get("Retry-After")
	if n, err := strconv.Atoi(h); err == nil && n >= 0 {
		return time.Duration(n) * time.Second, true
	}
	if t, err := http.ParseTime(h); err == nil {
		return max(t.Sub(now), 0), true
	}
	return 0, false
}

// answerError is failure with what Retry-After says.
func answerError(resp *http.Response) error {
	err := failure(resp)
	after, ok := retryAfter(resp, time.Now())
	var st *statusError
	if ok && errors.As(err, &st) && (st.status == http.StatusTooManyRequests || st.status == http.StatusServiceUnavailable) {
		return &laterError{*st, after}
	}
	return err
}

// again calls f until it succeeds, fails for good, or has failed too often.
func (c *Client) again(ctx context.Context, f func() (progress bool, err error)) error {
	for try := 0; ; try++ {
		progress, err := f()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if progress {
			try = 0
		}
		wait, ok := passing(err, try)
		if !ok || try+1 >= maxTries {
			return err
		}
		if err := c.pause(ctx, wait); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
