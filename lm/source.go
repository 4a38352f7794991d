package lm

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/nn"
)

// place is where a file keeps a weight.
type place struct {
	names      []string          // to be tried in turn
	row        func(row int) int // the file's row of ours; nil: the same
	transposed bool              // the file has columns and rows exchanged
	less       float32           // what the file's values are larger by
}

// fileSource binds weights to the tensors of a file, without reading them.
type fileSource struct {
	file    tensorfile.File
	locate  func(w weight) place
	ignored *regexp.Regexp
	used    map[string]bool
	whole   map[*nn.Param]bool // bound, and slow to decode in part
	bound   []*tensorfile.Tensor
	origins map[*nn.Param]origin
}

func newFileSource(file tensorfile.File, locate func(w weight) place) *fileSource {
	return &fileSource{file: file, locate: locate, used: map[string]bool{}, whole: map[*nn.Param]bool{}, origins: map[*nn.Param]origin{}}
}

func (s *fileSource) param(w weight) (*nn.Param, error) {
	at := s.locate(w)
	t, err := s.find(at.names)
	if err != nil {
		return nil, err
	}
	p, err := s.bind(w, at, t)
	if err == nil {
		s.origins[p] = origin{t, at}
	}
	return p, err
}

// bind makes the weight of tensor t.
func (s *fileSource) bind(w weight, at place, t *tensorfile.Tensor) (*nn.Param, error) {
	want := slices.Clone(w.shape)
	if at.transposed {
		slices.Reverse(want)
	}
	if !slices.Equal(t.Shape, want) {
		return nil, fmt.Errorf("%s: tensor %s has shape %v, the config wants %v", s.file.Path(), t.Name, t.Shape, want)
	}
	if !t.DType.IsFloat() {
		return nil, fmt.Errorf("%s: tensor %s holds %s, want floating-point values", s.file.Path(), t.Name, t.DType)
	}
	s.used[t.Name] = true
	s.bound = append(s.bound, t)
	rows, cols := w.matrix()
	switch {
	case at.transposed:
		p := nn.NewLazyParam(w.name, rows, cols, transposedRows(t))
		s.whole[p] = true
		return p, nil
	case len(w.shape) == 1:
		values, err := vector(t, at.row)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.file.Path(), err)
		}
		if at.less != 0 {
			values = slices.Clone(values) // they may be the file's
			for i := range values {
				values[i] -= at.less
			}
		}
		return nn.NewParam(w.name, rows, cols, values), nil
	case at.row != nil:
		return nn.NewLazyParam(w.name, rows, cols, reorderedRows(t, at.row)), nil
	case t.Mapped():
		values, err := t.Float32()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.file.Path(), err)
		}
		return nn.NewParam(w.name, rows, cols, values), nil
	}
	return nn.NewLazyParam(w.name, rows, cols, t.DecodeRows), nil
}

func (s *fileSource) find(names []string) (*tensorfile.Tensor, error) {
	for _, name := range names {
		if t, ok := s.file.Tensor(name); ok {
			return t, nil
		}
	}
	return nil, fmt.Errorf("%s: tensor %s is missing", s.file.Path(), names[0])
}

// finish complains about tensors that no weight was bound to, and about
// values that are not finite.
func (s *fileSource) finish() error {
	for _, name := range s.file.Names() {
		if s.used[name] || s.ignored != nil && s.ignored.MatchString(name) {
			continue
		}
		t, _ := s.file.Tensor(name)
		return fmt.Errorf("%s: tensor %s of shape %v is not part of this architecture", s.file.Path(), name, t.Shape)
	}
	if err := CheckFinite(s.bound); err != nil {
		return fmt.Errorf("%s: %w", s.file.Path(), err)
	}
	return nil
}

// sameBytes says that two tensors of the file are one.
func sameBytes(a, b *tensorfile.Tensor) bool {
	return a.DType == b.DType && slices.Equal(a.Shape, b.Shape) && bytes.Equal(a.Raw, b.Raw)
}

// vector decodes a small weight at once.
func vector(t *tensorfile.Tensor, row func(int) int) ([]float32, error) {
	values, err := t.Float32()
	if err != nil || row == nil {
		return values, err
	}
	ordered := make([]float32, len(values))
	for i := range ordered {
		ordered[i] = values[row(i)]
	}
	return ordered, nil
}

// reorderedRows decodes rows that the file has in another order.
func reorderedRows(t *tensorfile.Tensor, row func(int) int) nn.Source {
	cols := t.RowElements()
	return func(dst []float32, first, n int) error {
		for i := range n {
			if err := t.DecodeRows(dst[i*cols:(i+1)*cols], row(first+i), 1); err != nil {
				return err
			}
		}
		return nil
	}
}

// transposedRows decodes rows of the transpose of t. Each call reads all of t,
// so such a weight is better not streamed.
func transposedRows(t *tensorfile.Tensor) nn.Source {
	rows, cols := t.RowElements(), t.Rows() // ours
	return func(dst []float32, first, n int) error {
		if first < 0 || n < 0 || first+n > rows || len(dst) != n*cols {
			return errors.New("rows outside the weight")
		}
		const strip = 16
		buf := make([]float32, strip*rows)
		for at := 0; at < cols; at += strip {
			k := min(strip, cols-at)
			if err := t.DecodeRows(buf[:k*rows], at, k); err != nil {
				return err
			}
			for i := range n {
				for j := range k {
					dst[i*cols+at+j] = buf[j*rows+first+i]
				}
			}
		}
		return nil
	}
}
