package torchfile

import (
	"archive/zip"
	"errors"
	"fmt"
	"slices"

	"keyhole.example/keyhole/lm/tensorfile"
)

// storage is the flat memory that tensors view: a member data/KEY of the
// archive.
type storage struct {
	dtype tensorfile.DType
	key   string
}

// view is a tensor as the pickle describes it.
type view struct {
	storage storage
	offset  int // in elements
	shape   []int
	strides []int // in elements
}

type namedView struct {
	name string
	view *view
}

// dtypeOf finds the element type of a storage class of torch.
func dtypeOf(class string) (tensorfile.DType, bool) {
	switch class {
	case "FloatStorage":
		return tensorfile.F32, true
	case "HalfStorage":
		return tensorfile.F16, true
	case "BFloat16Storage":
		return tensorfile.BF16, true
	case "DoubleStorage":
		return tensorfile.F64, true
	case "LongStorage":
		return tensorfile.I64, true
	case "IntStorage":
		return tensorfile.I32, true
	case "ShortStorage":
		return tensorfile.I16, true
	case "CharStorage":
		return tensorfile.I8, true
	case "ByteStorage":
		return tensorfile.U8, true
	case "BoolStorage":
		return tensorfile.BOOL, true
	}
	return 0, false
}

// stateDict lists the tensors of the dictionary that a pickle built; what is no
// tensor is left out, as transformers does.
func stateDict(top any) ([]namedView, error) {
	d, ok := top.(*dict)
	if !ok {
		return nil, fmt.Errorf("it holds a %T, not a dictionary of tensors", top)
	}
	var out []namedView
	at := map[string]int{}
	for i, key := range d.keys {
		name, isText := key.(string)
		v, isView := d.values[i].(*view)
		if !isView {
			continue
		}
		if !isText {
			return nil, fmt.Errorf("a tensor's name is a %T, not a text", key)
		}
		if old, twice := at[name]; twice { // the later one counts, as in Python
			out[old].view = v
			continue
		}
		at[name] = len(out)
		out = append(out, namedView{name, v})
	}
	if len(out) == 0 {
		return nil, errors.New("there are no tensors in it; is it the file of a whole training run?")
	}
	return out, nil
}

// storages finds the bytes of storages in the mapped archive.
type storages struct {
	data   []byte
	folder string
	files  map[string]*zip.File
	copied int // bytes
}

func (a *storages) bytes(s storage) ([]byte, error) {
	z, ok := a.files[a.folder+"/data/"+s.key]
	if !ok {
		return nil, fmt.Errorf("its storage %q is missing", s.key)
	}
	if z.Method != zip.Store {
		return nil, fmt.Errorf("its storage %q is compressed; %s", s.key, wayOut)
	}
	at, err := z.DataOffset()
	if err != nil {
		return nil, fmt.Errorf("its storage %q: %w", s.key, err)
	}
	if have := uint64(len(a.data)); at < 0 || uint64(at) > have || z.UncompressedSize64 > have-uint64(at) {
		return nil, fmt.Errorf("its storage %q reaches past the end of the file", s.key)
	}
	end := uint64(at) + z.UncompressedSize64
	return a.data[at:end:end], nil
}

// view is the tensor of v: a piece of its storage, or, where its elements lie
// in another order, a copy of them.
func (a *storages) view(name string, v *view) (*tensorfile.Tensor, error) {
	raw, err := a.bytes(v.storage)
	if err != nil {
		return nil, err
	}
	_, size := v.storage.dtype.Block()
	count, err := tensorfile.Count(v.shape)
	if err != nil {
		return nil, err
	}
	t := &tensorfile.Tensor{Name: name, DType: v.storage.dtype, Shape: slices.Clone(v.shape)}
	if count == 0 {
		return t, nil
	}
	have := len(raw) / size
	last := v.offset // the element that lies last
	for i, d := range v.shape {
		step := v.strides[i]
		if d > 1 && step > 0 && (d-1) > (have-last)/step {
			return nil, fmt.Errorf("shape %v with strides %v from %d reaches past its storage of %d elements", v.shape, v.strides, v.offset, have)
		}
		last += (d - 1) * step
	}
	if last >= have || count > have {
		return nil, fmt.Errorf("shape %v with strides %v from %d does not fit its storage of %d elements", v.shape, v.strides, v.offset, have)
	}
	if contiguous(v) {
		t.Raw = raw[v.offset*size : (v.offset+count)*size]
		return t, nil
	}
	// Many views of one storage must not fill the memory.
	if a.copied += count * size; a.copied > len(a.data) {
		return nil, errors.New("more than the whole file lies in another order than its shapes have; save contiguous tensors")
	}
	t.Raw = make([]byte, 0, count*size)
	index := make([]int, len(v.shape))
	for range count {
		at := v.offset
		for i, n := range index {
			at += n * v.strides[i]
		}
		t.Raw = append(t.Raw, raw[at*size:(at+1)*size]...)
		for i := len(index) - 1; i >= 0; i-- {
			if index[i]++; index[i] < v.shape[i] {
				break
			}
			index[i] = 0
		}
	}
	return t, nil
}

// contiguous says that the elements lie in the order of the shape.
func contiguous(v *view) bool {
	step := 1
	for i := len(v.shape) - 1; i >= 0; i-- {
		if v.shape[i] != 1 && v.strides[i] != step {
			return false
		}
		step *= v.shape[i]
	}
	return true
}

// rebuildTensor is torch._utils._rebuild_tensor_v2(storage, offset, size,
// stride, …).
func rebuildTensor(args tuple) (any, error) {
	if len(args) < 4 {
		return nil, fmt.Errorf("a tensor of %d parts, want 4 or more", len(args))
	}
	s, ok := args[0].(storage)
	offset, ok2 := args[1].(int64)
	shape, ok3 := sizes(args[2])
	strides, ok4 := sizes(args[3])
	if !ok || !ok2 || !ok3 || !ok4 || len(shape) != len(strides) || offset < 0 || offset > maxElements {
		return nil, errors.New("a tensor without a sound storage, offset, shape and strides")
	}
	return &view{s, int(offset), shape, strides}, nil
}

// maxElements keeps sums of offsets inside an int.
const maxElements = 1 << 48

func sizes(v any) ([]int, bool) {
	list, ok := v.(tuple)
	const mostDimensions = 16
	if !ok || len(list) > mostDimensions {
		return nil, false
	}
	out := make([]int, len(list))
	for i, x := range list {
		n, ok := x.(int64)
		if !ok || n < 0 || n > maxElements {
			return nil, false
		}
		out[i] = int(n)
	}
	return out, true
}
