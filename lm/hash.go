package lm

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"keyhole.example/keyhole/internal/regular"
	"keyhole.example/keyhole/lm/tokenizer"
	"keyhole.example/keyhole/nn"
)

// digest is a hash that is computed once.
type digest struct {
	mu  sync.Mutex
	hex string
}

// Hash identifies the base model: the SHA-256, in hexadecimal, of the GGUF
// file, or of the folder's config.json and safetensors files (those of torch.save
// where there are none) with their names, and behind a "+" that of the tokenizer's
// files, if the folder has some, or of the pre-tokenizer chosen for a GGUF file.
// For a model made by New it is that of the weights as they are at the first
// call. It is kept in memory; CompareHashes compares two.
func (m *Model) Hash() (string, error) {
	m.digest.mu.Lock()
	defer m.digest.mu.Unlock()
	if m.digest.hex != "" {
		return m.digest.hex, nil
	}
	h := sha256.New()
	var err error
	if m.Path == "" {
		err = hashParams(h, m.params)
	} else {
		err = hashFiles(h, m.Path)
	}
	if err != nil {
		return "", fmt.Errorf("hash model %s: %w", m.Path, err)
	}
	whole := hex.EncodeToString(h.Sum(nil))
	tok, err := m.hashTokenizer()
	if err != nil {
		return "", fmt.Errorf("hash model %s: %w", m.Path, err)
	}
	if tok != "" {
		whole += tokenizerMark + tok
	}
	m.digest.hex = whole
	return m.digest.hex, nil
}

// hashTokenizer is the hash of a tokenizer that does not lie in the file of the
// weights; "": there is none.
func (m *Model) hashTokenizer() (string, error) {
	switch {
	case m.Tokenizer == nil:
		return "", nil
	case m.Path == "":
		return tokenizer.HashFiles(m.Tokenizer.Files()), nil
	case m.pre != "":
		return tokenizer.HashFiles(map[string][]byte{"pre": []byte(m.pre)}), nil
	}
	info, err := os.Stat(m.Path)
	if err != nil || !info.IsDir() {
		return "", err
	}
	return tokenizer.Hash(m.Path)
}

func hashFiles(w io.Writer, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return copyFile(w, path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	safe := func(name string) bool {
		return strings.HasPrefix(name, "model") && strings.HasSuffix(name, ".safetensors")
	}
	torch := func(name string) bool {
		return strings.HasPrefix(name, "pytorch_model") && strings.HasSuffix(name, ".bin")
	}
	weights := safe
	if !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return safe(e.Name()) }) {
		weights = torch // read only where there are no safetensors
	}
	for _, e := range entries { // sorted by name
		name := e.Name()
		if name != configName && !weights(name) {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s\n", name); err != nil {
			return err
		}
		if err := copyFile(w, filepath.Join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(w io.Writer, path string) error {
	info, err := os.Stat(path) // before opening, which waits at a pipe
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: not a regular file", path)
	}
	f, err := regular.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

func hashParams(w io.Writer, params []*nn.Param) error {
	for _, p := range params {
		if _, err := fmt.Fprintf(w, "%s %d %d\n", p.Name, p.Rows, p.Cols); err != nil {
			return err
		}
		row, raw := make([]float32, p.Cols), make([]byte, 0, 4*p.Cols)
		for i := range p.Rows {
			if err := p.Row(row, i); err != nil {
				return err
			}
			raw = raw[:0]
			for _, v := range row {
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
			}
			if _, err := w.Write(raw); err != nil {
				return err
			}
		}
	}
	return nil
}
