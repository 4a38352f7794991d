package lm

import (
	"fmt"
	"strings"
)

// tokenizerMark stands in a model's hash between that of its weights and that of
// its tokenizer.
const tokenizerMark = "+"

// NoTokenizer is what to say of a file that records a hash without the tokenizer.
const NoTokenizer = "an earlier version wrote it, which did not record the tokenizer; that it was this one is taken for granted"

// Likeness is how two hashes of base models are to each other.
type Likeness int

// What CompareHashes finds.
const (
	OtherWeights   Likeness = iota
	OtherTokenizer          // of the same weights
	SameWeights             // one says nothing of the tokenizer, as earlier versions wrote it
	SameModel
)

// CompareHashes says how two results of Hash are to each other, of which either
// may be one that an earlier version wrote, without the tokenizer.
func CompareHashes(a, b string) Likeness {
	weightsA, tokenizerA := SplitHash(a)
	weightsB, tokenizerB := SplitHash(b)
	switch {
	case weightsA != weightsB:
		return OtherWeights
	case tokenizerA == tokenizerB:
		return SameModel
	case tokenizerA == "" || tokenizerB == "":
		return SameWeights
	}
	return OtherTokenizer
}

// SplitHash parts a result of Hash; tokenizer is empty where it says nothing of it.
func SplitHash(hash string) (weights, tokenizer string) {
	weights, tokenizer, _ = strings.Cut(hash, tokenizerMark)
	return weights, tokenizer
}

// OfOneModel reports whether two hashes may be those of one model: they are the
// same, or one says nothing of the tokenizer.
func OfOneModel(a, b string) bool { return CompareHashes(a, b) >= SameWeights }

// OtherModelError says that something belongs to another base model.
type OtherModelError struct {
	Recorded, Hash string // what it belongs to, and what the model is
}

// Error tells models by the beginning of what differs.
func (e *OtherModelError) Error() string {
	recorded, recordedTokenizer := SplitHash(e.Recorded)
	hash, tokenizer := SplitHash(e.Hash)
	if CompareHashes(e.Recorded, e.Hash) == OtherTokenizer {
		return fmt.Sprintf("another model: the weights are the same, but the tokenizer has the hash %.12s…, this one's has %.12s…", recordedTokenizer, tokenizer)
	}
	return fmt.Sprintf("another model (%.12s…, this one is %.12s…)", recorded, hash)
}

// Owns fails with an OtherModelError unless a recorded hash is that of the model.
// The note, if it is not empty, says that the hash is one without the tokenizer.
func (m *Model) Owns(recorded string) (note string, err error) {
	hash, err := m.Hash()
	if err != nil {
		return "", err
	}
	switch CompareHashes(recorded, hash) {
	case SameModel:
		return "", nil
	case SameWeights:
		return NoTokenizer, nil
	}
	return "", &OtherModelError{recorded, hash}
}
