package serve

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"keyhole.example/keyhole/internal/regular"
	"keyhole.example/keyhole/train"
)

// runBody is a training run.
type runBody struct {
	Name    string `json:"name"`
	Editor  string `json:"editor"`
	Step    int    `json:"step"`
	Steps   int    `json:"steps"`
	Running bool   `json:"running"`
}

// folders are the folders that lie in that of runs and hold a file.
func (s *Server) folders(file string) ([]string, error) {
	if s.opts.Runs == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(s.opts.Runs)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if info, err := os.Lstat(filepath.Join(s.opts.Runs, e.Name(), file)); e.IsDir() && err == nil && info.Mode().IsRegular() {
			out = append(out, e.Name())
		}
	}
	return out, nil
}

// folder is the path of one of them. A client's name is compared, and is no part of
// a path before it is known.
func (s *Server) folder(what, file, name string) (string, error) {
	list, err := s.folders(file)
	if err != nil {
		return "", err
	}
	if !slices.Contains(list, name) {
		return "", missing(what, name)
	}
	return filepath.Join(s.opts.Runs, name), nil
}

const (
	runFile        = "config.yaml" // of a run
	comparisonFile = "report.html" // of a comparison
)

func (s *Server) runs(w http.ResponseWriter, _ *http.Request) error {
	list, err := s.folders(runFile)
	if err != nil {
		return err
	}
	out := []runBody{}
	for _, name := range list {
		v, err := train.View(filepath.Join(s.opts.Runs, name))
		if err != nil {
			continue // a folder of something else that has such a file
		}
		out = append(out, runBody{name, v.Editor, v.Step, v.Steps, v.Running})
	}
	reply(w, http.StatusOK, map[string]any{"runs": out})
	return nil
}

// logBody is what a run has logged; next is where new lines will be.
type logBody struct {
	Train []train.Metrics `json:"train"`
	Val   []train.Metrics `json:"val"`
	Next  int64           `json:"next"`
}

// maxPoints bounds the training lines that are told: of more, some are left out
// evenly.
const maxPoints = 2000

func (s *Server) runLog(w http.ResponseWriter, r *http.Request) error {
	dir, err := s.folder("run", runFile, r.PathValue("name"))
	if err != nil {
		return err
	}
	lines, next, err := train.LogFrom(dir, 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	out := logBody{Train: []train.Metrics{}, Val: []train.Metrics{}, Next: next}
	for _, m := range lines {
		if m.Kind == "train" {
			out.Train = append(out.Train, m)
		} else {
			out.Val = append(out.Val, m)
		}
	}
	if stride := (len(out.Train) + maxPoints - 1) / maxPoints; stride > 1 {
		few := out.Train[:0]
		for i, m := range out.Train {
			if i%stride == 0 || i == len(out.Train)-1 {
				few = append(few, m)
			}
		}
		out.Train = few
	}
	reply(w, http.StatusOK, out)
	return nil
}

// runEvents gives the lines that a run logs from now on, or from where after, or
// the last event that the client saw, says.
func (s *Server) runEvents(w http.ResponseWriter, r *http.Request) error {
	dir, err := s.folder("run", runFile, r.PathValue("name"))
	if err != nil {
		return err
	}
	at, err := train.LogEnd(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, from := range []string{r.URL.Query().Get("after"), r.Header.Get("Last-Event-ID")} {
		if n, err := strconv.ParseInt(from, 10, 64); err == nil && n >= 0 && n <= at {
			at = n
		}
	}
	e := s.events(w)
	for {
		lines, next, err := train.LogFrom(dir, at)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil // it is gone, and the answer has begun
		}
		for _, m := range lines {
			raw, err := encode(m)
			if err != nil {
				continue
			}
			if err := e.send(int(next), "line", raw); err != nil {
				return nil
			}
		}
		at = next
		pause := make(chan struct{})
		timer := time.AfterFunc(s.slow.poll, func() { close(pause) })
		if !e.wait(r, pause) {
			timer.Stop()
			return nil
		}
	}
}

func (s *Server) comparisons(w http.ResponseWriter, _ *http.Request) error {
	list, err := s.folders(comparisonFile)
	if err != nil {
		return err
	}
	reply(w, http.StatusOK, map[string][]string{"comparisons": append([]string{}, list...)})
	return nil
}

// reportPolicy lets a report have its own styles and scripts, but nothing of this
// server: it is a page of an origin of its own, without a net.
const reportPolicy = "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func (s *Server) comparison(w http.ResponseWriter, r *http.Request) error {
	dir, err := s.folder("comparison", comparisonFile, r.PathValue("name"))
	if err != nil {
		return err
	}
	const most = 64 << 20
	raw, err := regular.ReadOwn(filepath.Join(dir, comparisonFile), most)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", reportPolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(raw)
	return nil
}
