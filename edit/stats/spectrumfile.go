package stats

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"

	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/lm/tensorfile"
)

const formatSpectrum = "keyhole-spectrum-1"

// spectrumPath is the file beside the moment's own.
func (m *Moment) spectrumPath() string {
	return filepath.Join(filepath.Dir(m.path), "spectrum-"+filepath.Base(m.path))
}

// digest identifies C.
func (m *Moment) digest() string {
	h := sha256.New()
	var b [8]byte
	put := func(v uint64) {
		binary.LittleEndian.PutUint64(b[:], v)
		h.Write(b[:])
	}
	put(uint64(m.Tokens))
	for i := range m.Width {
		for _, v := range m.Sum[i*m.Width+i : (i+1)*m.Width] {
			put(math.Float64bits(v))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// saveSpectrum writes s beside the moment's file, if it has one.
func (m *Moment) saveSpectrum(s *Spectrum) error {
	if m.path == "" {
		return nil
	}
	return safetensors.WriteSealed(m.spectrumPath(), []safetensors.Entry{
		safetensors.Doubles("values", []int{m.Width}, s.Values), safetensors.Doubles("vectors", []int{m.Width, m.Width}, s.Vectors),
	}, map[string]string{"format": formatSpectrum, "of": m.digest(), "site": m.Site})
}

// loadSpectrum reads what saveSpectrum wrote; nil if there is none of this C.
func (m *Moment) loadSpectrum() (s *Spectrum, err error) {
	if m.path == "" {
		return nil, nil
	}
	f, err := safetensors.Open(m.spectrumPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("spectrum: %w; remove the file", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.CheckSeal("format", "of", "site"); err != nil {
		return nil, fmt.Errorf("spectrum: %w; remove the file", err)
	}
	if meta := f.Metadata(); meta["format"] != formatSpectrum || meta["of"] != m.digest() {
		return nil, nil // of other statistics: made anew
	}
	read := func(name string, n int) ([]float64, error) {
		t, ok := f.Tensor(name)
		if !ok || t.DType != tensorfile.F64 || len(t.Raw) != 8*n {
			return nil, fmt.Errorf("%s: no tensor %s of %d float64 values; remove the file", f.Path(), name, n)
		}
		out := make([]float64, n)
		for i := range out {
			out[i] = math.Float64frombits(binary.LittleEndian.Uint64(t.Raw[8*i:]))
			if math.IsNaN(out[i]) || math.IsInf(out[i], 0) {
				return nil, fmt.Errorf("%s: %s has the value %v; remove the file", f.Path(), name, out[i])
			}
		}
		return out, nil
	}
	s = &Spectrum{}
	if s.Values, err = read("values", m.Width); err == nil {
		s.Vectors, err = read("vectors", m.Width*m.Width)
	}
	return s, err
}
