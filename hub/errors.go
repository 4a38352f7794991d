package hub

import (
	"errors"
	"fmt"
	"net/http"
)

// What a failed look-up may wrap.
var (
	// ErrNotFound: neither a file here nor on the hub.
	ErrNotFound = errors.New("not found")
	// ErrDenied: the hub wants a token, or its terms accepted.
	ErrDenied = errors.New("access denied")
	// ErrUnreachable: the hub was not asked (HF_HUB_OFFLINE) or did not answer.
	ErrUnreachable = errors.New("the hub is out of reach")
	// ErrCorrupt: what came is not what the hub says the file is.
	ErrCorrupt = errors.New("damaged on the way")
)

// statusError is an answer of a server that is no success.
type statusError struct {
	url    string
	status int
	code   string // X-Error-Code of the hub: GatedRepo, RepoNotFound, …
	text   string // X-Error-Message
}

func (e *statusError) Error() string {
	s := fmt.Sprintf("%s answered %d %s", e.url, e.status, http.StatusText(e.status))
	if e.text != "" {
		s += fmt.Sprintf(": %.200s", e.text)
	}
	return s
}

// Is sorts answers into the errors of this package.
func (e *statusError) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.status == http.StatusNotFound || e.code == "RepoNotFound"
	case ErrDenied:
		return (e.status == http.StatusUnauthorized || e.status == http.StatusForbidden) && e.code != "RepoNotFound"
	}
	return false
}

// explain puts what to do behind an error about a name.
func (c *Client) explain(n Name, err error) error {
	var st *statusError
	if !errors.As(err, &st) {
		return err
	}
	page := c.page(n)
	switch {
	case st.code == "GatedRepo" || (st.status == http.StatusForbidden && st.code == ""):
		if c.token == "" {
			return fmt.Errorf("%s is gated: accept its terms at %s, make a token in your account there, and set HF_TOKEN: %w", n, page, err)
		}
		return fmt.Errorf("%s is gated, and the account of the token has no access: accept its terms at %s: %w", n, page, err)
	case st.code == "EntryNotFound":
		return fmt.Errorf("%s: the repository has no file %q; %s/tree/%s lists its files: %w", n, n.File, page, n.Revision, err)
	case st.code == "RevisionNotFound":
		return fmt.Errorf("%s: the repository has no revision %q: %w", n, n.Revision, err)
	case st.status == http.StatusNotFound || st.code == "RepoNotFound" || st.status == http.StatusUnauthorized:
		hint := "look at its spelling; if it is private, set HF_TOKEN"
		if c.token != "" {
			hint = "look at its spelling, and whether the token's account may read it"
		}
		return fmt.Errorf("%s: there is no such file here, and %s has no such %s (%s): %w", n, c.endpoint, noun(n.Kind), hint, err)
	case st.status == http.StatusTooManyRequests:
		return fmt.Errorf("%s: the hub asks to wait: try again later, or set HF_TOKEN, which allows more: %w", n, err)
	}
	return fmt.Errorf("%s: %w", n, err)
}

func noun(k Kind) string {
	if k == DatasetKind {
		return "data set"
	}
	return "model"
}
