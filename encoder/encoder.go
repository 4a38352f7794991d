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
	"keyhole.example/keyhole/lm/safetensors"
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
	pool  string // Mean or First
	shape *shape
	limit int
	net   *network
	tok   tokenizer.Tokenizer
	file  *safetensors.File
	hash  string

	mu  sync.Mutex
	ops *eager.Ops
	in  Input
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
	if e.pool = Mean; s.ModelType == distil {
		e.pool = First
	} else if err := checkPooling(dir); err != nil {
		return nil, err
	}
	if e.tok, err = tokenizer.Load(dir); err != nil {
		return nil, fmt.Errorf("%s: a sentence encoder needs its tokenizer: %w", dir, err)
	}
	if e.tok.Size() > s.Vocab {
		return nil, fmt.Errorf("%s: the tokenizer has %d tokens, the embedding %d rows; use the tokenizer files that belong to these weights", dir, e.tok.Size(), s.Vocab)
	}
	if s.ModelType != distil && len(e.tok.EncodeSpecial("")) != 2 {
		return nil, fmt.Errorf("%s: the tokenizer puts no [CLS] and [SEP] around a text, as a BERT needs", dir)
	}
	if e.file, err = safetensors.OpenDir(dir); err != nil {
		return nil, err
	}
	if err := e.bind(); err != nil {
		return nil, errors.Join(err, e.file.Close())
	}
	return e, nil
}

func (e *Encoder) bind() (err error) {
	if e.net, err = bind(lm.FileWeights(e.file, e.shape.names().model), e.shape); err != nil {
		return fmt.Errorf("%w: the weights are not those of a BERT encoder that config.json describes", err)
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
	if e.path == "" { // a new one has no file
		return nil
	}
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

// Layers is the number of blocks.
func (e *Encoder) Layers() int { return e.shape.Layers }

// Params are the network's weights, in a fixed order.
func (e *Encoder) Params() []*nn.Param { return e.net.params }

// PadRow is the row of the first of Params, the word embeddings, that stands for
// padding: PyTorch never trains it.
func (e *Encoder) PadRow() int { return e.shape.Pad }

// Tokenizer is what texts are cut by.
func (e *Encoder) Tokenizer() tokenizer.Tokenizer { return e.tok }

// Pooled is how a text's vector is made of its states: Mean, of Euclidean norm
// 1, or First.
func (e *Encoder) Pooled() string { return e.pool }

// Pool chooses that.
func (e *Encoder) Pool(how string) error {
	if how != Mean && how != First {
		return fmt.Errorf("pooling %q is neither %s nor %s", how, Mean, First)
	}
	e.pool = how
	return nil
}

// The ways of pooling: the mean of the states, divided by its norm, as
// sentence-transformers does, or the state of the first token, as it is.
const (
	Mean  = "mean"
	First = "first"
)

// Encode returns one vector a text: [len(texts), Width], of Euclidean norm 1
// unless it is the first token's state.
func (e *Encoder) Encode(ctx context.Context, texts []string) (kernel.Matrix, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	d := e.shape.Width
	out := kernel.Mat(make([]float32, len(texts)*d), len(texts), d)
	var packed [][]int32
	rows, done := 0, 0
	flush := func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := e.batch(out, done, packed); err != nil {
			return fmt.Errorf("encode texts %d to %d by %s: %w", done, done+len(packed)-1, e.path, err)
		}
		done += len(packed)
		packed, rows = packed[:0], 0
		if e.OnProgress != nil {
			e.OnProgress(done, len(texts))
		}
		return nil
	}
	for _, text := range texts {
		t := e.Tokens(text)
		if len(packed) > 0 && rows+len(t) > batchTokens {
			if err := flush(); err != nil {
				return kernel.Matrix{}, err
			}
		}
		packed, rows = append(packed, t), rows+len(t)
	}
	if len(packed) > 0 {
		if err := flush(); err != nil {
			return kernel.Matrix{}, err
		}
	}
	return out, nil
}

// Tokens are the ids of a text, with the tokens that are added around it, cut to
// MaxTokens in front of [SEP].
func (e *Encoder) Tokens(text string) []int32 {
	ids := e.tok.EncodeSpecial(text)
	if len(ids) > e.limit {
		last := ids[len(ids)-1]
		ids = append(ids[:e.limit-1], last)
	}
	return ids
}

// batch computes packed texts into the rows of out from first on.
func (e *Encoder) batch(out kernel.Matrix, first int, texts [][]int32) error {
	e.ops.Reset()
	e.in.Set(texts)
	x := States[kernel.Matrix](e.ops, e, &e.in)
	if err := e.ops.Err(); err != nil {
		return err
	}
	at := 0
	for i, t := range texts {
		dst := out.Data[(first+i)*out.Cols : (first+i+1)*out.Cols]
		if e.pool == First {
			copy(dst, x.Data[at*x.Stride:])
		} else {
			meanPool(dst, x, at, at+len(t))
		}
		at += len(t)
	}
	return nil
}
