package encoder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/internal/regular"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/hf"
	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/lm/tokenizer"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
)

// Encoder is a loaded sentence encoder. It is safe for concurrent use; calls
// take turns.
type Encoder struct {
	// OnProgress, if set, is told how many texts of a call are done.
	OnProgress func(done, total int)

	path  string
	shape *shape
	limit int
	net   *network
	tok   tokenizer.Tokenizer
	file  *hf.File
	hash  string

	mu  sync.Mutex
	ops *eager.Ops
}

// batchTokens bounds the rows that are computed at once.
const batchTokens = 2048

// Load opens the Hugging Face folder of a BERT with its tokenizer. It computes
// with k. Close the encoder when done.
func Load(dir string, k *kernel.Engine) (*Encoder, error) {
	e, err := load(dir, k)
	if err != nil {
		return nil, fmt.Errorf("load encoder: %w", err)
	}
	return e, nil
}

func load(dir string, k *kernel.Engine) (*Encoder, error) {
	if info, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s: a file; give the folder of a sentence encoder", dir)
	}
	s, err := readShape(dir)
	if err != nil {
		return nil, err
	}
	e := &Encoder{path: dir, shape: s, ops: eager.New(k)}
	if e.limit, err = readMaxTokens(dir, s); err != nil {
		return nil, err
	}
	if err := checkPooling(dir); err != nil {
		return nil, err
	}
	if e.tok, err = tokenizer.Load(dir); err != nil {
		return nil, fmt.Errorf("%s: a sentence encoder needs its tokenizer: %w", dir, err)
	}
	if e.tok.Size() > s.Vocab {
		return nil, fmt.Errorf("%s: the tokenizer has %d tokens, the embedding %d rows; use the tokenizer files that belong to these weights", dir, e.tok.Size(), s.Vocab)
	}
	if len(e.tok.EncodeSpecial("")) != 2 {
		return nil, fmt.Errorf("%s: the tokenizer puts no [CLS] and [SEP] around a text, as a BERT needs", dir)
	}
	if e.file, err = hf.OpenDir(dir); err != nil {
		return nil, err
	}
	if err := e.bind(); err != nil {
		return nil, errors.Join(err, e.file.Close())
	}
	return e, nil
}

func (e *Encoder) bind() (err error) {
	if e.net, err = bindNetwork(e.file, e.shape); err != nil {
		return err
	}
	var floats []*tensorfile.Tensor
	for _, name := range e.file.Names() {
		if t, ok := e.file.Tensor(name); ok && t.DType.IsFloat() {
			floats = append(floats, t)
		}
	}
	if err := lm.CheckFinite(floats); err != nil {
		return fmt.Errorf("%s: %w", e.path, err)
	}
	e.hash, err = hashFolder(e.path)
	return err
}

// hashFolder is the SHA-256 of the files that a vector depends on, with their
// names.
func hashFolder(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, entry := range entries { // sorted by name
		name := entry.Name()
		weights := strings.HasPrefix(name, "model") && strings.HasSuffix(name, ".safetensors")
		switch name {
		case "config.json", "sentence_bert_config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json", "added_tokens.json":
		default:
			if !weights {
				continue
			}
		}
		if _, err := fmt.Fprintf(h, "%s\n", name); err != nil {
			return "", err
		}
		if err := copyFile(h, filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func copyFile(w io.Writer, path string) error {
	f, err := regular.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// Close gives the mapped file back. The encoder must not be used afterwards.
func (e *Encoder) Close() error {
	if e.file == nil {
		return fs.ErrClosed
	}
	file := e.file
	e.file = nil
	return file.Close()
}

// Width is the length of a vector.
func (e *Encoder) Width() int { return e.shape.Width }

// MaxTokens is where texts are cut, [CLS] and [SEP] counted.
func (e *Encoder) MaxTokens() int { return e.limit }

// Path is the folder that was loaded.
func (e *Encoder) Path() string { return e.path }

// Hash is the SHA-256, in hexadecimal, of the encoder's files.
func (e *Encoder) Hash() string { return e.hash }

// Encode returns one vector a text, of Euclidean norm 1: [len(texts), Width].
func (e *Encoder) Encode(ctx context.Context, texts []string) (kernel.Matrix, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	d := e.shape.Width
	out := kernel.Mat(make([]float32, len(texts)*d), len(texts), d)
	var ids []int32
	var lengths []int
	done := 0
	flush := func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := e.batch(out, done, ids, lengths); err != nil {
			return fmt.Errorf("encode texts %d to %d by %s: %w", done, done+len(lengths)-1, e.path, err)
		}
		done += len(lengths)
		ids, lengths = ids[:0], lengths[:0]
		if e.OnProgress != nil {
			e.OnProgress(done, len(texts))
		}
		return nil
	}
	for _, text := range texts {
		t := e.tokens(text)
		if len(lengths) > 0 && len(ids)+len(t) > batchTokens {
			if err := flush(); err != nil {
				return kernel.Matrix{}, err
			}
		}
		ids, lengths = append(ids, t...), append(lengths, len(t))
	}
	if len(lengths) > 0 {
		if err := flush(); err != nil {
			return kernel.Matrix{}, err
		}
	}
	return out, nil
}

// tokens are the ids of a text, cut to the limit in front of [SEP].
func (e *Encoder) tokens(text string) []int32 {
	ids := e.tok.EncodeSpecial(text)
	if len(ids) > e.limit {
		last := ids[len(ids)-1]
		ids = append(ids[:e.limit-1], last)
	}
	return ids
}

// batch computes packed texts into the rows of out from first on.
func (e *Encoder) batch(out kernel.Matrix, first int, ids []int32, lengths []int) error {
	e.ops.Reset()
	x := e.net.forward(e.ops, ids, nn.Pack(lengths...))
	if err := e.ops.Err(); err != nil {
		return err
	}
	at := 0
	for i, n := range lengths {
		row := first + i
		meanPool(out.Data[row*out.Cols:(row+1)*out.Cols], x, at, at+n)
		at += n
	}
	return nil
}
