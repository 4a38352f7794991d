package gguf

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/lm/tensorfile"
)

var _ tensorfile.File = (*File)(nil)

func TestOpen_reads_tensors_and_every_kind_of_value(t *testing.T) {
	for _, version := range []uint32{2, 3} {
		b := full()
		b.version = version
		path := filepath.Join(t.TempDir(), "f.gguf")
		if err := os.WriteFile(path, b.bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if f.Path() != path || f.Version() != int(version) || len(f.Keys()) != len(b.pairs) || f.Keys()[1] != "u8" {
			t.Errorf("path %s, version %d, keys %v", f.Path(), f.Version(), f.Keys())
		}
		for key, want := range map[string]any{
			"u8": uint8(200), "i8": int8(-100), "u16": uint16(60000), "i16": int16(-30000),
			"u32": uint32(4e9), "i32": int32(-1), "u64": uint64(1<<63 + 1), "i64": int64(-1),
			"f32": float32(0.1), "f64": 0.1, "bool": true, "text": "Grüße",
			"texts": []string{"", "a", "Ġb"}, "u8s": []uint8{1, 2}, "i8s": []int8{-1}, "u16s": []uint16{0x201},
			"i16s": []int16{-1}, "u32s": []uint32{7}, "i32s": []int32{-1, 3}, "u64s": []uint64{1 << 63},
			"i64s": []int64{5}, "f32s": []float32{0.5, -1.25}, "f64s": []float64{0.1},
			"bools": []bool{true, false}, "none": []string{}, "nested": []any{[]uint8{1, 2}, []string{"x"}},
		} {
			if got, ok := f.Value(key); !ok || !reflect.DeepEqual(got, want) {
				t.Errorf("%s is %v (%T), want %v (%T)", key, got, got, want, want)
			}
		}
		if names := f.Names(); !slices.Equal(names, []string{"matrix", "blocks", "ints", "nothing", "scalar"}) {
			t.Errorf("names %v", names)
		}
		wantFloats(t, f, "matrix", []int{2, 3}, []float32{1, 2, 3, 4, 5, 6})
		wantFloats(t, f, "blocks", []int{32}, slices.Repeat([]float32{-8}, 32))
		wantFloats(t, f, "nothing", []int{0}, []float32{})
		wantFloats(t, f, "scalar", []int{}, []float32{-2})
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func wantFloats(t *testing.T, f *File, name string, shape []int, want []float32) {
	t.Helper()
	tensor, ok := f.Tensor(name)
	if !ok {
		t.Errorf("no tensor %s", name)
		return
	}
	got, err := tensor.Float32()
	if err != nil || !slices.Equal(got, want) || !slices.Equal(tensor.Shape, shape) {
		t.Errorf("%s is %v %v (%v), want %v %v", name, tensor.Shape, got, err, shape, want)
	}
}

func TestOpen_of_what_is_no_file_gives_the_system_error(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "absent.gguf")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestTyped_questions(t *testing.T) {
	f, err := parse("f.gguf", full().bytes())
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]int{"u8": 200, "i8": -100, "u16": 60000, "i16": -30000, "i32": -1, "i64": -1} {
		if got, err := f.Int(key); err != nil || got != want {
			t.Errorf("%s is %d (%v), want %d", key, got, err, want)
		}
	}
	for key, want := range map[string][]int{"u8s": {1, 2}, "i8s": {-1}, "u16s": {0x201}, "i16s": {-1}, "u32s": {7}, "i32s": {-1, 3}, "i64s": {5}} {
		if got, err := f.Ints(key); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s is %d (%v), want %d", key, got, err, want)
		}
	}
	text, errText := f.Text("text")
	texts, errTexts := f.Strings("texts")
	truth, errTruth := f.Bool("bool")
	single, errSingle := f.Float("f32")
	double, errDouble := f.Float("f64")
	singles, errSingles := f.Floats("f32s")
	doubles, errDoubles := f.Floats("f64s")
	if err := errors.Join(errText, errTexts, errTruth, errSingle, errDouble, errSingles, errDoubles); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintln(text, texts, truth, float32(single), double, singles, doubles, f.Has("text"), f.Has("absent"))
	if want := "Grüße [ a Ġb] true 0.1 0.1 [0.5 -1.25] [0.1] true false\n"; got != want {
		t.Errorf("%s, want %s", got, want)
	}

	ask := map[string]func(string) error{
		"Text":    func(key string) error { _, err := f.Text(key); return err },
		"Strings": func(key string) error { _, err := f.Strings(key); return err },
		"Bool":    func(key string) error { _, err := f.Bool(key); return err },
		"Int":     func(key string) error { _, err := f.Int(key); return err },
		"Ints":    func(key string) error { _, err := f.Ints(key); return err },
		"Float":   func(key string) error { _, err := f.Float(key); return err },
		"Floats":  func(key string) error { _, err := f.Floats(key); return err },
	}
	for name, question := range ask {
		if err := question("absent"); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), `f.gguf: metadata "absent"`) {
			t.Errorf("%s of an absent key: %v", name, err)
		}
		for _, key := range []string{"nested", "u64", "u64s"} { // none fits any question; u64 is above int
			if err := question(key); err == nil || errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), key) {
				t.Errorf("%s of %s: %v", name, key, err)
			}
		}
	}
}

func TestParse_refuses_broken_files(t *testing.T) {
	f32, q4 := uint32(0), uint32(2)
	values := make([]byte, 128)
	cases := map[string]struct {
		file *builder
		want string
	}{
		"version 1":                 {&builder{version: 1}, "version 1 is unknown"},
		"a big-endian file":         {&builder{version: 3 << 24}, "big-endian"},
		"an unknown value":          {new(builder).pair("k", 13, nil), "unknown value kind 13"},
		"an array of unknown kind":  {new(builder).pair("k", kindArray, listOf(99, 0)), "array of unknown value kind 99"},
		"a truth value of 2":        {new(builder).pair("k", kindBool, []byte{2}), "no truth value"},
		"a key twice":               {new(builder).pair("k", kindU8, []byte{1}).pair("k", kindU8, []byte{1}), "twice"},
		"a key that is not UTF-8":   {new(builder).pair("\xff", kindU8, []byte{1}), "not UTF-8"},
		"a key too long":            {new(builder).pair(strings.Repeat("k", 1<<16), kindU8, []byte{1}), "more than 65535"},
		"a long string":             {new(builder).pair("k", kindString, u64(1<<62)), "ends too early"},
		"a long array":              {new(builder).pair("k", kindArray, join(u32(uint32(kindF64)), u64(1<<61))), "ends too early"},
		"a long string in an array": {new(builder).pair("k", kindArray, listOf(kindString, 1, u64(1<<63))), "ends too early"},
		"alignment as a string":     {new(builder).pair("general.alignment", kindString, text("32")), "power of two"},
		"alignment 48":              {new(builder).pair("general.alignment", kindU32, u32(48)), "power of two"},
		"rank 5":                    {new(builder).tensor("t", f32, values, 2, 2, 2, 2, 2), "at most 4"},
		"an unknown type":           {new(builder).tensor("t", 99, values, 8), "unknown tensor type 99"},
		"a type we don't decode":    {new(builder).tensor("t", 16, values, 256), "IQ2_XXS is not supported; convert"},
		"a type that was removed":   {new(builder).tensor("t", 4, values, 32), "unknown tensor type 4"},
		"a broken row":              {new(builder).tensor("t", q4, values, 48, 2), "whose blocks hold 32"},
		"a dimension above int":     {new(builder).tensor("t", f32, values, 1<<63), "more than can be counted"},
		"a product above int":       {new(builder).tensor("t", f32, values, 0, 1<<40, 1<<40), "more elements"},
		"a name twice":              {new(builder).tensor("t", f32, values, 32).tensor("t", f32, values, 32), "twice"},
		"an odd offset":             {new(builder).info("t", f32, 8, 8), "no multiple of the alignment 32"},
		"an offset past the end":    {new(builder).info("t", f32, 32, 1), "ends too early"},
		"an offset that wraps":      {new(builder).info("t", f32, math.MaxUint64-31, 8), "ends too early"},
		"an overlap":                {new(builder).info("b", f32, 32, 8).tensor("a", f32, values, 32), `overlap those of tensor "a"`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := parse("dir/f.gguf", c.file.bytes())
			var format *tensorfile.FormatError
			if !errors.As(err, &format) || format.File != "dir/f.gguf" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestParse_refuses_a_file_cut_anywhere(t *testing.T) {
	whole := full().bytes()
	if _, err := parse("f", whole); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, err := parse("f", whole[:n]); err == nil {
			t.Errorf("the first %d of %d bytes load", n, len(whole))
		}
	}
}

func TestParse_bounds_the_depth_of_arrays(t *testing.T) {
	nested := func(depth int) []byte {
		value := listOf(kindU8, 0)
		for range depth - 1 {
			value = listOf(kindArray, 1, value)
		}
		return new(builder).pair("k", kindArray, value).bytes()
	}
	if _, err := parse("f", nested(maxDepth)); err != nil {
		t.Error(err)
	}
	if _, err := parse("f", nested(maxDepth+1)); err == nil || !strings.Contains(err.Error(), "deep") {
		t.Errorf("one more: %v", err)
	}
}
