package tensorboard_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"keyhole.example/keyhole/train/tensorboard"
)

// crc32c is written bit by bit from the definition of the polynomial, so that it
// shares nothing with the writer. It is checked against a known value below.
func crc32c(data []byte) uint32 {
	crc := ^uint32(0)
	for _, b := range data {
		crc ^= uint32(b)
		for range 8 {
			low := crc & 1
			crc >>= 1
			if low == 1 {
				crc ^= 0x82f63b78
			}
		}
	}
	return ^crc
}

func unmask(sum uint32) uint32 {
	r := sum - 0xa282ead8
	return r>>17 | r<<15
}

// records splits a file into records and checks both checksums of each. It stops
// at a record that is cut off, as TensorBoard does.
func records(t *testing.T, path string) [][]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var list [][]byte
	for len(b) >= 12 {
		n := binary.LittleEndian.Uint64(b)
		if unmask(binary.LittleEndian.Uint32(b[8:])) != crc32c(b[:8]) {
			t.Fatalf("record %d: checksum of the length", len(list))
		}
		if n > uint64(len(b)-12) || uint64(len(b)-12)-n < 4 {
			break
		}
		data := b[12 : 12+n]
		if unmask(binary.LittleEndian.Uint32(b[12+n:])) != crc32c(data) {
			t.Fatalf("record %d: checksum of the data", len(list))
		}
		list = append(list, data)
		b = b[16+n:]
	}
	return list
}

// fields splits a message into its fields: number → values, a varint or fixed
// number as uint64, bytes as []byte.
func fields(t *testing.T, b []byte) map[uint64][]any {
	t.Helper()
	got := map[uint64][]any{}
	varint := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			t.Fatal("bad varint")
		}
		b = b[n:]
		return v
	}
	for len(b) > 0 {
		key := varint()
		var v any
		switch key & 7 {
		case 0:
			v = varint()
		case 1:
			v, b = binary.LittleEndian.Uint64(b), b[8:]
		case 2:
			n := varint()
			v, b = b[:n], b[n:]
		case 5:
			v, b = uint64(binary.LittleEndian.Uint32(b)), b[4:]
		default:
			t.Fatalf("wire type %d", key&7)
		}
		got[key>>3] = append(got[key>>3], v)
	}
	return got
}

// describe renders the events of a file, one line each.
func describe(t *testing.T, path string) []string {
	t.Helper()
	var lines []string
	for _, rec := range records(t, path) {
		f := fields(t, rec)
		line := fmt.Sprintf("t=%g", math.Float64frombits(f[1][0].(uint64)))
		if v, ok := f[2]; ok {
			line += fmt.Sprintf(" step=%d", v[0])
		}
		if v, ok := f[3]; ok {
			line += fmt.Sprintf(" version=%s", v[0])
		}
		for _, s := range f[5] {
			for _, v := range fields(t, s.([]byte))[1] {
				value := fields(t, v.([]byte))
				line += fmt.Sprintf(" %s=%g", value[1][0], math.Float32frombits(uint32(value[2][0].(uint64))))
			}
		}
		if v, ok := f[7]; ok {
			line += fmt.Sprintf(" session=%d", fields(t, v[0].([]byte))[1][0])
		}
		lines = append(lines, line)
	}
	return lines
}

// clock gives start, then half a second more at each call.
func clock(start int64) func() time.Time {
	now := time.Unix(start, 0)
	return func() time.Time {
		t := now
		now = now.Add(500 * time.Millisecond)
		return t
	}
}

func create(t *testing.T, dir string, first int64, now func() time.Time) *tensorboard.Writer {
	t.Helper()
	w, err := tensorboard.Create(dir, first, now)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func record(t *testing.T, w *tensorboard.Writer) {
	t.Helper()
	for step := range int64(2) {
		if err := w.Scalars(step+1, map[string]float64{"train/loss": 0.5 * float64(step), "edits_per_second": 20}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Scalar("nan", 1<<40, math.NaN()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, path string, lines ...string) {
	t.Helper()
	if got := describe(t, path); strings.Join(got, "\n") != strings.Join(lines, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(lines, "\n"))
	}
}

func TestTheTestsOwnChecksumIsRight(t *testing.T) {
	if got := crc32c([]byte("123456789")); got != 0xe3069283 { // the check value of CRC-32C
		t.Fatalf("%08x", got)
	}
}

func TestScalarsAreReadBack(t *testing.T) {
	w := create(t, filepath.Join(t.TempDir(), "run", "tb"), 0, clock(1000))
	record(t, w)
	want(t, w.Name(),
		"t=1000.5 version=brain.Event:2",
		"t=1001 step=1 edits_per_second=20 train/loss=0",
		"t=1001.5 step=2 edits_per_second=20 train/loss=0.5",
		"t=1002 step=1099511627776 nan=NaN",
	)
}

func TestSameClockSameBytes(t *testing.T) {
	var files [2]string
	var names [2]string
	for i := range files {
		w := create(t, t.TempDir(), 0, clock(1000))
		record(t, w)
		b, err := os.ReadFile(w.Name())
		if err != nil {
			t.Fatal(err)
		}
		files[i], names[i] = string(b), filepath.Base(w.Name())
	}
	if files[0] != files[1] || names[0] != names[1] {
		t.Errorf("differ: %q", names)
	}
}

func TestResumingBeginsALaterFileThatPurges(t *testing.T) {
	dir := t.TempDir()
	var written []string
	for i, start := range []int64{2000, 2000, 1500, 3000} { // again in the same second; a clock that went back
		w := create(t, dir, int64(i)*100, clock(start))
		if err := w.Scalar("loss", int64(i)*100+1, 1); err != nil {
			t.Fatal(err)
		}
		if i == 0 { // a kill in the middle of a record
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(w.Name())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(w.Name(), info.Size()-3); err != nil {
				t.Fatal(err)
			}
		} else if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		written = append(written, w.Name())
	}
	if !sort.StringsAreSorted(written) {
		t.Errorf("names are not in the order of writing: %q", written)
	}
	want(t, written[0], "t=2000.5 version=brain.Event:2")
	want(t, written[1], "t=2000.5 version=brain.Event:2", "t=2001 step=100 session=1", "t=2001.5 step=101 loss=1")
	want(t, written[2], "t=1500.5 version=brain.Event:2", "t=1501 step=200 session=1", "t=1501.5 step=201 loss=1")
}

func TestBadArgumentsAndPlaces(t *testing.T) {
	dir := t.TempDir()
	if _, err := tensorboard.Create(dir, -1, time.Now); err == nil {
		t.Error("negative first step")
	}
	file := filepath.Join(dir, "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tensorboard.Create(file, 0, time.Now); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file for a folder: %v", err)
	}
	w := create(t, dir, 0, time.Now)
	for name, err := range map[string]error{
		"negative step": w.Scalar("a", -1, 0), "empty tag": w.Scalar("", 1, 0), "tag not UTF-8": w.Scalar("\xff", 1, 0),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := describe(t, w.Name()); len(got) != 1 {
		t.Errorf("refused events were written: %q", got)
	}
	if err := w.Scalar("a", 1, 0); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err == nil || !strings.Contains(err.Error(), w.Name()) {
		t.Errorf("write after close: %v", err)
	}
}

// Example is a run that is stopped after step 1 and resumed.
func Example() {
	dir, err := os.MkdirTemp("", "tb")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	for first := range int64(2) {
		w, err := tensorboard.Create(dir, first*2, time.Now)
		if err != nil {
			fmt.Println(err)
			return
		}
		err = w.Scalar("train/loss", first*2+1, 0.5)
		if closeErr := w.Close(); err != nil || closeErr != nil {
			fmt.Println(err, closeErr)
			return
		}
	}
	files, _ := os.ReadDir(dir)
	fmt.Println(len(files), "event files")
	// Output: 2 event files
}
