package encoder

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/lm/tensorfile"
)

// Metadata and tensor of a cache file.
const (
	cacheTensor  = "embeddings"
	cacheEncoder = "encoder_sha256"
	cachePool    = "pool_sha256"
	cacheValues  = "values_sha256"
)

// EncodeCached is Encode with the vectors kept in the folder dir, in a
// safetensors file named by the hashes of the encoder and of the texts. hit
// says that they were read from there. A file that is damaged, or another
// encoder's, is written anew.
func (e *Encoder) EncodeCached(ctx context.Context, dir string, texts []string) (vectors kernel.Matrix, hit bool, err error) {
	pool := hashTexts(texts)
	path := filepath.Join(dir, cacheName(e.hash, pool))
	if vectors, err := e.readCache(path, pool, len(texts)); err == nil {
		return vectors, true, nil
	} else if bad := (*tensorfile.FormatError)(nil); !errors.Is(err, fs.ErrNotExist) && !errors.As(err, &bad) {
		return kernel.Matrix{}, false, err
	}
	if vectors, err = e.Encode(ctx, texts); err != nil {
		return kernel.Matrix{}, false, err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return kernel.Matrix{}, false, fmt.Errorf("cache of embeddings: %w", err)
	}
	entry := safetensors.Floats(cacheTensor, []int{vectors.Rows, vectors.Cols}, vectors.Data, tensorfile.F32)
	meta := map[string]string{cacheEncoder: e.hash, cachePool: pool, cacheValues: hashValues(vectors.Data)}
	if err := safetensors.Write(path, []safetensors.Entry{entry}, meta); err != nil {
		return kernel.Matrix{}, false, fmt.Errorf("cache of embeddings: %w", err)
	}
	return vectors, false, nil
}

// readCache reads a cache file; one that is not what it should be gives a
// *tensorfile.FormatError.
func (e *Encoder) readCache(path, pool string, rows int) (kernel.Matrix, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return kernel.Matrix{}, err
	}
	defer f.Close()
	wrong := func(what string) (kernel.Matrix, error) {
		return kernel.Matrix{}, &tensorfile.FormatError{File: path, Offset: -1, Err: errors.New(what)}
	}
	meta := f.Metadata()
	if meta[cacheEncoder] != e.hash || meta[cachePool] != pool {
		return wrong("it belongs to another encoder or to other texts")
	}
	t, ok := f.Tensor(cacheTensor)
	if !ok || !slices.Equal(t.Shape, []int{rows, e.shape.Width}) || t.DType != tensorfile.F32 {
		return wrong("it holds no vectors of the right shape")
	}
	mapped, err := t.Float32()
	if err != nil {
		return kernel.Matrix{}, err
	}
	values := slices.Clone(mapped) // outlives the file
	if hashValues(values) != meta[cacheValues] {
		return wrong("its values are damaged")
	}
	return kernel.Mat(values, rows, e.shape.Width), nil
}

// cacheName names a cache file; a quarter of each hash tells files apart, the
// whole hashes stand inside.
func cacheName(encoder, pool string) string {
	const digits = 16
	return fmt.Sprintf("embeddings-%s-%s.safetensors", encoder[:digits], pool[:digits])
}

// hashTexts is the SHA-256 of texts, each with its length in front.
func hashTexts(texts []string) string {
	h := sha256.New()
	var n [8]byte
	for _, text := range texts {
		binary.LittleEndian.PutUint64(n[:], uint64(len(text)))
		h.Write(n[:])
		h.Write([]byte(text))
	}
	return hex.EncodeToString(h.Sum(nil))
}

func hashValues(values []float32) string {
	h := sha256.New()
	var raw []byte
	for piece := range slices.Chunk(values, 1<<14) {
		raw = raw[:0]
		for _, v := range piece {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		}
		h.Write(raw)
	}
	return hex.EncodeToString(h.Sum(nil))
}
