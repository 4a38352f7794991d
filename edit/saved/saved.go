package saved

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/atomicfile"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/internal/regular"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/tensorfile"
)

const (
	EditsFolder = "edits"     // in a saved model: the edits that it was made by
	BaseFile    = "base.json" // in EditsFolder: the model that they were made to

	// Embedded is the name of the base model in the binary, which has no path.
	Embedded = "embedded"

	maxBase = 1 << 20 // bytes of BaseFile
)

// Model is a model folder that an edit was applied to, with the edits in
// it, so that they can be listed and removed.
type Model struct {
	Dir   string `json:"-"`
	Model string `json:"model"` // hash of the base model
	Base  string `json:"path"`  // where the base model was, or "embedded"
	DType string `json:"dtype"`
	// Format is how the model is written: HF (also ""), GGUF or PEFT.
	Format string `json:"format,omitempty"`
}

// The formats of a saved model.
const (
	HF   = "hf"   // a Hugging Face folder
	GGUF = "gguf" // a folder with model.gguf: the base file with the edited weights changed
	PEFT = "peft" // a folder with the edit as a LoRA adapter, without the base model

	GGUFName = "model.gguf" // the model, in such a folder
)

// Formats are the values of Model.Format.
func Formats() []string { return []string{HF, GGUF, PEFT} }

// CheckFormat fails for a format that is not known, and for an element type that
// it can't have.
func CheckFormat(format, dtype string) error {
	switch {
	case !slices.Contains(Formats(), format):
		return fmt.Errorf("format %q is none of %s", format, strings.Join(Formats(), ", "))
	case dtype == "q8_0" && format != GGUF:
		return fmt.Errorf("dtype q8_0 is for --format gguf; write f32, f16 or bf16")
	}
	_, err := ParseDType(dtype)
	return err
}

// Open reads a folder that Write made. It wraps fs.ErrNotExist for any
// other.
func Open(dir string) (*Model, error) {
	path := filepath.Join(dir, EditsFolder, BaseFile)
	raw, err := regular.ReadFile(path, maxBase)
	if err != nil {
		return nil, fmt.Errorf("edited model: %w", err)
	}
	s := &Model{Dir: dir}
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if s.Model == "" || s.DType == "" {
		return nil, fmt.Errorf("%s: model or dtype is missing", path)
	}
	return s, nil
}

// Own fails unless m is the base model that the edited one was made from; w takes notes.
func (s *Model) Own(w io.Writer, m *lm.Model) error {
	note, err := m.Owns(s.Model)
	if err != nil {
		return fmt.Errorf("%s was made from %w; give the model that it was made from with --model", s.Dir, err)
	}
	if note != "" {
		fmt.Fprintf(w, "note: %s: %s\n", s.Dir, note)
	}
	return nil
}

// Write makes the folder: the base model m with the edits applied, whole or not
// at all. The folder must not exist.
func (s *Model) Write(m *lm.Model, k *kernel.Engine, edits []*edit.Kept) error {
	return s.build(m, k, edits, atomicfile.WriteDir)
}

// Rewrite does the same in place of the folder that is there.
func (s *Model) Rewrite(m *lm.Model, k *kernel.Engine, edits []*edit.Kept) error {
	return s.build(m, k, edits, atomicfile.ReplaceDir)
}

func (s *Model) build(m *lm.Model, k *kernel.Engine, edits []*edit.Kept, into func(string, func(string) error) error) error {
	dtype, err := ParseDType(s.DType)
	if err != nil {
		return err
	}
	if s.Model, err = m.Hash(); err != nil {
		return err
	}
	if s.Base != Embedded {
		if s.Base, err = filepath.Abs(s.Base); err != nil {
			return err
		}
	}
	for _, e := range edits {
		if _, err := e.IsOf(m); err != nil {
			return err
		}
	}
	undo, whole := func() {}, &edit.Edited{}
	if len(edits) > 0 {
		if whole, err = edit.Compose(edits...); err != nil {
			return err
		}
	}
	if s.Format != PEFT && len(edits) > 0 {
		if undo, err = whole.Install(m, k); err != nil {
			return err
		}
	}
	defer undo()
	forget, err := atomicfile.MakeParent(s.Dir)
	if err != nil {
		return err
	}
	err = into(s.Dir, func(dir string) error {
		if err := s.weights(dir, m, whole, dtype); err != nil {
			return err
		}
		return s.writeEdits(filepath.Join(dir, EditsFolder), edits)
	})
	if err != nil {
		forget()
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already; choose a new folder: %w", s.Dir, err)
	}
	return err
}

// weights writes the model, or the adapter, in its format.
func (s *Model) weights(dir string, m *lm.Model, e *edit.Edited, dtype tensorfile.DType) error {
	switch s.Format {
	case GGUF:
		var changed []string
		for _, c := range e.Changes {
			changed = append(changed, c.Weight)
		}
		return m.SaveGGUF(filepath.Join(dir, GGUFName), lm.GGUFOptions{Changed: changed, DType: dtype})
	case PEFT:
		return writeAdapter(dir, s.Base, m, e, dtype)
	}
	return m.Save(dir, lm.SaveOptions{DType: dtype})
}

// FreeFolder fails early where Write would for want of a free name.
func FreeFolder(path string) error {
	if _, err := os.Stat(path); err != nil {
		return atomicfile.Writable(path)
	}
	if entries, err := os.ReadDir(path); err == nil && len(entries) == 0 {
		return atomicfile.Writable(path)
	}
	return fmt.Errorf("%s is there already; choose a new folder", path)
}

func (s *Model) writeEdits(dir string, edits []*edit.Kept) error {
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	for i, e := range edits {
		name := fmt.Sprintf("%03d-%s", i+1, PlainName(e.Path))
		if err := edit.WriteFile(filepath.Join(dir, name), e.Edited, e.Model); err != nil {
			return err
		}
	}
	raw, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, BaseFile), append(raw, '\n'), 0o666)
}

// PlainName is a file's name without the number that an earlier write gave it.
func PlainName(path string) string {
	name := filepath.Base(path)
	if rest := strings.TrimLeft(name, "0123456789"); len(name)-len(rest) == 3 && strings.HasPrefix(rest, "-") {
		return rest[1:]
	}
	return name
}

// DTypes are the values of Model.DType.
func DTypes() []string { return []string{"f32", "f16", "bf16"} }

// ParseDType reads one of DTypes.
func ParseDType(name string) (tensorfile.DType, error) {
	switch name {
	case "f32":
		return tensorfile.F32, nil
	case "f16":
		return tensorfile.F16, nil
	case "bf16":
		return tensorfile.BF16, nil
	case "q8_0": // of GGUF files
		return tensorfile.Q8_0, nil
	}
	return 0, fmt.Errorf("dtype %q is none of %s", name, strings.Join(DTypes(), ", "))
}
