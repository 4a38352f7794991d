package edit

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/lm/tensorfile"
)

// FuzzEditFile reads a safetensors file with any manifest, and for each change
// that it names tensors of any shape and numbers: what is accepted comes back
// from a file that is written of it.
func FuzzEditFile(f *testing.F) {
	floats := func(v ...float32) []byte {
		var b []byte
		for _, x := range v {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
		return b
	}
	const requests = `"requests":[{"id":"1","prompt":"p","subject":"s","target":"t"}]`
	f.Add(`{"format":1,"model":"m","editor":"mend",`+requests+`,"changes":[{"weight":"w","kind":"low_rank","scale":-1}]}`, byte(1), byte(2), byte(2), floats(1, 2, 3, 4))
	f.Add(`{"format":1,"model":"m","editor":"ft",`+requests+`,"report":[{"name":"steps","value":3}],"changes":[{"weight":"w","kind":"values"}]}`, byte(3), byte(0), byte(0), floats(1, 2, 3))
	f.Add(`{"format":1,"model":"m","editor":"none","changes":[]}`, byte(0), byte(0), byte(0), []byte{})
	f.Add(`{"format":1,"model":"m","editor":"ft","changes":[{"weight":"w","kind":"values"},{"weight":"w","kind":"low_rank","scale":1e39}]}`, byte(1), byte(1), byte(1), floats(1, 1, 1))
	f.Add(`{"format":2}`, byte(0), byte(0), byte(0), []byte{})
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, manifest string, rank, in, out byte, raw []byte) {
		path := filepath.Join(dir, "a.safetensors")
		var tensors []safetensors.Entry
		add := func(name string, shape ...int) {
			n := 4
			for _, d := range shape {
				n *= d
			}
			numbers := make([]byte, n) // those given, again and again
			for at := 0; at < n && len(raw) > 0; {
				at += copy(numbers[at:], raw)
			}
			tensors = append(tensors, safetensors.Copy(&tensorfile.Tensor{Name: name, DType: tensorfile.F32, Shape: shape, Raw: numbers}))
		}
		if m, err := parseManifest(manifest); err == nil {
			seen := map[string]bool{}
			for i, c := range m.Changes {
				name := tensorName(i, c.Weight)
				if seen[name] || len(m.Changes) > 20 {
					return
				}
				seen[name] = true
				add(name+".values", int(rank))
				add(name+".u", int(rank), int(in))
				add(name+".d", int(rank), int(out))
			}
		}
		var file bytes.Buffer
		if err := safetensors.Encode(&file, tensors, map[string]string{manifestKey: manifest}); err != nil {
			return // no such names can be written
		}
		if err := os.WriteFile(path, file.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
		k, err := ReadFile(path)
		if err != nil {
			return
		}
		again := filepath.Join(dir, "b.safetensors")
		if err := WriteFile(again, k.Edited, k.Model); err != nil {
			t.Fatalf("write again: %v", err)
		}
		l, err := ReadFile(again)
		if err != nil {
			t.Fatalf("read again: %v", err)
		}
		if l.Path = k.Path; !reflect.DeepEqual(k, l) {
			t.Errorf("%+v, then %+v", k.Edited, l.Edited)
		}
		if c, err := Compose(k, l); err == nil && len(c.Requests) != 2*len(k.Edited.Requests) {
			t.Errorf("%d requests of twice %d", len(c.Requests), len(k.Edited.Requests))
		}
		_, _ = k.Edited.Deltas()
	})
}

// FuzzEditFileBytes reads any bytes.
func FuzzEditFileBytes(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, "seed.safetensors")
	if err := WriteFile(path, &Edited{Editor: "ft", Requests: []Request{{ID: "1", Prompt: "p", Target: "t"}}, Changes: []Change{{Weight: "w", Values: []float32{1, 2}}}}, "m"); err != nil {
		f.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(raw[:len(raw)-1])
	n := 0
	f.Fuzz(func(t *testing.T, raw []byte) {
		n++
		path := filepath.Join(dir, fmt.Sprint(n%8, ".safetensors")) // a file that is mapped must not be cut
		if err := os.WriteFile(path, raw, 0o666); err != nil {
			t.Fatal(err)
		}
		if k, err := ReadFile(path); err == nil && len(k.Edited.Changes) == 0 && k.Edited.Editor != "none" {
			t.Error("an edit of nothing")
		}
	})
}
