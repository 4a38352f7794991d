package torchfile

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyhole.example/keyhole/lm/tensorfile"
)

// pickle writes the state dict that torch.save writes for one tensor of four
// floats; the parts stand apart so that tests can break them.
type pickle struct{ rebuild, class, shape, strides, offset string }

func sound() pickle {
	return pickle{
		rebuild: "ctorch._utils\n_rebuild_tensor_v2\n", class: "ctorch\nFloatStorage\n",
		shape: "K\x02K\x02\x86", strides: "K\x02K\x01\x86", offset: "K\x00",
	}
}

func (p pickle) code() string {
	return "\x80\x02}q\x00X\x01\x00\x00\x00w" + p.rebuild + "((X\x07\x00\x00\x00storage" + p.class +
		"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ" + p.offset + p.shape + p.strides + "\x89ccollections\nOrderedDict\n)RtRs."
}

// archive writes a file with the pickle and a storage of the numbers 1 to 4.
func archive(code string, more map[string]string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	var floats []byte
	for _, bits := range []uint32{0x3f800000, 0x40000000, 0x40400000, 0x40800000} {
		floats = binary.LittleEndian.AppendUint32(floats, bits)
	}
	files := map[string]string{"data.pkl": code, "data/0": string(floats)}
	for name, content := range more {
		files[name] = content
	}
	for name, content := range files {
		w, err := z.CreateHeader(&zip.FileHeader{Name: "archive/" + name, Method: zip.Store})
		if err != nil {
			panic(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			panic(err)
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func TestParse_reads_tensors(t *testing.T) {
	transposed, offset := sound(), sound()
	transposed.strides = "K\x01K\x02\x86"
	offset.shape, offset.strides, offset.offset = "K\x02\x85", "K\x01\x85", "K\x02"
	for name, c := range map[string]struct {
		p    pickle
		want []float32
	}{
		"plain":      {sound(), []float32{1, 2, 3, 4}},
		"transposed": {transposed, []float32{1, 3, 2, 4}},
		"a piece":    {offset, []float32{3, 4}},
	} {
		ts, err := parse("f", archive(c.p.code(), nil))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := ts[0].Float32()
		if err != nil || len(ts) != 1 || ts[0].Name != "w" {
			t.Fatalf("%s: %v, %v", name, ts, err)
		}
		for i, v := range c.want {
			if got[i] != v {
				t.Errorf("%s: %v, want %v", name, got, c.want)
				break
			}
		}
	}
}

func TestParse_runs_no_code_and_believes_no_size(t *testing.T) {
	with := func(change func(p *pickle)) []byte {
		p := sound()
		change(&p)
		return archive(p.code(), nil)
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"a system call":           {archive("\x80\x02cposix\nsystem\nX\x02\x00\x00\x00ls\x85R.", nil), `"posix.system"`},
		"by the stack":            {archive("\x80\x04\x8c\x08builtins\x8c\x04eval\x93.", nil), `"builtins.eval"`},
		"an object":               {archive("\x80\x02ccollections\nOrderedDict\n)\x81.", nil), "0x81"},
		"another torch function":  {with(func(p *pickle) { p.rebuild = "ctorch.hub\nload\n" }), `"torch.hub.load"`},
		"storage of another kind": {with(func(p *pickle) { p.class = "ctorch\nQInt8Storage\n" }), "QInt8Storage"},
		"past the storage":        {with(func(p *pickle) { p.shape, p.strides = "K\x03K\x02\x86", "K\x02K\x01\x86" }), "its storage of 4 elements"},
		"an offset behind it":     {with(func(p *pickle) { p.offset = "K\x04" }), "its storage of 4 elements"},
		"a huge shape": {with(func(p *pickle) {
			p.shape = "\x8a\x06\x00\x00\x00\x00\x00\x01\x8a\x06\x00\x00\x00\x00\x00\x01\x86"
		}), "w"},
		"a repeated element": {with(func(p *pickle) { p.shape, p.strides = "K\x64K\x64\x86", "K\x00K\x00\x86" }), "does not fit"},
		"negative strides":   {with(func(p *pickle) { p.strides = "J\xff\xff\xff\xffK\x01\x86" }), "without a sound"},
		"cut":                {archive("\x80\x02}q\x00X\xff\xff\xff\xff", nil), "ends too early"},
		"an empty stack":     {archive("\x80\x020.", nil), "takes more objects"},
		"protocol 0":         {archive("(dp0\n.", nil), "no tensor"},
		"no tensors":         {archive("\x80\x02}.", nil), "no tensors"},
		"a list":             {archive("\x80\x02].", nil), "not a dictionary"},
		"big-endian":         {archive(sound().code(), map[string]string{"byteorder": "big"}), "not little"},
		"no zip":             {[]byte("\x80\x02\x8a\x0alegacy"), "since PyTorch 1.6"},
		"no pickle":          {archive("", nil)[:30], "PyTorch"},
	} {
		_, err := parse("f.bin", c.data)
		var format *tensorfile.FormatError
		if err == nil || !errors.As(err, &format) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "f.bin") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestOpenDir_reads_shards(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("pytorch_model-1.bin", archive(sound().code(), nil))
	write(IndexName, []byte(`{"weight_map":{"w":"pytorch_model-1.bin"}}`))
	f, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if w, ok := f.Tensor("w"); !ok || w.Elements() != 4 {
		t.Errorf("tensor w: %v", w)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	write(IndexName, []byte(`{"weight_map":{"x":"pytorch_model-1.bin"}}`))
	if _, err := OpenDir(dir); err == nil || !strings.Contains(err.Error(), `"x"`) {
		t.Errorf("a tensor that is not there: %v", err)
	}
}

// FuzzPickle wants no panic from any program.
func FuzzPickle(f *testing.F) {
	f.Add([]byte(sound().code()))
	f.Add([]byte("\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94K\x01\x8c\x01bG\x00\x00\x00\x00\x00\x00\x00\x00u]\x94(K\x01K\x02e0."))
	f.Fuzz(func(t *testing.T, code []byte) {
		for _, tensor := range must(parse("f", archive(string(code), nil))) {
			if _, err := tensor.Float32(); err != nil && tensor.DType.IsFloat() {
				t.Errorf("tensor %s: %v", tensor.Name, err)
			}
		}
	})
}

// FuzzParse wants no panic from any file.
func FuzzParse(f *testing.F) {
	f.Add(archive(sound().code(), map[string]string{"byteorder": "little"}))
	f.Fuzz(func(t *testing.T, data []byte) { must(parse("f", data)) })
}

func must(ts []*tensorfile.Tensor, _ error) []*tensorfile.Tensor { return ts }
