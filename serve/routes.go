package serve

import (
	"embed"
	"io/fs"
	"net"
	"net/http"
	"path"
	"regexp"
	"strings"
)

//go:embed page
var pageFiles embed.FS

//go:embed openapi.yaml
var openAPI []byte

// route is a method and a path with what answers there.
type route struct {
	method, path string
	answer       func(w http.ResponseWriter, r *http.Request) error
}

// routes lists everything that can be asked for.
func (s *Server) routes() []route {
	return []route{
		{"GET", "/{$}", s.page}, {"GET", "/{file}", s.page},
		{"GET", "/healthz", s.healthy}, {"GET", "/metrics", s.prometheus}, {"GET", "/openapi.yaml", s.openAPI},
		{"GET", "/api/v1/status", s.status},
		{"POST", "/api/v1/next", s.next},
		{"POST", "/api/v1/generate", s.generate},
		{"POST", "/api/v1/suggest", s.suggest},
		{"POST", "/api/v1/trials", s.try},
		{"GET", "/api/v1/edits", s.edits},
		{"POST", "/api/v1/edits", s.keep},
		{"PATCH", "/api/v1/edits/{id}", s.turn},
		{"DELETE", "/api/v1/edits/{id}", s.remove},
		{"POST", "/api/v1/edits/order", s.order},
		{"POST", "/api/v1/export", s.export},
		{"GET", "/api/v1/downloads/{id}", s.download},
		{"POST", "/api/v1/check", s.check},
		{"POST", "/api/v1/trace", s.trace},
		{"POST", "/api/v1/eval", s.evaluate},
		{"GET", "/api/v1/runs", s.runs},
		{"GET", "/api/v1/runs/{name}/log", s.runLog},
		{"GET", "/api/v1/runs/{name}/events", s.runEvents},
		{"GET", "/api/v1/comparisons", s.comparisons},
		{"GET", "/api/v1/comparisons/{name}", s.comparison},
		{"GET", "/v1/models", s.models},
		{"GET", "/v1/models/{id...}", s.model},
		{"POST", "/v1/completions", s.completions},
		{"POST", "/v1/chat/completions", s.chatCompletions},
		{"GET", "/api/v1/jobs/{id}", s.job},
		{"GET", "/api/v1/jobs/{id}/events", s.follow},
		{"DELETE", "/api/v1/jobs/{id}", s.cancel},
	}
}

// Handler answers requests to the server that listens at an address.
func (s *Server) Handler(addr net.Addr) http.Handler {
	mux, paths := http.NewServeMux(), http.NewServeMux()
	methods := map[string][]string{} // by path
	for _, rt := range s.routes() {
		methods[rt.path] = append(methods[rt.path], rt.method)
		mux.HandleFunc(rt.method+" "+rt.path, func(w http.ResponseWriter, r *http.Request) {
			if err := rt.answer(w, r); err != nil {
				refuse(w, r, err)
			}
		})
	}
	for p, list := range methods { // the other methods of what there is
		paths.HandleFunc(p, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", strings.Join(list, ", "))
			refuse(w, r, &problem{http.StatusMethodNotAllowed, "", r.Method + " is not possible here"})
		})
	}
	paths.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, r, missing("page or route", r.URL.Path))
	})
	mux.Handle("/", paths)
	return s.metrics.count(mux, s.guard(addr, mux))
}

// refuse answers with an error in the form of the route.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	if strings.HasPrefix(r.URL.Path, "/v1/") {
		failOpenAI(w, err)
		return
	}
	fail(w, err)
}

// kinds are the types of the page's files by how their names end. The system's own
// table may say otherwise.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// page gives a file of the page. Names are looked up among those that the program
// holds.
func (s *Server) page(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("file")
	if name == "" {
		name = "index.html"
	}
	entries, err := fs.ReadDir(pageFiles, "page")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != name {
			continue
		}
		raw, err := pageFiles.ReadFile(path.Join("page", name))
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", kinds[path.Ext(name)])
		w.Header().Set("Cache-Control", "no-cache")
		_, _ = w.Write(raw)
		return nil
	}
	return missing("page or route", r.URL.Path)
}

func (s *Server) openAPI(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(openAPI)
	return nil
}

func (s *Server) healthy(w http.ResponseWriter, _ *http.Request) error {
	if s.ctx.Err() != nil {
		return errStopping
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
	return nil
}

// clientCookie tells the clients of one address apart.
const clientCookie = "keyhole-client"

var clientName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// clientOf is whose turn a request takes.
func clientOf(r *http.Request) string {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	if c, err := r.Cookie(clientCookie); err == nil && clientName.MatchString(c.Value) {
		host += " " + c.Value
	}
	return host
}
