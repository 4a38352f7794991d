package checkpoints

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// FormatVersion is the version of the manifest that this package writes, and the
// latest that it reads.
const FormatVersion = 1

const (
	manifestName = "manifest.json"
	maxManifest  = 16 << 20 // bytes; a real one is some kilobytes
)

// Manifest is everything about a checkpoint but its tensors. It holds no clock
// time, so that the same state has the same bytes.
type Manifest struct {
	Format     int                `json:"format"`            // set by Save
	Step       int                `json:"step"`              // optimiser steps done
	Config     string             `json:"config"`            // resolved configuration as YAML
	ConfigHash string             `json:"config_sha256"`     // of the configuration's values
	BaseModel  string             `json:"base_model_sha256"` // of the model that the editor was trained for
	State      json.RawMessage    `json:"state,omitempty"`   // the loop's own: place in the data, early stopping, averages
	Metrics    map[string]float64 `json:"metrics"`           // at this step; finite
	Files      []File             `json:"files"`             // set by Save, sorted by name
}

// File describes one file of a checkpoint.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // 64 hex digits
}

// sealed is a manifest as it is written. The seal is the SHA-256 of all bytes
// before its own line; in every format version it is the last line but one.
type sealed struct {
	Manifest
	Cursor json.RawMessage `json:"cursor,omitempty"` // of earlier versions, which wrote the state's a second time
	Seal   string          `json:"manifest_sha256"`
}

const (
	sealStart = "  \"manifest_sha256\": \""
	sealEnd   = "\"\n}\n"
	hexLength = 2 * sha256.Size
)

var (
	fileName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	hexSum   = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// encode writes m with its seal.
func (m Manifest) encode() ([]byte, error) {
	if m.Metrics == nil {
		m.Metrics = map[string]float64{}
	}
	if m.Files == nil {
		m.Files = []File{}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(sealed{Manifest: m, Seal: strings.Repeat("0", hexLength)}); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if b.Len() > maxManifest {
		return nil, fmt.Errorf("manifest: %d bytes, at most %d are possible; store large state in a file", b.Len(), maxManifest)
	}
	body := b.Bytes()[:b.Len()-len(sealStart)-hexLength-len(sealEnd)]
	sum := sha256.Sum256(body)
	return fmt.Appendf(body, "%s%x%s", sealStart, sum, sealEnd), nil
}

// ParseManifest reads and checks manifest.json. It wraps [ErrNewer] for a later
// format.
func ParseManifest(text []byte) (Manifest, error) {
	if len(text) > maxManifest {
		return Manifest{}, fmt.Errorf("%d bytes long, at most %d are possible", len(text), maxManifest)
	}
	if err := checkSeal(text); err != nil {
		return Manifest{}, err
	}
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(text, &version); err != nil {
		return Manifest{}, err
	}
	if version.Format > FormatVersion {
		return Manifest{}, fmt.Errorf("format %d, this keyhole reads up to %d: %w", version.Format, FormatVersion, ErrNewer)
	}
	var s sealed
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return Manifest{}, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Manifest{}, fmt.Errorf("text after the end of the object at byte %d", dec.InputOffset())
	}
	m := s.Manifest
	if err := m.check(); err != nil {
		return Manifest{}, err
	}
	if len(m.State) > 0 {
		var b bytes.Buffer
		if err := json.Compact(&b, m.State); err != nil {
			return Manifest{}, err
		}
		m.State = b.Bytes()
	}
	return m, nil
}

func checkSeal(text []byte) error {
	rest, ok := bytes.CutSuffix(text, []byte(sealEnd))
	if !ok || len(rest) < hexLength {
		return fmt.Errorf("does not end with its manifest_sha256: cut off after %d bytes, or edited", len(text))
	}
	body, ok := bytes.CutSuffix(rest[:len(rest)-hexLength], []byte(sealStart))
	if !ok {
		return fmt.Errorf("does not end with its manifest_sha256: cut off after %d bytes, or edited", len(text))
	}
	sum := sha256.Sum256(body)
	if want := string(rest[len(rest)-hexLength:]); hex.EncodeToString(sum[:]) != want {
		return fmt.Errorf("SHA-256 of the text is %x, its manifest_sha256 says %s", sum, shorten(want))
	}
	return nil
}

func (m *Manifest) check() error {
	if m.Format < 1 {
		return fmt.Errorf("format %d, want 1 to %d", m.Format, FormatVersion)
	}
	if m.Step < 0 {
		return fmt.Errorf("step %d is negative", m.Step)
	}
	for i, f := range m.Files {
		switch {
		case !validFileName(f.Name):
			return fmt.Errorf("files[%d]: name %q is not possible", i, f.Name)
		case f.Size < 0:
			return fmt.Errorf("files[%d]: %s: size %d is negative", i, f.Name, f.Size)
		case !hexSum.MatchString(f.SHA256):
			return fmt.Errorf("files[%d]: %s: sha256 %q, want 64 hex digits", i, f.Name, shorten(f.SHA256))
		case i > 0 && m.Files[i-1].Name >= f.Name:
			return fmt.Errorf("files[%d]: %s: want names sorted and each once", i, f.Name)
		}
	}
	return nil
}

// validFileName keeps names inside the folder and apart from our own.
func validFileName(name string) bool { return fileName.MatchString(name) && name != manifestName }

// file finds the description of a file.
func (m *Manifest) file(name string) (File, bool) {
	i, ok := slices.BinarySearchFunc(m.Files, name, func(f File, n string) int { return strings.Compare(f.Name, n) })
	if !ok {
		return File{}, false
	}
	return m.Files[i], true
}

func shorten(s string) string {
	const most = 12
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
