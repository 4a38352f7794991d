package tokenizer

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// Fields of SentencePiece's ModelProto (sentencepiece_model.proto).
const (
	protoPieces     = 1
	protoTrainer    = 2
	protoNormalizer = 3

	protoPieceText  = 1
	protoPieceScore = 2
	protoPieceKind  = 3

	protoTrainerKind = 3
	pieceUnigram     = 1
	pieceBPE         = 2

	protoNormalizerName    = 1
	protoNormalizerCharmap = 2
	protoNormalizerDummy   = 3
)

// protoMetadata is what a tokenizer.model says, under the keys of GGUF, whose types of
// tokens are SentencePiece's.
type protoMetadata map[string]any

func (p protoMetadata) Get(key string) (any, bool) { v, ok := p[key]; return v, ok }

// fromPieces builds the tokenizer of a folder that has SentencePiece's
// tokenizer.model and no tokenizer.json, as transformers' fast classes convert
// it: by merges in the order of scores, without the file's own normalisation.
func fromPieces(data []byte, file string, st settings, side map[string][]byte) (Tokenizer, error) {
	p, err := buildPieces(data, st)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", file, err)
	}
	for name, content := range side {
		p.files[name] = content
	}
	p.files[filePieces] = data
	return p, nil
}

func buildPieces(data []byte, st settings) (*pipeline, error) {
	meta, rule, err := parsePieces(data)
	if err != nil {
		return nil, err
	}
	if st.Class == "" {
		st.Class = "LlamaTokenizer" // whose file this is
	}
	tokens := meta["tokenizer.ggml.tokens"].([]string)
	for _, name := range st.missing(func(name string) bool { return slices.Contains(tokens, name) }) {
		tokens = append(tokens, name)
		meta["tokenizer.ggml.scores"] = append(meta["tokenizer.ggml.scores"].([]float32), 0)
		meta["tokenizer.ggml.token_type"] = append(meta["tokenizer.ggml.token_type"].([]int64), ggufControl)
	}
	meta["tokenizer.ggml.tokens"] = tokens
	before, after, _ := st.around()
	for key, name := range map[string]string{"bos": before, "eos": after} {
		if i := slices.Index(tokens, name); i >= 0 && name != "" {
			meta["tokenizer.ggml."+key+"_token_id"] = i
		}
	}
	meta["tokenizer.ggml.add_bos_token"], meta["tokenizer.ggml.add_eos_token"] = before != "", after != ""
	p, err := fromGGUF(&ggufReader{meta: meta})
	if err != nil {
		return nil, err
	}
	p.setEnds(st)
	if rule != "" {
		p.note("%s: its normalisation %q is not applied, as in transformers' fast tokenizers", filePieces, rule)
	}
	return p, nil
}

// parsePieces reads a ModelProto; rule names a normalisation that changes texts.
func parsePieces(data []byte) (meta protoMetadata, rule string, err error) {
	var tokens []string
	var scores []float32
	var kinds []int64
	kind, prefix, charmap := int64(pieceUnigram), true, false
	err = eachField(data, func(number protowire.Number, f field) error {
		switch number {
		case protoPieces:
			text, score, kind := "", float32(0), int64(ggufNormal)
			err := eachField(f.bytes, func(number protowire.Number, f field) error {
				switch number {
				case protoPieceText:
					text = string(f.bytes)
				case protoPieceScore:
					score = math.Float32frombits(uint32(f.number))
				case protoPieceKind:
					kind = int64(f.number)
				}
				return nil
			})
			if kind == ggufUser { // found in a text as it stands, as llama.cpp's converter writes it
				text = strings.ReplaceAll(text, "▁", " ")
			}
			tokens, scores, kinds = append(tokens, text), append(scores, score), append(kinds, kind)
			return err
		case protoTrainer:
			return eachField(f.bytes, func(number protowire.Number, f field) error {
				if number == protoTrainerKind {
					kind = int64(f.number)
				}
				return nil
			})
		case protoNormalizer:
			return eachField(f.bytes, func(number protowire.Number, f field) error {
				switch number {
				case protoNormalizerName:
					rule = string(f.bytes)
				case protoNormalizerCharmap:
					charmap = len(f.bytes) > 0
				case protoNormalizerDummy:
					prefix = f.number != 0
				}
				return nil
			})
		}
		return nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("not a SentencePiece model: %w", err)
	}
	if len(tokens) == 0 {
		return nil, "", errors.New("not a SentencePiece model: there are no pieces in it")
	}
	if kind != pieceBPE {
		return nil, "", fmt.Errorf("a SentencePiece model of type %d is not supported (want %d, BPE); put tokenizer.json beside the weights", kind, pieceBPE)
	}
	if !charmap {
		rule = ""
	}
	return protoMetadata{
		"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.scores": scores,
		"tokenizer.ggml.token_type": kinds, "tokenizer.ggml.add_space_prefix": prefix,
	}, rule, nil
}

// field is a value of the wire format: bytes, or a number in the low bits.
type field struct {
	bytes  []byte
	number uint64
}

// eachField calls take for each field of a message in order.
func eachField(data []byte, take func(protowire.Number, field) error) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		var f field
		switch kind {
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(data)
		case protowire.VarintType:
			f.number, n = protowire.ConsumeVarint(data)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(data)
			f.number = uint64(v)
		default:
			n = protowire.ConsumeFieldValue(number, kind, data)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		if err := take(number, f); err != nil {
			return err
		}
	}
	return nil
}
