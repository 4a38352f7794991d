package checkpoints_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"keyhole.example/keyhole/checkpoints"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return b
}

func reopen(t testing.TB, dir string) *checkpoints.Store {
	t.Helper()
	s, err := checkpoints.Open(dir)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func newStore(t testing.TB) *checkpoints.Store {
	t.Helper()
	return reopen(t, filepath.Join(t.TempDir(), "run", "checkpoints"))
}

func manifest(step int) checkpoints.Manifest {
	return checkpoints.Manifest{
		Step: step, Config: "train:\n  steps: 5 # a <b> & c\n", ConfigHash: "cc", BaseModel: "bb",
		State:   json.RawMessage(`{"epoch":1,"next":7}`),
		Metrics: map[string]float64{"loss": 0.1, "accuracy": 1},
	}
}

// bytesOf writes n bytes that differ from step to step, in odd portions.
func bytesOf(step, n int) func(io.Writer) error {
	return func(w io.Writer) error {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i*7 + step)
		}
		for len(b) > 0 {
			k := min(len(b), 37)
			if _, err := w.Write(b[:k]); err != nil {
				return err
			}
			b = b[k:]
		}
		return nil
	}
}

func filesOf(step int) map[string]func(io.Writer) error {
	return map[string]func(io.Writer) error{"phi.safetensors": bytesOf(step, 4096), "adam.safetensors": bytesOf(step, 50)}
}

func save(t testing.TB, s *checkpoints.Store, step int) {
	t.Helper()
	must(t, s.Save(manifest(step), filesOf(step)))
}

func wantList(t *testing.T, s *checkpoints.Store, want ...string) {
	t.Helper()
	got, err := s.List()
	must(t, err)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("list %v, want %v", got, want)
	}
}

// snapshot maps every path below dir, but for the lock, to its content.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	got := map[string]string{}
	must(t, filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() && info.Name() != ".lock" {
			got[path] = string(read(t, path))
		}
		return err
	}))
	return got
}

func TestWhatIsSavedIsLoaded(t *testing.T) {
	s := newStore(t)
	save(t, s, 120)
	c, err := s.Load("last")
	must(t, err)
	want := manifest(120)
	want.Format, want.Files = checkpoints.FormatVersion, c.Files
	if !reflect.DeepEqual(c.Manifest, want) {
		t.Errorf("got  %+v\nwant %+v", c.Manifest, want)
	}
	if c.Name() != "step-000120" || len(c.Files) != 2 || c.Files[0].Name != "adam.safetensors" || c.Files[1].Size != 4096 {
		t.Errorf("%s: %+v", c.Name(), c.Files)
	}
	path, err := c.Path("phi.safetensors")
	must(t, err)
	var b strings.Builder
	must(t, bytesOf(120, 4096)(&b))
	if string(read(t, path)) != b.String() {
		t.Error("content differs")
	}
	if _, err := c.Path("manifest.json"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Path of a file that is not listed: %v", err)
	}
}

func TestEqualStateHasEqualBytes(t *testing.T) {
	a, b := newStore(t), newStore(t)
	save(t, a, 5)
	save(t, a, 120)
	save(t, b, 120)
	for _, name := range []string{"manifest.json", "phi.safetensors", "adam.safetensors"} {
		if string(read(t, filepath.Join(a.Dir(), "step-000120", name))) != string(read(t, filepath.Join(b.Dir(), "step-000120", name))) {
			t.Errorf("%s differs", name)
		}
	}
}

func TestReferences(t *testing.T) {
	s := newStore(t)
	for _, get := range []func() (string, error){s.Last, s.Best} {
		if _, err := get(); !errors.Is(err, checkpoints.ErrNone) {
			t.Errorf("empty store: %v", err)
		}
	}
	for _, ref := range []string{"", "last", "best", "7", "step-000007"} {
		if _, err := s.Load(ref); !errors.Is(err, checkpoints.ErrNone) || !strings.Contains(err.Error(), s.Dir()) {
			t.Errorf("empty store, %q: %v", ref, err)
		}
	}
	save(t, s, 1500000)
	save(t, s, 100)
	save(t, s, 120)
	wantList(t, s, "step-000100", "step-000120", "step-1500000")
	if _, err := s.Best(); !errors.Is(err, checkpoints.ErrNone) || !strings.Contains(err.Error(), "use step-1500000") {
		t.Errorf("no best yet: %v", err)
	}
	must(t, s.SetBest("100"))
	for ref, want := range map[string]int{"": 120, "last": 120, "best": 100, "120": 120, "step-000120": 120, "1500000": 1500000} {
		if c, err := s.Load(ref); err != nil || c.Step != want {
			t.Errorf("%q: %v", ref, err)
		}
	}
	for ref, want := range map[string]string{"step-12": "names no checkpoint", "../x": "names no checkpoint", "-1": "names no checkpoint", "13": "no step-000013; there are step-000100, step-000120"} {
		if _, err := s.Load(ref); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", ref, err)
		}
		if err := s.SetBest(ref); err == nil {
			t.Errorf("best is now %q", ref)
		}
	}
}

func TestSavingAStepAgainReplacesIt(t *testing.T) {
	s := newStore(t)
	save(t, s, 120)
	must(t, s.Save(manifest(120), map[string]func(io.Writer) error{"phi.safetensors": bytesOf(9, 10)}))
	c, err := s.Load("last")
	must(t, err)
	if len(c.Files) != 1 || c.Files[0].Size != 10 {
		t.Errorf("%+v", c.Files)
	}
	wantList(t, s, "step-000120")
}

func TestASaveThatFailsChangesNothing(t *testing.T) {
	full := errors.New("no space left on device")
	broken := filesOf(140)
	broken["phi.safetensors"] = func(w io.Writer) error { return errors.Join(bytesOf(1, 1000)(w), full) }
	bad := manifest(140)
	bad.Metrics["loss"] = math.NaN()
	wrong := manifest(140)
	wrong.State = json.RawMessage(`{`)
	for name, tc := range map[string]struct {
		m     checkpoints.Manifest
		files map[string]func(io.Writer) error
	}{
		"full disk":         {manifest(140), broken},
		"same step":         {manifest(120), broken},
		"NaN metric":        {bad, filesOf(140)},
		"state is not JSON": {wrong, filesOf(140)},
		"negative step":     {manifest(-1), filesOf(1)},
		"path as name":      {manifest(140), map[string]func(io.Writer) error{"../x": bytesOf(1, 1)}},
		"our own name":      {manifest(140), map[string]func(io.Writer) error{"manifest.json": bytesOf(1, 1)}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			save(t, s, 100)
			save(t, s, 120)
			before := snapshot(t, s.Dir())
			err := s.Save(tc.m, tc.files)
			if err == nil {
				t.Fatal("no error")
			}
			if strings.Contains(name, "disk") && (!errors.Is(err, full) || !strings.Contains(err.Error(), "phi.safetensors")) {
				t.Errorf("got %v", err)
			}
			if !reflect.DeepEqual(snapshot(t, s.Dir()), before) {
				t.Error("something changed")
			}
		})
	}
}

func TestPruneKeepsTheLatestBestAndLast(t *testing.T) {
	s := newStore(t)
	for _, step := range []int{20, 40, 60, 80, 100} {
		save(t, s, step)
	}
	save(t, s, 10) // as after going back: last is not the highest
	must(t, s.SetBest("step-000040"))
	if _, err := s.Prune(0); err == nil {
		t.Error("pruned all")
	}
	deleted, err := s.Prune(2)
	must(t, err)
	if want := []string{"step-000020", "step-000060"}; !reflect.DeepEqual(deleted, want) {
		t.Errorf("deleted %v, want %v", deleted, want)
	}
	wantList(t, s, "step-000010", "step-000040", "step-000080", "step-000100")
	if deleted, err := s.Prune(2); err != nil || len(deleted) != 0 {
		t.Errorf("again: %v, %v", deleted, err)
	}
}

func TestAFolderHasOneWriter(t *testing.T) {
	s := newStore(t)
	save(t, s, 1)
	_, err := checkpoints.Open(s.Dir())
	var used *checkpoints.InUseError
	if !errors.As(err, &used) || used.PID != os.Getpid() {
		t.Fatalf("got %v", err)
	}
	if want := fmt.Sprintf("in use by process %d", os.Getpid()); !strings.Contains(err.Error(), want) {
		t.Errorf("no %q in %q", want, err)
	}
	v, err := checkpoints.View(s.Dir())
	must(t, err)
	if _, err := v.Load("last"); err != nil {
		t.Errorf("view beside a writer: %v", err)
	}
	must(t, s.Close())
	must(t, s.Close())
	reopen(t, s.Dir())
}

func TestReadOnlyFolders(t *testing.T) {
	s := newStore(t)
	save(t, s, 120)
	must(t, s.Close())
	v, err := checkpoints.View(s.Dir())
	must(t, err)
	_, pruneErr := v.Prune(1)
	for _, err := range []error{v.Save(manifest(1), nil), v.SetBest("120"), pruneErr} {
		if err == nil || !strings.Contains(err.Error(), "viewing only") {
			t.Errorf("a view wrote: %v", err)
		}
	}
	must(t, v.Close())

	if os.Geteuid() <= 0 {
		t.Skip("it needs a user who may not write everywhere, as root may")
	}
	before := snapshot(t, s.Dir())
	must(t, os.Chmod(s.Dir(), 0o500))
	t.Cleanup(func() { must(t, os.Chmod(s.Dir(), 0o700)) })
	if _, err := checkpoints.Open(s.Dir()); !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), s.Dir()) {
		t.Errorf("open: %v", err)
	}
	if _, err := v.Load("last"); err != nil {
		t.Errorf("view: %v", err)
	}
	if !reflect.DeepEqual(snapshot(t, s.Dir()), before) {
		t.Error("something changed")
	}
}

func TestFoldersThatAreNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	must(t, os.WriteFile(file, nil, 0o600))
	for _, dir := range []string{file, file + "-missing"} {
		if _, err := checkpoints.View(dir); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("view %s: %v", dir, err)
		}
	}
	if _, err := checkpoints.Open(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("open: %v", err)
	}
}

func Example() {
	dir, err := os.MkdirTemp("", "run")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	s, err := checkpoints.Open(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	err = s.Save(checkpoints.Manifest{Step: 120}, map[string]func(io.Writer) error{
		"phi.safetensors": func(w io.Writer) error {
			_, err := io.WriteString(w, "tensors")
			return err
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := s.Load("last")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Name(), c.Files[0].Name, c.Files[0].Size)
	// Output: step-000120 phi.safetensors 7
}

func TestAFolderOfCheckpointsThatIsALinkIsRefused(t *testing.T) {
	elsewhere, dir := t.TempDir(), filepath.Join(t.TempDir(), "checkpoints")
	if err := os.Symlink(elsewhere, dir); err != nil {
		t.Skip("it needs symbolic links: ", err)
	}
	for name, open := range map[string]func(string) (*checkpoints.Store, error){"Open": checkpoints.Open, "View": checkpoints.View} {
		for _, dir := range []string{dir, dir + "/"} {
			if _, err := open(dir); err == nil || !strings.Contains(err.Error(), "symbolic link") {
				t.Errorf("%s %s: error %v", name, dir, err)
			}
		}
	}
	if list, err := os.ReadDir(elsewhere); err != nil || len(list) > 0 {
		t.Errorf("%v was written behind the link (%v)", list, err)
	}
}
