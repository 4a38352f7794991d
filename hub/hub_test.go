package hub_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"keyhole.example/keyhole/hub"
	"keyhole.example/keyhole/hub/hubtest"
)

// TestMain also serves as the program that is killed while it fetches.
func TestMain(m *testing.M) {
	if name := os.Getenv("HUB_TEST_PULL"); name != "" {
		c, err := hub.FromEnv(os.Getenv)
		if err == nil {
			_, err = c.Pull(context.Background(), name)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// bytesOf are n bytes that depend on a seed.
func bytesOf(n int, seed uint64) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed)})
	b := make([]byte, n)
	_, _ = r.Read(b)
	return b
}

// model is a repository as there are many: what is wanted and what is not.
func model() map[string][]byte {
	return map[string][]byte{
		"config.json": []byte(`{"model_type":"llama"}`), "tokenizer.json": bytesOf(5000, 1), "model.safetensors": bytesOf(300_000, 2),
		"README.md": []byte("# a model"), "modeling_evil.py": []byte("print('run me')"), "pytorch_model.bin": bytesOf(4000, 3),
		"onnx/model.onnx": bytesOf(4000, 4), ".gitattributes": []byte("x"), "original/model.safetensors": bytesOf(4000, 5),
	}
}

type bench struct {
	*hubtest.Hub
	env map[string]string
}

func start(t *testing.T) *bench {
	h := hubtest.New()
	t.Cleanup(h.Close)
	return &bench{h, map[string]string{"HF_ENDPOINT": h.URL(), "HF_HOME": t.TempDir(), "XDG_CACHE_HOME": t.TempDir()}}
}

func (b *bench) client(t *testing.T) *hub.Client {
	t.Helper()
	c, err := hub.FromEnv(func(k string) string { return b.env[k] })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestPullModel: the layout is that of the hub's own library, nothing but what
// is read is fetched, and the second time nothing is.
func TestPullModel(t *testing.T) {
	b := start(t)
	files := model()
	commit := b.Add("models", "org/small", files, hubtest.Faults{})
	c := b.client(t)
	p, err := c.Pull(t.Context(), "org/small")
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(b.env["HF_HOME"], "hub", "models--org--small", "snapshots", commit); p.Path != want || p.Commit != commit {
		t.Errorf("got %+v, want path %s", p, want)
	}
	have := map[string]bool{}
	err = filepath.WalkDir(p.Path, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(p.Path, path)
		have[rel] = true
		if !bytes.Equal(mustRead(t, path), files[rel]) {
			t.Errorf("%s has other content", rel)
		}
		if to, err := os.Readlink(path); err != nil || filepath.IsAbs(to) || filepath.Base(filepath.Dir(to)) != "blobs" {
			t.Errorf("%s is linked to %q (%v), want a relative link into blobs", rel, to, err)
		}
		return nil
	})
	if err != nil || len(have) != 3 || !have["config.json"] || !have["tokenizer.json"] || !have["model.safetensors"] {
		t.Errorf("fetched %v (%v)", have, err)
	}
	if ref := mustRead(t, filepath.Join(b.env["HF_HOME"], "hub", "models--org--small", "refs", "main")); string(ref) != commit {
		t.Errorf("refs/main is %q", ref)
	}
	before := len(b.Requests())
	if at, err := c.Model(t.Context(), "org/small"); err != nil || at != p.Path || len(b.Requests()) != before {
		t.Errorf("cached: %s, %v, %d requests", at, err, len(b.Requests())-before)
	}
	if _, err := c.Pull(t.Context(), "org/small"); err != nil {
		t.Fatal(err)
	}
	for _, q := range b.Requests()[before:] {
		if q.Store {
			t.Errorf("the second pull fetched %s", q.Path)
		}
	}
	b.env["HF_HUB_OFFLINE"] = "1"
	if at, err := b.client(t).Model(t.Context(), "org/small@main"); err != nil || at != p.Path {
		t.Errorf("offline: %s, %v", at, err)
	}
	list, err := c.List(hub.ModelKind)
	if err != nil || len(list) != 1 || list[0].Name != "org/small" || list[0].Path != p.Path || list[0].Bytes != p.Bytes {
		t.Errorf("list: %+v, %v, want %d bytes", list, err, p.Bytes)
	}
}

func TestPullFollowsBranch(t *testing.T) {
	b := start(t)
	old := b.Add("models", "org/small", model(), hubtest.Faults{})
	c := b.client(t)
	if _, err := c.Pull(t.Context(), "org/small"); err != nil {
		t.Fatal(err)
	}
	files := model()
	files["config.json"] = []byte(`{"model_type":"gpt2"}`)
	now := b.Add("models", "org/small", files, hubtest.Faults{})
	before := len(b.Requests())
	p, err := c.Pull(t.Context(), "org/small")
	if err != nil || p.Commit != now {
		t.Fatalf("%+v, %v", p, err)
	}
	for _, q := range b.Requests()[before:] {
		if q.Store {
			t.Errorf("%s was fetched again, though its content is the same", q.Path)
		}
	}
	if at, err := c.Model(t.Context(), "org/small@"+old); err != nil || filepath.Base(at) != old {
		t.Errorf("the old commit: %s, %v", at, err)
	}
}

func TestGGUF(t *testing.T) {
	b := start(t)
	files := map[string][]byte{"m.Q4_1.gguf": bytesOf(9000, 1), "m.Q8_0.gguf": bytesOf(9500, 2), "m.Q8_0-00001-of-00002.gguf": bytesOf(3000, 3), "x.py": []byte("x")}
	b.Add("models", "org/quants", files, hubtest.Faults{})
	b.Add("models", "org/one", map[string][]byte{"only.gguf": files["m.Q4_1.gguf"]}, hubtest.Faults{})
	c := b.client(t)
	for name, want := range map[string]string{"org/quants:m.Q4_1.gguf": "m.Q4_1.gguf", "org/quants:q8_0": "m.Q8_0.gguf", "org/one": "only.gguf"} {
		at, err := c.Model(t.Context(), name)
		if err != nil || filepath.Base(at) != want {
			t.Errorf("%s: %s, %v", name, at, err)
		}
		before := len(b.Requests())
		if again, err := c.Model(t.Context(), name); err != nil || again != at || len(b.Requests()) != before {
			t.Errorf("%s again: %s, %v, %d requests", name, again, err, len(b.Requests())-before)
		}
	}
	for name, want := range map[string]string{
		"org/quants":                            "org/quants:m.Q4_1.gguf (9 KiB)",
		"org/quants:Q5_K":                       "has no file \"Q5_K\"",
		"org/quants:x.py":                       "nothing from the hub is run",
		"org/quants:m.Q8_0-00001-of-00002":      "00002", // a file's name without ending is no tag
		"org/quants:m.Q8_0-00009-of-00002.gguf": "no file",
	} {
		if _, err := c.Pull(t.Context(), name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

func TestLocalPaths(t *testing.T) {
	b := start(t)
	c := b.client(t)
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(dir, "gguf"), 0o777))
	must(os.WriteFile(filepath.Join(dir, "gguf", "a.gguf"), nil, 0o666))
	must(os.MkdirAll(filepath.Join(dir, "org", "name"), 0o777))
	must(os.WriteFile(filepath.Join(dir, "edits.json"), nil, 0o666))
	t.Chdir(dir)
	for name, want := range map[string]string{
		"gguf": filepath.Join("gguf", "a.gguf"), "~/gguf": filepath.Join(dir, "gguf", "a.gguf"), "gguf/a.gguf": "gguf/a.gguf", "org/name": "org/name",
	} {
		if at, err := c.Model(t.Context(), name); err != nil || at != want {
			t.Errorf("%s: %s, %v, want %s", name, at, err, want)
		}
	}
	if at, err := c.Data(t.Context(), "~/edits.json"); err != nil || at != filepath.Join(dir, "edits.json") {
		t.Errorf("%s, %v", at, err)
	}
	for _, name := range []string{"missing.gguf", "some/missing.gguf", "./some/model", "/no/such/folder", "plain"} {
		if _, err := c.Model(t.Context(), name); !errors.Is(err, hub.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Data(t.Context(), "zsr"); err == nil || !strings.Contains(err.Error(), "did you mean zsre?") {
		t.Error(err)
	}
	if n := len(b.Requests()); n != 0 {
		t.Errorf("%d requests for local paths", n)
	}
}

func TestDatasets(t *testing.T) {
	b := start(t)
	d, _ := hub.FindDataset("zsre")
	text := []byte(strings.Repeat(`{"subject":"a","src":"b?","alt":"c"}`+"\n", 100))
	b.Add("datasets", d.Repo, map[string][]byte{d.File: text}, hubtest.Faults{})
	c := b.client(t)
	at, err := c.Data(t.Context(), "zsre")
	if err != nil || !bytes.Equal(mustRead(t, at), text) {
		t.Fatalf("%s, %v", at, err)
	}
	for _, name := range []string{"datasets/" + d.Repo + ":" + d.File, d.Repo + ":" + d.File} {
		if x, err := c.Data(t.Context(), name); err != nil || x != at {
			t.Errorf("%s: %s, %v", name, x, err)
		}
	}
	// a prepared copy comes first, and is checked
	b.env["KEYHOLE_DATA"] = t.TempDir()
	prepared := filepath.Join(b.env["KEYHOLE_DATA"], filepath.FromSlash(d.Copy))
	if err := os.MkdirAll(filepath.Dir(prepared), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(prepared, text, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := b.client(t).Data(t.Context(), "zsre"); !errors.Is(err, hub.ErrCorrupt) {
		t.Errorf("a copy with another sum: %v", err)
	}
	if shared := os.Getenv("KEYHOLE_SHARED"); shared != "" {
		b.env["KEYHOLE_DATA"] = filepath.Join(shared, "data")
		for _, d := range hub.Datasets() {
			if d.Copy == "" {
				continue
			}
			if at, err := b.client(t).Data(t.Context(), d.Name); err != nil || !strings.HasPrefix(at, shared) {
				t.Errorf("%s: %s, %v", d.Name, at, err)
			}
		}
	} else {
		t.Log("KEYHOLE_SHARED is not set: the sums of the table were not compared with files")
	}
	// one whose address is unknown says so
	b.env["KEYHOLE_DATA"] = ""
	if _, err := b.client(t).Data(t.Context(), "wikifactdiff"); err == nil || !strings.Contains(err.Error(), "no public address that is known") {
		t.Error(err)
	}
}

// TestDatasetElsewhere: one that lies on no hub comes from its address, and its
// sum counts where it is known.
func TestDatasetElsewhere(t *testing.T) {
	b := start(t)
	text := bytesOf(5000, 9)
	b.Add("datasets", "org/sets", map[string][]byte{"a.json": text}, hubtest.Faults{Cut: 2000, Cuts: 2})
	d := hub.Dataset{Name: "some/set", URL: b.URL() + "/datasets/org/sets/resolve/main/a.json", Copy: "some/set.jsonl.gz", SHA256: fmt.Sprintf("%x", sha256.Sum256(text))}
	c := b.client(t)
	hub.RecordPauses(c)
	at, err := hub.FetchDataset(t.Context(), c, d)
	if err != nil || !bytes.Equal(mustRead(t, at), text) || !strings.HasPrefix(at, b.env["XDG_CACHE_HOME"]) {
		t.Fatalf("%s, %v", at, err)
	}
	before := len(b.Requests())
	if again, err := hub.FetchDataset(t.Context(), c, d); err != nil || again != at || len(b.Requests()) != before {
		t.Errorf("again: %s, %v", again, err)
	}
	other := d
	other.Name, other.SHA256 = "other/set", strings.Repeat("0", 64)
	if _, err := hub.FetchDataset(t.Context(), c, other); !errors.Is(err, hub.ErrCorrupt) {
		t.Errorf("another sum: %v", err)
	}
	b.env["HF_HUB_OFFLINE"] = "1"
	off := b.client(t)
	if again, err := hub.FetchDataset(t.Context(), off, d); err != nil || again != at {
		t.Errorf("offline: %s, %v", again, err)
	}
	if _, err := hub.FetchDataset(t.Context(), off, other); !errors.Is(err, hub.ErrUnreachable) || !strings.Contains(err.Error(), d.URL) || !strings.Contains(err.Error(), "put it at") {
		t.Errorf("offline, not here: %v", err)
	}
}

// TestTable: every entry says what is needed to find it, and names are plain.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range hub.Datasets() {
		if seen[d.Name] || d.About == "" || d.License == "" || (d.Repo == "") != (d.File == "") {
			t.Errorf("%+v", d)
		}
		if d.Repo == "" && d.URL == "" && (d.Source == "" || d.Copy == "") {
			t.Errorf("%s: nobody can find it", d.Name)
		}
		if (d.Copy == "") != (d.CopySHA256 == "") {
			t.Errorf("%s: a copy without its sum", d.Name)
		}
		seen[d.Name] = true
	}
}

func TestRefusals(t *testing.T) {
	for _, x := range []struct {
		name  string
		f     hubtest.Faults
		token string
		is    error
		say   string
	}{
		{"org/gated", hubtest.Faults{Gated: true}, "", hub.ErrDenied, "set HF_TOKEN"},
		{"org/gated", hubtest.Faults{Gated: true}, "hf_wrong", hub.ErrDenied, "has no access"},
		{"org/private", hubtest.Faults{Private: true}, "", hub.ErrNotFound, "if it is private"},
		{"org/loop", hubtest.Faults{Loop: true}, "", nil, "leads on more than"},
		{"org/evil", hubtest.Faults{Names: []string{"../../escape.safetensors"}}, "", nil, ""},
	} {
		b := start(t)
		files := model()
		b.Add("models", x.name, files, x.f)
		b.env["HF_TOKEN"] = x.token
		c := b.client(t)
		hub.RecordPauses(c)
		_, err := c.Pull(t.Context(), x.name)
		if x.say == "" { // names that are not wanted do no harm
			if err != nil {
				t.Errorf("%s: %v", x.name, err)
			}
		} else if err == nil || (x.is != nil && !errors.Is(err, x.is)) || !strings.Contains(err.Error(), x.say) {
			t.Errorf("%s: %v, want %v and %q", x.name, err, x.is, x.say)
		}
		if err := filepath.WalkDir(filepath.Dir(c.Cache()), func(p string, d os.DirEntry, err error) error {
			if strings.Contains(p, "escape") {
				t.Errorf("%s was written", p)
			}
			return err
		}); err != nil {
			t.Error(err)
		}
	}
	b := start(t)
	for name, want := range map[string]error{"org/nothing": hub.ErrNotFound, "org/nothing:file.gguf": hub.ErrNotFound} {
		if _, err := b.client(t).Pull(t.Context(), name); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.Add("models", "org/small", model(), hubtest.Faults{})
	for name, say := range map[string]string{
		"org/small@v9": "no revision \"v9\"", "org/small:nothing.gguf": "no file", "org/small@../x": "no revision", "org/small:../x.gguf": "no path",
		"org/small:": "missing behind the colon", "nonsense": "neither",
	} {
		if _, err := b.client(t).Pull(t.Context(), name); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v, want %q", name, err, say)
		}
	}
	// a listing that names a weight outside the folder
	b.Add("models", "org/evil", map[string][]byte{"config.json": []byte("{}"), "../x.gguf": bytesOf(2000, 1)}, hubtest.Faults{})
	if _, err := b.client(t).Pull(t.Context(), "org/evil"); err == nil || !strings.Contains(err.Error(), "would not lie in the cache") {
		t.Error(err)
	}
}

// TestTokenStaysHome: the token goes to the hub and not to the store that it
// leads to.
func TestTokenStaysHome(t *testing.T) {
	b := start(t)
	b.Add("models", "org/gated", model(), hubtest.Faults{Gated: true})
	b.env["HF_TOKEN"] = b.Token
	if _, err := b.client(t).Pull(t.Context(), "org/gated"); err != nil {
		t.Fatal(err)
	}
	stores := 0
	for _, q := range b.Requests() {
		if q.Store {
			stores++
			if q.Token != "" {
				t.Errorf("the store got the token: %+v", q)
			}
		} else if q.Token != b.Token {
			t.Errorf("the hub got no token: %+v", q)
		}
	}
	if stores == 0 {
		t.Error("nothing came from the store")
	}
	// the file of huggingface-cli login
	b.env["HF_TOKEN"] = ""
	if err := os.WriteFile(filepath.Join(b.env["HF_HOME"], "token"), []byte(b.Token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.client(t).Pull(t.Context(), "org/gated"); err != nil {
		t.Error(err)
	}
}

func TestTroubles(t *testing.T) {
	for name, f := range map[string]hubtest.Faults{
		"busy": {Busy: 2}, "broken": {Broken: 2}, "cut": {Cut: 70_000, Cuts: 4}, "cut without ranges": {Cut: 70_000, Cuts: 2, NoRanges: true},
	} {
		b := start(t)
		files := model()
		b.Add("models", "org/small", files, f)
		c := b.client(t)
		pauses := hub.RecordPauses(c)
		p, err := c.Pull(t.Context(), "org/small")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !bytes.Equal(mustRead(t, filepath.Join(p.Path, "model.safetensors")), files["model.safetensors"]) {
			t.Errorf("%s: other content", name)
		}
		if len(*pauses) == 0 || (name == "busy" && (*pauses)[0] != 3*time.Second) {
			t.Errorf("%s: waited %v", name, *pauses)
		}
		ranges := 0
		for _, q := range b.Requests() {
			if q.Store && q.Range != "" {
				ranges++
			}
		}
		if name == "cut" && ranges == 0 {
			t.Error("a cut file was begun anew")
		}
	}
	b := start(t)
	b.Add("models", "org/wrong", model(), hubtest.Faults{Wrong: true})
	c := b.client(t)
	if _, err := c.Pull(t.Context(), "org/wrong"); !errors.Is(err, hub.ErrCorrupt) {
		t.Errorf("wrong content: %v", err)
	}
	left, _ := filepath.Glob(filepath.Join(c.Cache(), "models--org--wrong", "blobs", "*.incomplete"))
	if len(left) > 0 {
		t.Errorf("wrong content was kept: %v", left)
	}
	if _, err := c.Model(t.Context(), "org/wrong"); err == nil {
		t.Error("a model that was not fetched whole is used")
	}
	b.Add("models", "org/wrong", model(), hubtest.Faults{Broken: 100})
	hub.RecordPauses(c)
	if _, err := c.Pull(t.Context(), "org/wrong"); err == nil || !strings.Contains(err.Error(), "500") {
		t.Errorf("a hub that stays broken: %v", err)
	}
}

// TestOffline: the error says what to fetch, how large it is, and where to put it.
func TestOffline(t *testing.T) {
	b := start(t)
	b.env["HF_HUB_OFFLINE"] = "1"
	name := hub.Models()[0].Name
	dead := *b
	for _, x := range []struct {
		b   *bench
		set func()
	}{{b, func() {}}, {&dead, func() { dead.Close(); dead.env["HF_HUB_OFFLINE"] = "" }}} {
		x.set()
		c := x.b.client(t)
		hub.RecordPauses(c)
		_, err := c.Model(t.Context(), name)
		if !errors.Is(err, hub.ErrUnreachable) {
			t.Fatal(err)
		}
		for _, want := range []string{"/resolve/main/SmolLM2-135M-Instruct.Q4_1.gguf", "93.8 MiB", "keyhole pull " + name, c.Cache(), "models--QuantFactory--SmolLM2-135M-Instruct-GGUF"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v\nlacks %q", err, want)
			}
		}
	}
	if n := len(b.Requests()); n != 0 {
		t.Errorf("%d requests although offline", n)
	}
}

// TestKilledAndResumed kills a process in the middle of a file; the next goes on
// at the byte where it was.
func TestKilledAndResumed(t *testing.T) {
	b := start(t)
	files := map[string][]byte{"a.gguf": bytesOf(3<<20, 7)}
	b.Add("models", "org/big", files, hubtest.Faults{Slow: 2 * time.Millisecond})
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{"HUB_TEST_PULL=org/big:a.gguf"}
	for k, v := range b.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	blobs := filepath.Join(b.env["HF_HOME"], "hub", "models--org--big", "blobs")
	at := int64(0)
	for deadline := time.Now().Add(20 * time.Second); at < 1<<19; time.Sleep(time.Millisecond) {
		if parts, _ := filepath.Glob(filepath.Join(blobs, "*.incomplete")); len(parts) == 1 {
			if info, err := os.Stat(parts[0]); err == nil {
				at = info.Size()
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing came")
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if _, err := b.client(t).Model(t.Context(), "nothing"); err == nil {
		t.Fatal("no error")
	}
	before := len(b.Requests())
	c := b.client(t)
	first := int64(-1)
	c.Progress = func(p hub.Progress) {
		if first < 0 {
			first = p.Done
		}
	}
	b.Add("models", "org/big", files, hubtest.Faults{})
	p, err := c.Pull(t.Context(), "org/big:a.gguf")
	if err != nil || !bytes.Equal(mustRead(t, p.Path), files["a.gguf"]) {
		t.Fatalf("%+v, %v", p, err)
	}
	if first < at {
		t.Errorf("went on at byte %d, %d were there", first, at)
	}
	resumed := false
	for _, q := range b.Requests()[before:] {
		resumed = resumed || (q.Store && q.Range != "" && q.Status == 206)
	}
	if !resumed {
		t.Errorf("no range was asked for: %+v", b.Requests()[before:])
	}
}

// TestDamagedPart: a part that is not of the file is noticed and thrown away.
func TestDamagedPart(t *testing.T) {
	b := start(t)
	files := map[string][]byte{"a.gguf": bytesOf(50_000, 7)}
	b.Add("models", "org/big", files, hubtest.Faults{Cut: 20_000, Cuts: 1000})
	c := b.client(t)
	hub.RecordPauses(c)
	ctx, cancel := context.WithCancel(t.Context())
	c.Progress = func(p hub.Progress) {
		if p.Done > 0 {
			cancel()
		}
	}
	if _, err := c.Pull(ctx, "org/big:a.gguf"); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	parts, _ := filepath.Glob(filepath.Join(c.Cache(), "models--org--big", "blobs", "*.incomplete"))
	if len(parts) != 1 {
		t.Fatalf("parts: %v", parts)
	}
	if err := os.WriteFile(parts[0], make([]byte, 30_000), 0o666); err != nil {
		t.Fatal(err)
	}
	b.Add("models", "org/big", files, hubtest.Faults{})
	c.Progress = nil
	p, err := c.Pull(t.Context(), "org/big:a.gguf")
	if err != nil || !bytes.Equal(mustRead(t, p.Path), files["a.gguf"]) {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestManyAtOnce: clients that fetch the same at once fetch it once.
func TestManyAtOnce(t *testing.T) {
	b := start(t)
	b.Add("models", "org/small", model(), hubtest.Faults{Slow: time.Millisecond})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := b.client(t).Model(t.Context(), "org/small"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got := map[string]int{}
	for _, q := range b.Requests() {
		if q.Store {
			got[q.Path]++
		}
	}
	for path, n := range got {
		if n != 1 {
			t.Errorf("%s was fetched %d times", path, n)
		}
	}
}

// TestInterruptedFolder: a folder whose weights were not fetched whole is not
// taken for a model; the next call fetches the rest.
func TestInterruptedFolder(t *testing.T) {
	b := start(t)
	files := model()
	delete(files, "model.safetensors")
	index, err := json.Marshal(map[string]any{"weight_map": map[string]string{"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}})
	if err != nil {
		t.Fatal(err)
	}
	files["model.safetensors.index.json"] = index
	files["model-00001-of-00002.safetensors"], files["model-00002-of-00002.safetensors"] = bytesOf(2000, 1), bytesOf(3000, 2)
	b.Add("models", "org/sharded", files, hubtest.Faults{})
	c := b.client(t)
	p, err := c.Pull(t.Context(), "org/sharded")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(p.Path, "model-00002-of-00002.safetensors")); err != nil {
		t.Fatal(err)
	}
	at, err := c.Model(t.Context(), "org/sharded")
	if err != nil || !bytes.Equal(mustRead(t, filepath.Join(at, "model-00002-of-00002.safetensors")), files["model-00002-of-00002.safetensors"]) {
		t.Errorf("%s, %v", at, err)
	}
}

func TestEndpointIsChecked(t *testing.T) {
	for _, bad := range []string{"huggingface.co", "ftp://x", "http://", "::"} {
		if _, err := hub.FromEnv(func(k string) string { return map[string]string{"HF_ENDPOINT": bad}[k] }); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// FuzzParse: what is accepted prints as a name that means the same, and its
// parts stay inside a folder.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"org/name", "org/name@v1:f.gguf", "datasets/o/n:a/b.json", "../x", "a/b:../c", "a//b", "C:/x/y", "a/b@x/../y", "o/n:a\\b", "o/n:\x00"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, model bool) {
		kind := hub.DatasetKind
		if model {
			kind = hub.ModelKind
		}
		n, ok, err := hub.Parse(s, kind)
		if !ok || err != nil {
			return
		}
		again, ok, err := hub.Parse(n.String(), kind)
		if !ok || err != nil || again != n {
			t.Errorf("%q: %+v, printed and read: %+v, %v, %v", s, n, again, ok, err)
		}
		for _, p := range []string{n.Repo, n.Revision, n.File} {
			if p != "" && !filepath.IsLocal(p) {
				t.Errorf("%q: %q leaves its folder", s, p)
			}
		}
	})
}
