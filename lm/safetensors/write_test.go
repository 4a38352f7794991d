package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/lm/tensorfile"
)

var _ tensorfile.File = (*File)(nil)

// written encodes entries and reads them back from memory.
func written(t testing.TB, entries []Entry, metadata map[string]string) (data []byte, h *header) {
	t.Helper()
	var b bytes.Buffer
	if err := Encode(&b, entries, metadata); err != nil {
		t.Fatal(err)
	}
	h, err := parse("f", b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), h
}

func TestWrite_and_Open_give_back_what_went_in(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.safetensors")
	metadata := map[string]string{"format": "pt", "note": "<ä & \"b\">\n"}
	entries := []Entry{
		Floats("matrix", []int{2, 3}, []float32{1, 2, 3, 4, 5, -6}, tensorfile.F32),
		Floats("half", []int{3}, []float32{0.5, -2, 1e-7}, tensorfile.F16),
		Floats("brain", []int{1, 2}, []float32{3, -1e30}, tensorfile.BF16),
		Ints("ints", []int{2}, []int64{-1, 1 << 62}),
		Doubles("double", []int{1, 2}, []float64{-1e300, 0.1}),
		Floats("scalar \"ü\"", nil, []float32{7}, tensorfile.F32),
		Floats("nothing", []int{0, 4}, nil, tensorfile.F32),
		Copy(&tensorfile.Tensor{Name: "flags", DType: tensorfile.BOOL, Shape: []int{3}, Raw: []byte{1, 0, 1}}),
	}
	if err := Write(path, entries, metadata); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if f.Path() != path || fmt.Sprint(f.Metadata()) != fmt.Sprint(metadata) {
		t.Errorf("path %s, metadata %v", f.Path(), f.Metadata())
	}
	order := []string{"double", "ints", "matrix", "nothing", "scalar \"ü\"", "brain", "half", "flags"}
	if !slices.Equal(f.Names(), order) {
		t.Errorf("names %q, want %q", f.Names(), order)
	}
	for name, want := range map[string]string{
		"matrix": "[2 3] F32 [1 2 3 4 5 -6]", "half": "[3] F16 [0.5 -2 1.1920929e-07]", "brain": "[1 2] BF16 [3 -1.00025555e+30]",
		"scalar \"ü\"": "[] F32 [7]", "nothing": "[0 4] F32 []",
	} {
		tensor, ok := f.Tensor(name)
		if !ok {
			t.Errorf("no %s", name)
			continue
		}
		values, err := tensor.Float32()
		if got := fmt.Sprint(tensor.Shape, " ", tensor.DType, " ", values); got != want || err != nil {
			t.Errorf("%s is %s (%v), want %s", name, got, err, want)
		}
		if tensor.DType == tensorfile.F32 && len(values) > 0 && binary.NativeEndian.Uint16([]byte{1, 0}) == 1 && !tensor.Mapped() {
			t.Errorf("%s is not aligned in the file", name)
		}
	}
	double, _ := f.Tensor("double")
	if got := double.Raw; double.DType != tensorfile.F64 || len(got) != 16 || math.Float64frombits(binary.LittleEndian.Uint64(got)) != -1e300 || math.Float64frombits(binary.LittleEndian.Uint64(got[8:])) != 0.1 {
		t.Errorf("double is %v %v", double.DType, got)
	}
	ints, _ := f.Tensor("ints")
	flags, _ := f.Tensor("flags")
	if got, err := ints.Int64(); err != nil || !slices.Equal(got, []int64{-1, 1 << 62}) {
		t.Errorf("ints %v (%v)", got, err)
	}
	if got, err := flags.Int64(); err != nil || !slices.Equal(got, []int64{1, 0, 1}) {
		t.Errorf("flags %v (%v)", got, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestEncode_gives_equal_bytes_for_equal_content(t *testing.T) {
	entries := []Entry{
		Floats("b", []int{1}, []float32{1}, tensorfile.F32), Floats("a", []int{1}, []float32{2}, tensorfile.F32),
		Floats("c", []int{1}, []float32{3}, tensorfile.F16), Ints("d", []int{1}, []int64{4}),
	}
	metadata := map[string]string{"z": "1", "y": "2", "x": "3"}
	first, _ := written(t, entries, metadata)
	slices.Reverse(entries)
	for range 5 {
		if again, _ := written(t, entries, metadata); !bytes.Equal(first, again) {
			t.Fatal("other bytes")
		}
	}
	const want = `{"__metadata__":{"x":"3","y":"2","z":"1"},` +
		`"d":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[1],"data_offsets":[8,12]},` +
		`"b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]},"c":{"dtype":"F16","shape":[1],"data_offsets":[16,18]}}`
	size := int(binary.LittleEndian.Uint64(first))
	if got := string(first[8 : 8+size]); strings.TrimRight(got, " ") != want || size%8 != 0 {
		t.Errorf("header of %d bytes\n%s, want\n%s", size, got, want)
	}
	if again, h := written(t, nil, nil); len(h.tensors) != 0 || string(again[8:]) != "{}      " {
		t.Errorf("empty file %q", again)
	}
}

func TestConvert_streams_rows_and_rounds_once(t *testing.T) {
	const rows, width = 700, 512 // several pieces, the last one shorter
	values := make([]float32, rows*width)
	for i := range values {
		values[i] = float32(math.Sin(float64(i)))
	}
	_, source := written(t, []Entry{Floats("w", []int{rows, width}, values, tensorfile.F32)}, nil)
	for dtype, round := range map[tensorfile.DType]func(float32) float32{
		tensorfile.F32:  func(v float32) float32 { return v },
		tensorfile.F16:  func(v float32) float32 { return tensorfile.FromF16(tensorfile.ToF16(v)) },
		tensorfile.BF16: func(v float32) float32 { return tensorfile.FromBF16(tensorfile.ToBF16(v)) },
	} {
		_, h := written(t, []Entry{Convert(source.tensors[0], dtype)}, nil)
		got, err := h.tensors[0].Float32()
		if err != nil || h.tensors[0].DType != dtype {
			t.Fatal(err)
		}
		for i, v := range values {
			if got[i] != round(v) {
				t.Fatalf("%s: element %d is %g, want %g", dtype, i, got[i], round(v))
			}
		}
	}
}

func TestConvert_dequantises(t *testing.T) {
	raw := slices.Repeat(append([]byte{0, 0x3c}, bytes.Repeat([]byte{0x19}, 16)...), 2) // Q4_0, scale 1
	quantised := &tensorfile.Tensor{Name: "w", DType: tensorfile.Q4_0, Shape: []int{2, 32}, Raw: raw}
	_, h := written(t, []Entry{Convert(quantised, tensorfile.F16)}, nil)
	got, err := h.tensors[0].Float32()
	want := slices.Repeat(append(slices.Repeat([]float32{1}, 16), slices.Repeat([]float32{-7}, 16)...), 2)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v (%v)", got, err)
	}
}

func TestNonFinite_values_pass_and_finite_ones_never_become_infinite(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, dtype := range []tensorfile.DType{tensorfile.F16, tensorfile.BF16} {
		_, h := written(t, []Entry{Floats("w", []int{3}, []float32{inf, -inf, float32(math.NaN())}, dtype)}, nil)
		got, err := h.tensors[0].Float32()
		if err != nil || got[0] != inf || got[1] != -inf || got[2] == got[2] {
			t.Errorf("%s: %v (%v)", dtype, got, err)
		}
		err = Encode(io.Discard, []Entry{Floats("w", []int{2}, []float32{1, math.MaxFloat32}, dtype)}, nil)
		if err == nil || !strings.Contains(err.Error(), `tensor "w"`) || !strings.Contains(err.Error(), "too large for "+dtype.String()) {
			t.Errorf("%s: %v", dtype, err)
		}
	}
}

func TestWrite_refuses_what_a_reader_could_not_take_and_leaves_the_old_file(t *testing.T) {
	boom := errors.New("boom")
	one := []float32{1}
	shape := []int{1}
	good := Floats("w", shape, one, tensorfile.F32)
	cases := map[string]struct {
		entries  []Entry
		metadata map[string]string
		want     string
	}{
		"a name twice":              {[]Entry{good, good}, nil, `tensor "w": the name stands there twice`},
		"the reserved name":         {[]Entry{Floats("__metadata__", shape, one, tensorfile.F32)}, nil, "reserved"},
		"a name that is not UTF-8":  {[]Entry{Floats("\xff", shape, one, tensorfile.F32)}, nil, "not UTF-8"},
		"metadata not UTF-8":        {[]Entry{good}, map[string]string{"k": "\xff"}, "not UTF-8"},
		"too few values":            {[]Entry{Floats("w", []int{2}, one, tensorfile.F32)}, nil, "wants 2 values, there are 1"},
		"too many integers":         {[]Entry{Ints("w", nil, []int64{1, 2})}, nil, "wants 1 values, there are 2"},
		"a negative shape":          {[]Entry{Floats("w", []int{-1, -1}, one, tensorfile.F32)}, nil, "negative dimension"},
		"floats as integers":        {[]Entry{Floats("w", shape, one, tensorfile.I64)}, nil, "not as I64"},
		"a quantised type":          {[]Entry{Floats("w", shape, one, tensorfile.Q8_0)}, nil, "no type Q8_0; write it as"},
		"bytes that miss the shape": {[]Entry{Copy(&tensorfile.Tensor{Name: "w", DType: tensorfile.U8, Shape: []int{3}, Raw: []byte{1}})}, nil, "1 bytes for the shape [3]"},
		"an entry of no kind":       {[]Entry{{}}, nil, "without content"},
		"values that fail to come": {[]Entry{Rows("w", shape, tensorfile.F32, func([]float32, int, int) error { return boom })},
			nil, `tensor "w": boom`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			err := Write(path, c.entries, c.metadata)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
				t.Errorf("the old file holds %q (%v)", got, err)
			}
		})
	}
}

func ExampleEncode() {
	err := Encode(printer{}, []Entry{Floats("w", []int{1, 2}, []float32{1, 2}, tensorfile.BF16)}, nil)
	fmt.Println(err)
	// Output:
	// "@\x00\x00\x00\x00\x00\x00\x00"
	// "{\"w\":{\"dtype\":\"BF16\",\"shape\":[1,2],\"data_offsets\":[0,4]}}       "
	// "\x80?\x00@"
	// <nil>
}

// printer shows what is written to it.
type printer struct{}

func (printer) Write(p []byte) (int, error) {
	fmt.Printf("%q\n", p)
	return len(p), nil
}
