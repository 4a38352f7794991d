package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// failingDisk stands for a file on a disk that is full after room bytes, or
// whose fsync or close fails.
type failingDisk struct {
	file
	room              int
	syncErr, closeErr error
}

func (d *failingDisk) Write(p []byte) (int, error) {
	if len(p) > d.room {
		n, _ := d.file.Write(p[:d.room])
		d.room -= n
		return n, syscall.ENOSPC
	}
	d.room -= len(p)
	return d.file.Write(p)
}

func (d *failingDisk) Sync() error { return errors.Join(d.file.Sync(), d.syncErr) }

func (d *failingDisk) Close() error { return errors.Join(d.file.Close(), d.closeErr) }

// on opens real files wrapped by the failing disk d.
func on(d *failingDisk) func(string) (file, error) {
	return func(path string) (file, error) {
		f, err := create(path)
		d.file = f
		return d, err
	}
}

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// wantFolder compares the names and contents of dir (files only) with want.
func wantFolder(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(want) {
		t.Errorf("%d entries in %s, want %d: %v", len(entries), dir, len(want), entries)
	}
	for name, content := range want {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != content {
			t.Errorf("%s holds %q (%v), want %q", name, got, err, content)
		}
	}
}

func TestWrite_creates_and_replaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, content := range []string{"one", "two", strings.Repeat("long ", 50000)} {
		if err := Write(path, text(content)); err != nil {
			t.Fatal(err)
		}
		wantFolder(t, dir, map[string]string{"f": content})
	}
}

func TestWrite_keeps_the_permissions_of_the_file_it_replaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	before, _ := os.Stat(path)
	if err := Write(path, text("x")); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(path)
	if err != nil || after.Mode() != before.Mode() {
		t.Errorf("mode %v (%v), was %v", after.Mode(), err, before.Mode())
	}
}

func TestWrite_that_fails_leaves_the_old_file_and_nothing_else(t *testing.T) {
	boom := errors.New("boom")
	half := func(w io.Writer) error { return errors.Join(text("new, but only ha")(w), boom) }
	cases := map[string]struct {
		disk failingDisk
		fill func(io.Writer) error
		want error
	}{
		"interrupted by its own fill": {failingDisk{room: 1 << 20}, half, boom},
		"disk full at once":           {failingDisk{}, text("new"), syscall.ENOSPC},
		"disk full in the middle":     {failingDisk{room: 70000}, text(strings.Repeat("new ", 50000)), syscall.ENOSPC},
		"fsync fails":                 {failingDisk{room: 1 << 20, syncErr: syscall.EIO}, text("new"), syscall.EIO},
		"close fails":                 {failingDisk{room: 1 << 20, closeErr: syscall.EIO}, text("new"), syscall.EIO},
	}
	for name, c := range cases {
		for _, old := range []map[string]string{{}, {"f": "old"}} {
			t.Run(fmt.Sprintf("%s with %d old files", name, len(old)), func(t *testing.T) {
				dir := t.TempDir()
				for name, content := range old {
					if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				disk := c.disk
				err := write(filepath.Join(dir, "f"), on(&disk), c.fill)
				if !errors.Is(err, c.want) {
					t.Errorf("error %v, want %v", err, c.want)
				}
				wantFolder(t, dir, old)
			})
		}
	}
}

func TestWrite_into_a_folder_without_permission_says_so(t *testing.T) {
	refuse := func(path string) (file, error) {
		return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.EROFS}
	}
	err := write("models/f", refuse, text("x"))
	if !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "nothing can be created in folder models") {
		t.Errorf("read-only file system: %v", err)
	}

	if os.Geteuid() <= 0 {
		t.Skip("the system lets this user write everywhere, or has no such permissions")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	err = Write(filepath.Join(dir, "f"), text("x"))
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), dir) {
		t.Errorf("read-only folder: %v", err)
	}
	wantFolder(t, dir, nil)
}

func TestWrite_refuses_what_is_no_file_name(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{"", dir, dir + string(filepath.Separator)} {
		if err := Write(path, text("x")); err == nil {
			t.Errorf("wrote to %q", path)
		}
	}
	if err := Write(filepath.Join(dir, "absent", "f"), text("x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent folder: %v", err)
	}
}

// TestWritesSweepWhatKilledWritersLeft has another write under way, what killed
// ones left, and files of others whose names are nearly alike.
func TestWritesSweepWhatKilledWritersLeft(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	touch := func(name string) error { return os.WriteFile(name, nil, 0o600) }
	var left []string
	var held []io.Closer
	for range 2 {
		name, h, err := claim(path, touch)
		if err != nil || h == nil {
			t.Fatalf("held by %v: %v", h, err)
		}
		left, held = append(left, name), append(held, h)
	}
	if left[0] == left[1] || !IsTemporary(left[0]) || IsTemporary(path) {
		t.Errorf("temporary names %q", left)
	}
	others := []string{".f.unfinished-x", "f.unfinished-1-2", ".f.unfinished-1-2.txt", ".unfinished-1-2"}
	for _, name := range append(others, ".f.unfinished-99999-0", ".other.unfinished-1-7") {
		if err := touch(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, ".d.unfinished-3-0", "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, ".l.unfinished-3-0")); err != nil {
		t.Fatal(err)
	}
	if err := held[1].Close(); err != nil { // its writer is gone
		t.Fatal(err)
	}
	if err := Write(path, text("x")); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := append(others, "f", filepath.Base(left[0]), ".l.unfinished-3-0")
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("there are %q, want %q", names, want)
	}
	if err := held[0].Close(); err != nil {
		t.Fatal(err)
	}
	if err := WriteDir(filepath.Join(dir, "folder"), func(string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(left[0]); err == nil {
		t.Errorf("%s stays though its writer is gone", left[0])
	}
}

func TestMakeDirForgetsWhatItMade(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b", "c")
	forget, err := MakeDir(deep)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a", "kept"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	forget()
	if _, err := os.Stat(filepath.Join(dir, "a", "b")); err == nil {
		t.Error("an empty folder stays")
	}
	if _, err := os.Stat(filepath.Join(dir, "a", "kept")); err != nil {
		t.Error(err)
	}
}

// twoFiles builds a folder with a file and a file in a subfolder.
func twoFiles(content string) func(string) error {
	return func(dir string) error {
		if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
			return err
		}
		return errors.Join(
			os.WriteFile(filepath.Join(dir, "a"), []byte(content), 0o400),
			os.WriteFile(filepath.Join(dir, "sub", "b"), []byte(content), 0o600))
	}
}

func wantTwoFiles(t *testing.T, dir, content string) {
	t.Helper()
	for _, name := range []string{"a", filepath.Join("sub", "b")} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != content {
			t.Errorf("%s holds %q (%v), want %q", name, got, err, content)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(dir))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the folder: %v (%v)", entries, err)
	}
}

func TestWriteDir_creates_a_folder_and_refuses_to_touch_one(t *testing.T) {
	path := filepath.Join(t.TempDir(), "step-1")
	if err := os.Mkdir(path, 0o700); err != nil { // empty: as good as free
		t.Fatal(err)
	}
	if err := WriteDir(path+string(filepath.Separator), twoFiles("one")); err != nil {
		t.Fatal(err)
	}
	wantTwoFiles(t, path, "one")
	built := false
	err := WriteDir(path, func(string) error { built = true; return nil })
	if !errors.Is(err, fs.ErrExist) || built {
		t.Errorf("second WriteDir: %v, built %v", err, built)
	}
	wantTwoFiles(t, path, "one")
}

func TestReplaceDir_takes_the_place_of_the_old_folder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "step-1")
	for _, content := range []string{"one", "two", "three"} {
		if err := ReplaceDir(path, twoFiles(content)); err != nil {
			t.Fatal(err)
		}
		wantTwoFiles(t, path, content)
	}
}

func TestReplaceDir_works_where_names_cannot_be_exchanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "step-1")
	for _, content := range []string{"one", "two"} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := writeDir(path, twoFiles(content), moveAside); err != nil {
			t.Fatal(err)
		}
		wantTwoFiles(t, path, content)
	}
}

func TestFolders_that_fail_leave_everything_as_it_was(t *testing.T) {
	boom := errors.New("boom")
	half := func(dir string) error { return errors.Join(os.WriteFile(filepath.Join(dir, "a"), nil, 0o600), boom) }
	dir := t.TempDir()
	path := filepath.Join(dir, "step-1")
	if err := WriteDir(path, half); !errors.Is(err, boom) {
		t.Error(err)
	}
	wantFolder(t, dir, nil)
	if err := WriteDir(path, twoFiles("one")); err != nil {
		t.Fatal(err)
	}
	if err := ReplaceDir(path, half); !errors.Is(err, boom) {
		t.Error(err)
	}
	wantTwoFiles(t, path, "one")
	if err := ReplaceDir(filepath.Join(path, "a"), twoFiles("x")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file in the way: %v", err)
	}
	wantTwoFiles(t, path, "one")
}

func ExampleWrite() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "notes.txt")
	err = Write(path, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, "all or nothing")
		return err
	})
	content, _ := os.ReadFile(path)
	fmt.Printf("%v %s", err, content)
	// Output: <nil> all or nothing
}
