package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/lm/tensorfile"
)

// file puts a header and n bytes of data together.
func file(header string, n int) []byte {
	all := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(all, header...), make([]byte, n)...)
}

const sound = `{"t":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}`

func TestParse_takes_what_the_reference_takes(t *testing.T) {
	for name, c := range map[string]struct {
		header string
		data   int
	}{
		"plain":                  {sound, 16},
		"padded":                 {sound + "   \n", 16},
		"no tensors":             {`{}`, 0},
		"an unknown member":      {`{"t":{"extra":{"a":[1]},"dtype":"U8","shape":[],"data_offsets":[0,1]}}`, 1},
		"empty tensors":          {`{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"b":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"c":{"dtype":"F32","shape":[4,0],"data_offsets":[3,3]}}`, 3},
		"tensors in other order": {`{"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 2},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := parse("f", file(c.header, c.data))
			if err != nil {
				t.Fatal(err)
			}
			last := ""
			for _, tensor := range h.tensors {
				if _, err := tensor.Float32(); err != nil && tensor.DType.IsFloat() {
					t.Error(err)
				}
				if tensor.Name < last {
					t.Errorf("%s comes after %s", tensor.Name, last)
				}
				last = tensor.Name
			}
		})
	}
}

func TestParse_refuses_broken_files(t *testing.T) {
	tensor := func(dtype, shape, offsets string) string {
		return fmt.Sprintf(`{"t":{"dtype":%s,"shape":%s,"data_offsets":%s}}`, dtype, shape, offsets)
	}
	for name, c := range map[string]struct {
		header string
		data   int
		want   string
	}{
		"an empty header":         {"", 0, "no safetensors file"},
		"a list":                  {"[]", 0, "no safetensors file"},
		"spaces in front":         {" " + sound, 16, "no safetensors file"},
		"text after the object":   {sound + "x", 16, "follows the closing brace"},
		"an object after it":      {sound + "{}", 16, "follows the closing brace"},
		"an open object":          {`{"t":{"dtype":"F32"`, 0, "invalid JSON"},
		"no colon":                {`{"t"}`, 0, "invalid JSON"},
		"deep nesting":            {`{"t":{"extra":` + strings.Repeat("[", 20000), 0, "depth"},
		"a tensor that is a text": {`{"t":"x"}`, 0, "where { is wanted"},
		"metadata of a list":      {`{"__metadata__":[]}`, 0, "where { is wanted"},
		"metadata with null":      {`{"__metadata__":{"k":null}}`, 0, "only strings"},
		"metadata twice":          {`{"__metadata__":{},"__metadata__":{}}`, 0, "twice"},
		"a metadata key twice":    {`{"__metadata__":{"k":"a","k":"b"}}`, 0, "twice"},
		"an escaped name twice":   {`{"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0074":{}}`, 0, "twice"},
		"dtype twice":             {`{"t":{"dtype":"F32","dtype":"F16"}}`, 0, "dtype stands there twice"},
		"dtype in lower case":     {tensor(`"f32"`, "[4]", "[0,16]"), 16, `unknown dtype "f32"`},
		"a GGUF dtype":            {tensor(`"Q8_0"`, "[32]", "[0,34]"), 34, `unknown dtype "Q8_0"`},
		"a dtype of 8 bits":       {tensor(`"F8_E4M3"`, "[4]", "[0,4]"), 4, "F8_E4M3 is not supported; convert"},
		"dtype as a number":       {tensor("7", "[4]", "[0,16]"), 16, "dtype 7 is no string"},
		"another case of a key":   {`{"t":{"DTYPE":"F32","shape":[4],"data_offsets":[0,16]}}`, 16, "dtype is missing"},
		"a shape with a text":     {tensor(`"F32"`, `["4"]`, "[0,16]"), 16, "4 is no number"},
		"a shape with -0":         {tensor(`"F32"`, "[-0]", "[0,0]"), 0, "no whole number"},
		"a shape with 4e0":        {tensor(`"F32"`, "[4e0]", "[0,16]"), 16, "no whole number"},
		"a shape of 65 numbers":   {tensor(`"F32"`, "[1"+strings.Repeat(",1", 64)+"]", "[0,4]"), 4, "more than 64"},
		"a shape that is null":    {tensor(`"F32"`, "null", "[0,4]"), 4, "where [ is wanted"},
		"0 hiding an overflow":    {tensor(`"F32"`, "[0,4294967296,4294967296]", "[0,0]"), 0, "more elements"},
		"one offset":              {tensor(`"F32"`, "[0]", "[0]"), 0, "no beginning and end"},
		"three offsets":           {tensor(`"F32"`, "[0]", "[0,0,0]"), 0, "more than 2"},
		"data past the end":       {sound, 15, "end at byte 16, there are 15"},
		"data left over":          {sound, 17, "1 bytes follow"},
		"a wrong size":            {tensor(`"F16"`, "[4]", "[0,16]"), 16, "takes 8 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse("dir/f", file(c.header, c.data))
			var format *tensorfile.FormatError
			if !errors.As(err, &format) || format.File != "dir/f" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestParse_refuses_a_file_cut_anywhere(t *testing.T) {
	whole := file(sound, 16)
	for n := range whole {
		if _, err := parse("f", whole[:n]); err == nil {
			t.Errorf("the first %d of %d bytes load", n, len(whole))
		}
	}
}

// model writes three tensors of 16 bytes in shards of at most shardBytes.
func model(t *testing.T, shardBytes int) string {
	t.Helper()
	dir := t.TempDir()
	var entries []Entry
	for i, name := range []string{"c", "a", "b"} {
		v := float32(i)
		entries = append(entries, Floats(name, []int{2, 2}, []float32{v, v, v, v}, tensorfile.F32))
	}
	if err := WriteModel(dir, entries, map[string]string{"format": "pt"}, shardBytes); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestWriteModel_and_OpenDir_agree_on_any_number_of_shards(t *testing.T) {
	for shardBytes, files := range map[int]int{0: 1, 48: 1, 47: 3, 32: 3, 16: 4, 1: 4} {
		dir := model(t, shardBytes)
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != files {
			t.Errorf("shards of %d bytes: %v (%v), want %d files", shardBytes, entries, err, files)
		}
		f, err := OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		names := f.Names()
		slices.Sort(names)
		if !slices.Equal(names, []string{"a", "b", "c"}) || f.Path() != dir || f.Metadata()["format"] != "pt" {
			t.Errorf("shards of %d bytes: names %v, path %s, metadata %v", shardBytes, names, f.Path(), f.Metadata())
		}
		for i, name := range []string{"c", "a", "b"} {
			tensor, _ := f.Tensor(name)
			if values, err := tensor.Float32(); err != nil || values[3] != float32(i) {
				t.Errorf("%s is %v (%v)", name, values, err)
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenDir_refuses_broken_folders(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "f.safetensors")
	if err := os.WriteFile(outside, file(sound, 16), 0o600); err != nil {
		t.Fatal(err)
	}
	index := func(name string) string { return fmt.Sprintf(`{"weight_map":{"a":%q}}`, name) }
	for name, c := range map[string]struct{ index, want string }{
		"no index":             {"", "neither"},
		"an index of nothing":  {"{}", "weight_map: missing"},
		"no JSON":              {"weights", "invalid JSON"},
		"a list":               {"[]", "where { is wanted"},
		"a number for a file":  {`{"weight_map":{"a":1}}`, "only strings"},
		"a tensor twice":       {`{"weight_map":{"a":"f","a":"g"}}`, "twice"},
		"two maps":             {`{"weight_map":{},"weight_map":{}}`, "twice"},
		"not UTF-8":            {"{\"weight_map\":{\"a\xff\":\"f\"}}", "not UTF-8"},
		"a way up":             {index("../f.safetensors"), "no plain name"},
		"a way down":           {index("sub/f.safetensors"), "no plain name"},
		"a way on Windows":     {index(`..\f.safetensors`), "no plain name"},
		"a drive":              {index("C:f.safetensors"), "no plain name"},
		"an absolute path":     {index(outside), "no plain name"},
		"the folder above":     {index(".."), "no plain name"},
		"no name":              {index(""), "no plain name"},
		"a shard not there":    {index("absent.safetensors"), "the shard is missing"},
		"a tensor not there":   {index("model-00003-of-00003.safetensors"), `tensor "a"`},
		"a shard that is JSON": {index(IndexName), "header length"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := model(t, 16)
			path := filepath.Join(dir, IndexName)
			err := os.Remove(path)
			if err == nil && c.index != "" {
				err = os.WriteFile(path, []byte(c.index), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			_, err = OpenDir(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			var format *tensorfile.FormatError
			if c.index == "" && !errors.Is(err, fs.ErrNotExist) || c.index != "" && !errors.As(err, &format) {
				t.Errorf("%T: %v", err, err)
			}
		})
	}
}

// FuzzSafetensors opens any bytes. A file that loads must decode; one that
// doesn't must say why in a FormatError; neither may take much memory.
func FuzzSafetensors(f *testing.F) {
	f.Add(file(sound, 16))
	data, _ := written(f, []Entry{
		Floats("w", []int{2}, []float32{1, 2}, tensorfile.BF16), Ints("i", nil, []int64{3}),
	}, map[string]string{"format": "pt"})
	f.Add(data)
	if shared := os.Getenv("KEYHOLE_SHARED"); shared != "" {
		seeds, err := filepath.Glob(filepath.Join(shared, "golden", "gguf", "malformed", "*.safetensors"))
		if err != nil || len(seeds) == 0 {
			f.Fatalf("no seeds (%v)", err)
		}
		for _, seed := range seeds {
			data, err := os.ReadFile(seed)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		h, err := parse("fuzz", data)
		runtime.ReadMemStats(&after)
		// Other goroutines of the fuzzer allocate too, hence the constant. What
		// counts is garbage for the most part: tokens and growing slices.
		if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(64*len(data)+1<<22); got > limit {
			t.Errorf("%d bytes allocated for a file of %d", got, len(data))
		}
		if err != nil {
			var format *tensorfile.FormatError
			if !errors.As(err, &format) {
				t.Errorf("%T: %v", err, err)
			}
			return
		}
		for _, tensor := range h.tensors {
			if _, _, err := tensor.FirstNonFinite(); err != nil {
				t.Errorf("%q: %v", tensor.Name, err)
			}
		}
	})
}
