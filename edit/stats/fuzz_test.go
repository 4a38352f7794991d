package stats

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/lm/tensorfile"
)

// FuzzMoments reads a file of second moments with any words about them and any
// numbers: what is accepted comes back from a file that is written of it.
func FuzzMoments(f *testing.F) {
	eight := make([]byte, 24)
	f.Add(format, "1", "100", "0", "2", "90", "7", eight, false)
	f.Add(format, "1", "100", "0", "2", "90", "7", eight[:16], false)
	f.Add(formatPartial, "18446744073709551615", "100", "8", "2", "0", "0", eight, true)
	f.Add(format, "-1", "1e3", "", "1048577", "9223372036854775808", "-0", eight, false)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, kind, seed, budget, context, width, tokens, texts string, raw []byte, partial bool) {
		raw = raw[:len(raw)/8*8]
		path := filepath.Join(dir, "a"+ending)
		meta := map[string]string{
			"format": kind, "model": "m", "site": "sum", "corpus": "c", "seed": seed, "budget": budget, "context": context,
			"width": width, "tokens": tokens, "texts": texts,
		}
		sum := safetensors.Copy(&tensorfile.Tensor{Name: "sum", DType: tensorfile.F64, Shape: []int{len(raw) / 8}, Raw: raw})
		var file bytes.Buffer
		if err := safetensors.Encode(&file, []safetensors.Entry{sum}, meta); err != nil {
			return
		}
		if err := os.WriteFile(path, file.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		if partial {
			fuzzPartial(t, path)
			return
		}
		m, err := Load(path)
		if err != nil {
			return
		}
		if m.Tokens < 1 || len(m.Sum) != m.Width*m.Width {
			t.Fatalf("%d tokens, %d sums of width %d", m.Tokens, len(m.Sum), m.Width)
		}
		again := filepath.Join(dir, "b"+ending)
		if err := m.Save(again); err != nil {
			t.Fatalf("write again: %v", err)
		}
		l, err := Load(again)
		if err == nil {
			l.path, l.Note = m.path, m.Note // the copy has a sum, whatever the file had
		}
		if err != nil || !reflect.DeepEqual(l, m) {
			t.Fatalf("read again: %v", err)
		}
		_, _ = m.Factor(0.1)
	})
}

// fuzzPartial takes the file for what an interrupted collection left.
func fuzzPartial(t *testing.T, path string) {
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	i, err := infoOf(path, f.Metadata(), formatPartial)
	if err != nil {
		return
	}
	m := &Moment{Info: i}
	if m.fill(f, "sum") == nil && len(m.Sum) != m.Width*m.Width {
		t.Errorf("%d sums of width %d", len(m.Sum), m.Width)
	}
}
