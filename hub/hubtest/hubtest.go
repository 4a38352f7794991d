// Package hubtest is a hub of models and data sets on loopback that behaves as
// the real one does, for tests: small files come from the hub itself, large ones
// by a redirect to a store under another host name, both by ranges. It can be
// told to misbehave.
//
//	h := hubtest.New()
//	defer h.Close()
//	h.Add("models", "org/name", map[string][]byte{"config.json": …}, hubtest.Faults{})
//	os.Setenv("HF_ENDPOINT", h.URL())
package hubtest

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// Large is from how many bytes on a file is one of LFS.
const Large = 1 << 10

// Faults are what a repository does wrong. The zero value behaves.
type Faults struct {
	Gated    bool          // 401 without a token, 403 with one that is not Hub.Token
	Private  bool          // 401 as for a repository that does not exist
	Cut      int           // each answer of content ends after so many bytes; 0: none
	Cuts     int           // so many answers are cut
	Busy     int           // so many requests are answered by 429 first
	Broken   int           // so many requests are answered by 500 first
	Wrong    bool          // content whose hash is another
	NoRanges bool          // a range request is answered by the whole
	Loop     bool          // redirects that lead to themselves
	Slow     time.Duration // between the pieces of an answer
	Names    []string      // further names in the list of files, as an attacker would put them
}

type repo struct {
	commit string
	files  map[string][]byte
	faults Faults
}

// Request is one request that was answered.
type Request struct {
	Method, Path, Range, Token string
	Store                      bool // by the store, not the hub
	Status                     int
}

// Hub is the hub with its store.
type Hub struct {
	Token string // the one that opens gated repositories

	hub, store *httptest.Server
	mu         sync.Mutex
	repos      map[string]*repo // by kind/org/name
	log        []Request
}

// New starts a hub.
func New() *Hub {
	h := &Hub{Token: "hf_right", repos: map[string]*repo{}}
	h.hub = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, false) }))
	h.store = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, true) }))
	return h
}

// Close ends it.
func (h *Hub) Close() {
	h.hub.CloseClientConnections()
	h.store.CloseClientConnections()
	h.hub.Close()
	h.store.Close()
}

// URL is its address, for HF_ENDPOINT.
func (h *Hub) URL() string { return h.hub.URL }

// storeURL names the store by another host name.
func (h *Hub) storeURL() string {
	u, _ := url.Parse(h.store.URL)
	return "http://localhost:" + u.Port()
}

// Add puts a repository there, or a new commit of one. kind is models or
// datasets.
func (h *Hub) Add(kind, name string, files map[string][]byte, f Faults) (commit string) {
	sum := sha1.New()
	for _, k := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(sum, "%s %x\n", k, sha256.Sum256(files[k]))
	}
	r := &repo{commit: hex.EncodeToString(sum.Sum(nil)), files: files, faults: f}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.repos[kind+"/"+name] = r
	return r.commit
}

// Requests are those answered so far.
func (h *Hub) Requests() []Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.log)
}

func (h *Hub) serve(w http.ResponseWriter, r *http.Request, store bool) {
	q := Request{Method: r.Method, Path: r.URL.Path, Range: r.Header.Get("Range"), Store: store, Status: http.StatusOK}
	q.Token = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	h.mu.Lock()
	at := len(h.log)
	h.log = append(h.log, q)
	h.mu.Unlock()
	s := &answer{ResponseWriter: w, status: http.StatusOK}
	if store {
		h.content(s, r, strings.TrimPrefix(r.URL.Path, "/blob/"))
	} else {
		h.answer(s, r, q.Token)
	}
	h.mu.Lock()
	h.log[at].Status = s.status
	h.mu.Unlock()
}

type answer struct {
	http.ResponseWriter
	status int
}

func (a *answer) WriteHeader(n int) {
	a.status = n
	a.ResponseWriter.WriteHeader(n)
}

// answer is the hub's: api/KIND/ORG/NAME/revision/REV, or
// [datasets/]ORG/NAME/resolve/REV/FILE.
func (h *Hub) answer(w *answer, r *http.Request, token string) {
	p := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	api := len(p) == 6 && p[0] == "api" && p[4] == "revision"
	var kind, name, revision, file string
	switch {
	case api:
		kind, name, revision = p[1], p[2]+"/"+p[3], p[5]
	case len(p) > 5 && p[0] == "datasets" && p[3] == "resolve":
		kind, name, revision, file = p[0], p[1]+"/"+p[2], p[4], strings.Join(p[5:], "/")
	case len(p) > 4 && p[2] == "resolve":
		kind, name, revision, file = "models", p[0]+"/"+p[1], p[3], strings.Join(p[4:], "/")
	default:
		refuse(w, http.StatusNotFound, "", "no such page")
		return
	}
	h.mu.Lock()
	x := h.repos[kind+"/"+name]
	busy, broken := false, false
	if x != nil {
		if busy = x.faults.Busy > 0; busy {
			x.faults.Busy--
		} else if broken = x.faults.Broken > 0; broken {
			x.faults.Broken--
		}
	}
	h.mu.Unlock()
	switch {
	case x == nil || (x.faults.Private && token != h.Token):
		refuse(w, http.StatusUnauthorized, "RepoNotFound", "Repository not found") // as the hub says it to strangers
	case x.faults.Gated && token == "":
		refuse(w, http.StatusUnauthorized, "GatedRepo", "Access to model is restricted")
	case x.faults.Gated && token != h.Token && !api:
		refuse(w, http.StatusForbidden, "GatedRepo", "You are not in the authorized list")
	case busy:
		w.Header().Set("Retry-After", "3")
		refuse(w, http.StatusTooManyRequests, "", "slow down")
	case broken:
		refuse(w, http.StatusInternalServerError, "", "")
	case revision != "main" && revision != x.commit:
		refuse(w, http.StatusNotFound, "RevisionNotFound", "Invalid rev id")
	case api:
		h.list(w, name, x)
	default:
		h.resolve(w, r, kind+"/"+name, x, file)
	}
}

func refuse(w http.ResponseWriter, status int, code, text string) {
	w.Header().Set("X-Error-Code", code)
	w.Header().Set("X-Error-Message", text)
	w.WriteHeader(status)
}

func (h *Hub) list(w http.ResponseWriter, name string, x *repo) {
	type file struct {
		Name string `json:"rfilename"`
		Size int    `json:"size"`
	}
	var all []file
	for _, k := range slices.Sorted(maps.Keys(x.files)) {
		all = append(all, file{k, len(x.files[k])})
	}
	for _, k := range x.faults.Names {
		all = append(all, file{k, 1})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"id": name, "sha": x.commit, "siblings": all, "private": false, "tags": []string{}}) // a client that went away
}

func (h *Hub) resolve(w *answer, r *http.Request, name string, x *repo, file string) {
	content, ok := x.files[file]
	w.Header().Set("X-Repo-Commit", x.commit)
	switch {
	case !ok:
		refuse(w, http.StatusNotFound, "EntryNotFound", "Entry not found")
	case x.faults.Loop:
		w.Header().Set("Location", r.URL.Path)
		w.WriteHeader(http.StatusTemporaryRedirect)
	case len(content) < Large:
		w.Header().Set("ETag", `"`+gitHash(content)+`"`)
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		if r.Method != http.MethodHead {
			_, _ = w.Write(content)
		}
	default:
		w.Header().Set("X-Linked-Etag", fmt.Sprintf(`"%x"`, sha256.Sum256(content)))
		w.Header().Set("X-Linked-Size", fmt.Sprint(len(content)))
		w.Header().Set("Location", h.storeURL()+"/blob/"+path.Join(name, file))
		w.WriteHeader(http.StatusFound)
	}
}

func gitHash(content []byte) string {
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", len(content))
	h.Write(content)
	return hex.EncodeToString(h.Sum(nil))
}

// content is the store's answer.
func (h *Hub) content(w *answer, r *http.Request, at string) {
	p := strings.SplitN(at, "/", 4) // kind, org, name, file
	h.mu.Lock()
	x := h.repos[strings.Join(p[:min(3, len(p))], "/")]
	cut := 0
	if x != nil && x.faults.Cuts > 0 {
		cut = x.faults.Cut
		x.faults.Cuts--
	}
	h.mu.Unlock()
	if x == nil || len(p) < 4 {
		refuse(w, http.StatusNotFound, "", "")
		return
	}
	body := x.files[p[3]]
	if x.faults.Wrong {
		body = bytes.Repeat([]byte{'x'}, len(body))
	}
	if x.faults.NoRanges {
		r.Header.Del("Range")
	}
	var out http.ResponseWriter = w
	if cut > 0 || x.faults.Slow > 0 {
		out = &limited{w, cut, x.faults.Slow}
	}
	http.ServeContent(out, r, "", time.Time{}, bytes.NewReader(body))
}

// limited breaks the connection after left bytes, if that is not 0, and waits
// between pieces.
type limited struct {
	*answer
	left int
	slow time.Duration
}

func (l *limited) Write(b []byte) (int, error) {
	n := 0
	for len(b) > 0 {
		piece := b[:min(len(b), 16<<10)]
		if l.left > 0 {
			piece = piece[:min(len(piece), l.left)]
		}
		k, err := l.answer.Write(piece)
		n += k
		if err != nil {
			return n, err
		}
		if f, ok := l.ResponseWriter.(http.Flusher); ok {
			f.Flush()
		}
		if l.left > 0 {
			if l.left -= k; l.left == 0 {
				panic(http.ErrAbortHandler) // as a cut connection looks from here
			}
		}
		b = b[k:]
		time.Sleep(l.slow)
	}
	return n, nil
}
