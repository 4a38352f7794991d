package serve

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// limits are how long a client may take.
type limits struct {
	header, body, idle, write, beat, poll, grace time.Duration
}

func usual() limits {
	return limits{header: 5 * time.Second, body: 30 * time.Second, idle: 2 * time.Minute, write: 15 * time.Second, beat: 15 * time.Second, poll: time.Second, grace: 10 * time.Second}
}

// guard lets through who may ask: by the name of the host, which a page of another
// site that rebinds its DNS name does not know, by the origin, and by the token.
type guard struct {
	next     http.Handler
	loopback bool
	port     string
	hosts    []string
	token    [sha256.Size]byte // hash of it
	closed   bool              // there is a token
	write    time.Duration
	refused  func(reason string)
}

func (s *Server) guard(addr net.Addr, next http.Handler) *guard {
	g := &guard{next: next, hosts: s.opts.Hosts, closed: s.opts.Token != "", token: sha256.Sum256([]byte(s.opts.Token)), write: s.slow.write, refused: s.metrics.refuse}
	host, port, err := net.SplitHostPort(addr.String())
	if err == nil {
		g.port = port
		ip, err := netip.ParseAddr(host)
		g.loopback = err == nil && ip.IsLoopback()
	}
	return g
}

// policy is the content security policy of everything that is no report.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// ServeHTTP implements http.Handler.
func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Time{}) // that of an earlier request on the connection
	if r.ContentLength == 0 {                 // nothing more is to be read; the answer may take its time
		_ = control.SetReadDeadline(time.Time{})
	}
	w = &patient{ResponseWriter: w, control: control, limit: g.write}
	h := w.Header()
	for _, x := range [][2]string{
		{"Content-Security-Policy", policy}, {"X-Content-Type-Options", "nosniff"}, {"X-Frame-Options", "DENY"},
		{"Referrer-Policy", "same-origin"}, {"Cross-Origin-Opener-Policy", "same-origin"}, {"Cross-Origin-Resource-Policy", "same-origin"},
		{"Cache-Control", "no-store"},
	} {
		h.Set(x[0], x[1])
	}
	if reason, p := g.judge(r); p != nil {
		g.refused(reason)
		refuse(w, r, p)
		return
	}
	if token := r.URL.Query().Get("token"); g.closed && r.Method == http.MethodGet && r.URL.Path == "/" && g.right(token) {
		http.SetCookie(w, &http.Cookie{Name: cookie, Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	if g.closed && r.URL.Path != "/healthz" && !g.shown(r) {
		g.refused("token")
		w.Header().Set("WWW-Authenticate", "Bearer")
		refuse(w, r, &problem{http.StatusUnauthorized, "", "the token is missing or wrong; open the address that keyhole serve printed, or send Authorization: Bearer TOKEN"})
		return
	}
	g.next.ServeHTTP(w, r)
}

// cookie is the name of the cookie that holds the token.
const cookie = "keyhole"

// judge is why a request is refused, in a word and at length; nil: it is not.
func (g *guard) judge(r *http.Request) (reason string, p *problem) {
	if !g.ours(r.Host) {
		return "host", &problem{http.StatusMisdirectedRequest, "", "the Host of the request is not this server's; ask it by its address, or allow the name with --allow-host"}
	}
	if list, ok := r.Header["Origin"]; ok && (len(list) != 1 || !g.same(list[0], r.Host)) {
		return "origin", &problem{http.StatusForbidden, "", "requests from pages of another origin are refused"}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return "", nil
	}
	page := r.Method == http.MethodGet && r.URL.Path == "/" && r.Header.Get("Sec-Fetch-Mode") == "navigate"
	if !page { // a link to the page may stand anywhere
		return "site", &problem{http.StatusForbidden, "", "requests from pages of another site are refused"}
	}
	return "", nil
}

// ours reports whether a Host names this server: by an address, not by a name that
// somebody else's DNS may lead here.
func (g *guard) ours(host string) bool {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), "80"
	}
	if port != g.port {
		return false
	}
	name = strings.ToLower(name) // folding would take ſ for s
	if name == "localhost" || slices.ContainsFunc(g.hosts, func(host string) bool { return strings.ToLower(host) == name }) {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && (!g.loopback || ip.IsLoopback())
}

// same reports whether an Origin is the one that the request was sent to.
func (g *guard) same(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && strings.EqualFold(u.Host, host) && u.Path == "" && u.User == nil
}

// shown reports whether the request shows the token.
func (g *guard) shown(r *http.Request) bool {
	if t, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return g.right(t)
	}
	c, err := r.Cookie(cookie)
	return err == nil && g.right(c.Value)
}

// right compares in constant time.
func (g *guard) right(token string) bool {
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1
}

// patient gives each piece of an answer a time within which the client has to take
// it.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
	limit   time.Duration
}

func (p *patient) WriteHeader(status int) {
	_ = p.control.SetWriteDeadline(time.Now().Add(p.limit)) // an answer without a body is written behind the handler
	p.ResponseWriter.WriteHeader(status)
}

func (p *patient) Write(b []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(p.limit)); err != nil {
		return 0, err
	}
	return p.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (p *patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// bounded is a listener with so many connections at most; others wait to be
// accepted.
func bounded(ln net.Listener, n int) net.Listener {
	return &gate{Listener: ln, room: make(chan struct{}, n), shut: make(chan struct{})}
}

type gate struct {
	net.Listener
	room chan struct{}
	shut chan struct{}
	once sync.Once
}

func (g *gate) Accept() (net.Conn, error) {
	select {
	case g.room <- struct{}{}:
	case <-g.shut:
		return nil, net.ErrClosed
	}
	c, err := g.Listener.Accept()
	if err != nil {
		<-g.room
		return nil, err
	}
	return &guest{Conn: c, leave: sync.OnceFunc(func() { <-g.room })}, nil
}

func (g *gate) Close() error {
	g.once.Do(func() { close(g.shut) })
	return g.Listener.Close()
}

type guest struct {
	net.Conn
	leave func()
}

func (g *guest) Close() error {
	defer g.leave()
	return g.Conn.Close()
}
