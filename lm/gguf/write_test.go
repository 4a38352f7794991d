package gguf

import (
	"bytes"
	"reflect"
	"testing"

	"keyhole.example/keyhole/lm/tensorfile"
)

// TestWrite_writes_every_kind_of_value reads back what it wrote.
func TestWrite_writes_every_kind_of_value(t *testing.T) {
	like := &File{values: map[string]any{
		"a": uint8(1), "b": int8(-1), "c": uint16(2), "d": int16(-2), "e": uint32(3), "f": int32(-3), "g": float32(0.5), "h": true,
		"i": "text ▁", "j": uint64(1 << 40), "k": int64(-1 << 40), "l": 0.25, "m": []string{"x", "", "ÿ"}, "n": []float32{1, 2},
		"o": []any{[]int32{1}, []int32{}}, "p": []bool{true, false}, "general.alignment": uint32(64),
	}}
	for key := range like.values {
		like.keys = append(like.keys, key)
	}
	first := &tensorfile.Tensor{Name: "first", DType: tensorfile.F32, Shape: []int{1, 3}, Raw: []byte("123456789012")}
	second := &tensorfile.Tensor{Name: "second", DType: tensorfile.F16, Shape: []int{2}, Raw: []byte("1234")}
	var out bytes.Buffer
	if err := Write(&out, like, []Entry{Copy(first), Copy(second)}); err != nil {
		t.Fatal(err)
	}
	f, err := parse("f", out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(f.Keys(), like.keys) || !reflect.DeepEqual(f.values, like.values) {
		t.Errorf("read back %v", f.values)
	}
	for _, want := range []*tensorfile.Tensor{first, second} {
		if got, ok := f.Tensor(want.Name); !ok || !bytes.Equal(got.Raw, want.Raw) || !reflect.DeepEqual(got.Shape, want.Shape) || got.DType != want.DType {
			t.Errorf("%s: %v", want.Name, got)
		}
	}
	short := Copy(second)
	short.Shape = []int{5}
	if err := Write(&out, like, []Entry{short}); err == nil {
		t.Error("a tensor of too few bytes was written")
	}
	if err := Write(&out, &File{keys: []string{"x"}, values: map[string]any{"x": struct{}{}}}, nil); err == nil {
		t.Error("a value of no kind was written")
	}
}
