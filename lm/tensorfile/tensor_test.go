package tensorfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// floatTypes lists every type that decodes to float32.
func floatTypes() []DType {
	var types []DType
	for d := F32; d <= TQ2_0; d++ {
		if d.IsFloat() {
			types = append(types, d)
		}
	}
	return types
}

// randomTensor fills a tensor with random bytes. Any bytes are a valid block;
// scales may be NaN, so results are compared by bits.
func randomTensor(t testing.TB, d DType, shape []int) *Tensor {
	t.Helper()
	tensor := &Tensor{Name: "t", DType: d, Shape: shape}
	size, err := d.Bytes(tensor.Elements())
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, uint64(d)))
	tensor.Raw = make([]byte, size)
	for i := range tensor.Raw {
		tensor.Raw[i] = byte(rng.Uint32())
	}
	return tensor
}

func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

func TestDecodeRows_gives_the_rows_of_Float32_in_any_cut(t *testing.T) {
	types := floatTypes()
	if len(types) < 17 {
		t.Fatalf("only %d types", len(types))
	}
	for _, d := range types {
		t.Run(d.String(), func(t *testing.T) {
			tensor := randomTensor(t, d, []int{5, 2, 256})
			all, err := tensor.Float32()
			if err != nil {
				t.Fatal(err)
			}
			for row := range 6 {
				for n := range 6 - row {
					dst := make([]float32, n*512)
					if err := tensor.DecodeRows(dst, row, n); err != nil {
						t.Fatal(err)
					}
					if !sameBits(dst, all[row*512:(row+n)*512]) {
						t.Errorf("rows %d to %d differ", row, row+n)
					}
				}
			}
		})
	}
}

func TestDecodeRows_does_not_allocate(t *testing.T) {
	for _, d := range floatTypes() {
		tensor := randomTensor(t, d, []int{2, 256})
		dst := make([]float32, 512)
		if n := testing.AllocsPerRun(10, func() {
			if err := tensor.DecodeRows(dst, 0, 2); err != nil {
				t.Error(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", d, n)
		}
	}
}

func TestTensor_refuses_what_does_not_fit(t *testing.T) {
	good := Tensor{Name: "w", DType: F32, Shape: []int{2, 3}, Raw: make([]byte, 24)}
	vector := Tensor{Name: "w", DType: Q8_0, Shape: []int{64}, Raw: make([]byte, 68)}
	short, ints, negative, huge := good, good, good, good
	short.Raw = short.Raw[:20]
	ints.DType, ints.Raw = I64, make([]byte, 48)
	negative.Shape = []int{-2, -3}
	huge.Shape = []int{1 << 40, 1 << 40}
	cases := map[string]struct {
		tensor Tensor
		dst    int
		row, n int
		want   string
	}{
		"a row before the first":   {good, 3, -1, 1, "rows -1 to 0"},
		"rows past the end":        {good, 6, 1, 2, "it has 2"},
		"a count that overflows":   {good, 6, 1, math.MaxInt, "it has 2"},
		"a negative count":         {good, 0, 1, -1, "it has 2"},
		"a slice too short":        {good, 5, 0, 2, "a slice of 5"},
		"a slice too long":         {good, 7, 0, 2, "a slice of 7"},
		"too few bytes":            {short, 6, 0, 2, "takes 24 bytes, there are 20"},
		"integers":                 {ints, 6, 0, 2, "holds I64"},
		"a negative shape":         {negative, 6, 0, 2, "negative dimension"},
		"a shape that overflows":   {huge, 6, 0, 2, "more elements than can be counted"},
		"a cut inside a block":     {vector, 16, 32, 16, "inside a block of 32"},
		"a beginning inside block": {vector, 32, 16, 32, "inside a block of 32"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := c.tensor.DecodeRows(make([]float32, c.dst), c.row, c.n)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "tensor w") {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	if err := vector.DecodeRows(make([]float32, 32), 32, 32); err != nil {
		t.Errorf("second block of a vector: %v", err)
	}
	scalar := Tensor{DType: F32, Raw: []byte{0, 0, 128, 63}}
	one := []float32{0}
	if err := scalar.DecodeRows(one, 0, 1); err != nil || one[0] != 1 {
		t.Errorf("scalar: %v, %v", one, err)
	}
}

func TestFloat32_shares_memory_exactly_if_Mapped(t *testing.T) {
	raw := make([]byte, 17)
	for offset := range 2 {
		tensor := Tensor{DType: F32, Shape: []int{4}, Raw: raw[offset : offset+16]}
		values, err := tensor.Float32()
		if err != nil {
			t.Fatal(err)
		}
		if got := tensor.Mapped(); got != (offset == 0 && hostIsLittleEndian()) {
			t.Errorf("offset %d: Mapped is %v", offset, got)
		}
		values[0] = 1 // heap memory here: may be written
		if shared := tensor.Raw[2] != 0; shared != tensor.Mapped() {
			t.Errorf("offset %d: shared is %v, Mapped says %v", offset, shared, tensor.Mapped())
		}
		clear(raw)
	}
	half := Tensor{DType: F16, Shape: []int{0, 3}}
	if values, err := half.Float32(); err != nil || len(values) != 0 || half.Mapped() {
		t.Errorf("empty tensor: %v, %v", values, err)
	}
}

func TestInt64_reads_every_integer_type(t *testing.T) {
	le := binary.LittleEndian
	minus2 := int64(-2)
	cases := map[DType]struct {
		raw  []byte
		want int64
	}{
		I64:  {le.AppendUint64(nil, uint64(minus2)), -2},
		I32:  {le.AppendUint32(nil, uint32(minus2&math.MaxUint32)), -2},
		I16:  {[]byte{0xfe, 0xff}, -2},
		I8:   {[]byte{0xfe}, -2},
		U64:  {le.AppendUint64(nil, 1<<40), 1 << 40},
		U32:  {[]byte{0xfe, 0xff, 0xff, 0xff}, 1<<32 - 2},
		U16:  {[]byte{0xfe, 0xff}, 1<<16 - 2},
		U8:   {[]byte{0xfe}, 254},
		BOOL: {[]byte{1}, 1},
	}
	for d, c := range cases {
		got, err := (&Tensor{DType: d, Shape: []int{1}, Raw: c.raw}).Int64()
		if err != nil || len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: %v (%v), want %d", d, got, err, c.want)
		}
	}
	large := Tensor{Name: "t", DType: U64, Shape: []int{1}, Raw: le.AppendUint64(nil, math.MaxUint64)}
	if _, err := large.Int64(); err == nil {
		t.Error("2^64-1 accepted as int64")
	}
	if _, err := randomTensor(t, F32, []int{1}).Int64(); err == nil {
		t.Error("F32 accepted as integers")
	}
}

func TestFirstNonFinite_finds_the_first(t *testing.T) {
	const n, bad = 100_000, 70_001
	for name, poison := range map[string]float32{
		"NaN": float32(math.NaN()), "infinity": float32(math.Inf(1)), "minus infinity": float32(math.Inf(-1)),
	} {
		var raw []byte
		for i := range n {
			v := float32(i)
			if i == bad || i == bad+100 {
				v = poison
			}
			raw = binary.LittleEndian.AppendUint16(raw, ToBF16(v))
		}
		tensor := Tensor{DType: BF16, Shape: []int{n}, Raw: raw}
		if i, found, err := tensor.FirstNonFinite(); i != bad || !found || err != nil {
			t.Errorf("%s: %d, %v, %v", name, i, found, err)
		}
		tensor.Shape, tensor.Raw = []int{bad}, raw[:2*bad]
		if _, found, err := tensor.FirstNonFinite(); found || err != nil {
			t.Errorf("before the %s: %v, %v", name, found, err)
		}
	}
	wide := Tensor{DType: F64, Shape: []int{1}, Raw: binary.LittleEndian.AppendUint64(nil, math.Float64bits(1e300))}
	if i, found, err := wide.FirstNonFinite(); i != 0 || !found || err != nil {
		t.Errorf("1e300 is infinite as float32: %d, %v, %v", i, found, err)
	}
	if _, found, err := randomTensor(t, I32, []int{9}).FirstNonFinite(); found || err != nil {
		t.Errorf("integers: %v, %v", found, err)
	}
}

func TestFormatError_names_everything_and_unwraps(t *testing.T) {
	cause := errors.New("cause")
	err := fmt.Errorf("load: %w", &FormatError{File: "a.gguf", Offset: 24, Field: `tensor "t"`, Err: cause})
	var format *FormatError
	if !errors.As(err, &format) || !errors.Is(err, cause) {
		t.Error("chain is broken")
	}
	if got, want := format.Error(), `a.gguf: tensor "t" (byte 24): cause`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	format = &FormatError{File: "a.gguf", Offset: -1, Err: cause}
	if got, want := format.Error(), "a.gguf: cause"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestDType_has_a_layout_for_every_type_and_for_no_other(t *testing.T) {
	seen := map[string]bool{}
	for d := F32; d <= TQ2_0; d++ {
		values, size := d.Block()
		if values == 0 || size == 0 || seen[d.String()] {
			t.Errorf("%s: block of %d values in %d bytes", d, values, size)
		}
		seen[d.String()] = true
	}
	for _, d := range []DType{0, TQ2_0 + 1, -1} {
		if _, err := d.Bytes(1); err == nil || d.IsFloat() {
			t.Errorf("%s accepted", d)
		}
	}
	for _, n := range []int{-1, 33, math.MaxInt - 31} {
		if size, err := Q4_0.Bytes(n); err == nil && n != math.MaxInt-31 {
			t.Errorf("%d elements of Q4_0: %d", n, size)
		}
	}
	if _, err := F64.Bytes(math.MaxInt / 4); err == nil {
		t.Error("more bytes than can be counted accepted")
	}
}

func BenchmarkDecodeRows(b *testing.B) {
	for _, d := range floatTypes() {
		b.Run(d.String(), func(b *testing.B) {
			tensor := randomTensor(b, d, []int{576, 1536})
			dst := make([]float32, tensor.Elements())
			b.SetBytes(int64(4 * len(dst)))
			for b.Loop() {
				if err := tensor.DecodeRows(dst, 0, 576); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func ExampleTensor_DecodeRows() {
	matrix := Tensor{Name: "w", DType: BF16, Shape: []int{2, 2}, Raw: []byte{
		0x80, 0x3f, 0x00, 0x40, // 1, 2
		0x40, 0x40, 0x80, 0xc0, // 3, -4
	}}
	row := make([]float32, matrix.RowElements())
	err := matrix.DecodeRows(row, 1, 1)
	fmt.Println(row, err)
	// Output: [3 -4] <nil>
}
