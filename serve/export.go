package serve

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/ike"
	"keyhole.example/keyhole/edit/saved"
)

// file is something to be downloaded.
type file struct {
	id, dir    string // of its own
	path, name string // where it is, and what it is to be called
	bytes      int64
}

// exportFolder, in the store, is where exports lie while they can be downloaded.
const exportFolder = "exports"

// keptFiles is how many exports stay, the latest.
const keptFiles = 3

// exportBody is where an export is to be had.
type exportBody struct {
	Download string `json:"download"`
	Name     string `json:"name"`
	Bytes    int64  `json:"bytes"`
}

// export writes what is on: the edits, or the edited model.
func (s *Server) export(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		Format string `json:"format"`
	}
	if err := read(w, r, &q, false); err != nil {
		return err
	}
	formats := []string{"edit", saved.HF, saved.GGUF}
	switch {
	case !slices.Contains(formats, q.Format):
		return wrong("format", "format %q is none of %s", q.Format, strings.Join(formats, ", "))
	case q.Format == saved.GGUF && !s.opts.Bench.Model.IsGGUF():
		return wrong("format", "the base model is no GGUF file, whose other weights an export would take over; choose hf")
	}
	return s.launch(w, r, "export", func(ctx context.Context, j *job) (any, error) {
		list := on(s.edited())
		if len(list) == 0 {
			return nil, refused("no edit is on, so there is nothing to export")
		}
		f, err := s.write(ctx, j, q.Format, list)
		if err != nil {
			return nil, err
		}
		s.addFile(f)
		return exportBody{"/api/v1/downloads/" + f.id, f.name, f.bytes}, nil
	})
}

// write makes an export in a folder of its own.
func (s *Server) write(ctx context.Context, j *job, format string, list []*kept) (_ *file, err error) {
	id := secretID()
	dir := filepath.Join(s.opts.Store, exportFolder, id)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	f := &file{id: id, dir: dir}
	base := strings.TrimSuffix(plain(s.opts.Name), ".gguf")
	if format == "edit" {
		err = s.writeEdits(ctx, f, base, list)
	} else {
		err = s.writeModel(ctx, j, f, base, format, list)
	}
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	f.bytes = info.Size()
	return f, nil
}

// plain is a name that is a file's on every system.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r) {
			return r
		}
		return '_'
	}, strings.TrimLeft(name, "."))
}

// writeEdits writes one edit as its file, several as an archive of files whose names
// have their order, and those that are contexts as a store.
func (s *Server) writeEdits(ctx context.Context, f *file, base string, list []*kept) error {
	parts := filepath.Join(f.dir, "parts")
	if err := os.Mkdir(parts, 0o777); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	contexts, err := ike.OpenStore(filepath.Join(parts, "contexts.json"))
	if err != nil {
		return err
	}
	var names []string
	for i, k := range list {
		if k.edited == nil {
			if err := contexts.Add(k.Request.request(k.ID)); err != nil {
				return refused("%v", err)
			}
			continue
		}
		name := fmt.Sprintf("%03d-%s-%s%s", i+1, plain(k.Editor), k.ID, edit.FileExt)
		if err := edit.WriteFile(filepath.Join(parts, name), k.edited, s.desk.hash); err != nil {
			return err
		}
		names = append(names, name)
	}
	if len(contexts.Requests()) > 0 {
		if err := contexts.Save(); err != nil {
			return err
		}
		names = append(names, filepath.Base(contexts.Path()))
	}
	if len(names) == 1 {
		f.path, f.name = filepath.Join(parts, names[0]), base+"-edit"+filepath.Ext(names[0])
		return nil
	}
	f.path, f.name = filepath.Join(f.dir, "edits.zip"), base+"-edits.zip"
	return archive(ctx, f.path, parts, "edits")
}

// writeModel writes the edited model.
func (s *Server) writeModel(ctx context.Context, j *job, f *file, base, format string, list []*kept) error {
	for _, k := range list {
		if k.edited == nil || len(k.edited.Changes) == 0 {
			return refused("edit %s by %s changes no weights, so it is no part of a model that is written; switch it off, or export the edits", k.ID, k.Editor)
		}
	}
	m := &saved.Model{Dir: filepath.Join(f.dir, "model"), Base: s.opts.Bench.Base, DType: "f32"}
	if format == saved.GGUF {
		m.Format, m.DType = saved.GGUF, "f16"
	}
	s.desk.base()
	j.report(0, 2, "writing the model")
	if err := m.Write(s.opts.Bench.Model, s.opts.Bench.Engine, s.store.files(list)); err != nil {
		return err
	}
	if format == saved.GGUF {
		f.path, f.name = filepath.Join(m.Dir, saved.GGUFName), base+"-edited.gguf"
		return nil
	}
	j.report(1, 2, "packing the folder")
	f.path, f.name = filepath.Join(f.dir, "model.zip"), base+"-edited.zip"
	return errors.Join(archive(ctx, f.path, m.Dir, base+"-edited"), os.RemoveAll(m.Dir))
}

// archive packs a folder, not compressed: weights do not get smaller.
func archive(ctx context.Context, path, dir, name string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	z := zip.NewWriter(f)
	err = filepath.WalkDir(dir, func(at string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		rel, err := filepath.Rel(dir, at)
		if err != nil {
			return err
		}
		to, err := z.CreateHeader(&zip.FileHeader{Name: name + "/" + filepath.ToSlash(rel), Method: zip.Store})
		if err != nil {
			return err
		}
		from, err := os.Open(at)
		if err != nil {
			return err
		}
		defer from.Close()
		_, err = io.Copy(to, from)
		return err
	})
	return errors.Join(err, z.Close())
}

// addFile offers an export, and removes the oldest.
func (s *Server) addFile(f *file) {
	s.mu.Lock()
	s.files = append(s.files, f)
	var old []*file
	if n := len(s.files) - keptFiles; n > 0 {
		old, s.files = slices.Clone(s.files[:n]), slices.Clone(s.files[n:])
	}
	s.mu.Unlock()
	for _, f := range old {
		if err := os.RemoveAll(f.dir); err != nil {
			s.opts.Log.Printf("export: %v", err)
		}
	}
}

// removeFiles removes all exports, also those of a server that was killed.
func removeFiles(store string) error { return os.RemoveAll(filepath.Join(store, exportFolder)) }

func (s *Server) download(w http.ResponseWriter, r *http.Request) error {
	s.mu.Lock()
	at := slices.IndexFunc(s.files, func(f *file) bool { return f.id == r.PathValue("id") })
	var f *file
	if at >= 0 {
		f = s.files[at]
	}
	s.mu.Unlock()
	if f == nil {
		return missing("download", r.PathValue("id"))
	}
	in, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", "attachment; filename="+strconv.Quote(f.name))
	http.ServeContent(w, r, "", info.ModTime(), in)
	return nil
}
