package main

import (
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"keyhole.example/keyhole/hub"
	"keyhole.example/keyhole/hub/hubtest"
)

// serveHub is the script command "hub": it starts a hub with the tiny model as
// tiny/model (and, gated, as tiny/gated) and edits as the data sets zsre and
// zsre/eval, and sets HF_ENDPOINT. What it serves is in the folder of its
// argument, as the program tiny wrote it.
func serveHub(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	files := map[string][]byte{"evil.py": []byte("raise SystemExit")}
	entries, err := os.ReadDir(filepath.Join(dir, "model"))
	ts.Check(err)
	for _, e := range entries {
		files[e.Name()] = []byte(ts.ReadFile(filepath.Join(dir, "model", e.Name())))
	}
	h := hubtest.New()
	ts.Defer(h.Close)
	h.Add("models", "tiny/model", files, hubtest.Faults{})
	h.Add("models", "tiny/gated", files, hubtest.Faults{Gated: true})
	edits := []byte(ts.ReadFile(filepath.Join(dir, "edits.jsonl")))
	sets := map[string][]byte{}
	repo := ""
	for _, name := range []string{"zsre", "zsre/eval"} {
		d, ok := hub.FindDataset(name)
		if !ok {
			ts.Fatalf("no data set %s", name)
		}
		repo, sets[d.File] = d.Repo, edits
	}
	h.Add("datasets", repo, sets, hubtest.Faults{})
	ts.Setenv("HF_ENDPOINT", h.URL())
	ts.Setenv("HF_HUB_OFFLINE", "")
	ts.Setenv("HF_HOME", ts.MkAbs("hf"))
}
