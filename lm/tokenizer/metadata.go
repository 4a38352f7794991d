package tokenizer

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// ggufReader reads typed values out of metadata.
type ggufReader struct {
	meta  Metadata
	pre   string // the user's word for tokenizer.ggml.pre, or ""
	notes []string
}

func (r *ggufReader) get(key string) (any, error) {
	v, ok := r.meta.Get(key)
	if !ok {
		return nil, fmt.Errorf("no %s in the metadata: the file carries no tokenizer that can be read", key)
	}
	return v, nil
}

func (r *ggufReader) text(key string) (string, error) {
	v, err := r.get(key)
	if err != nil {
		return "", err
	}
	s, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("%s is a %T, want a string", key, v)
	}
	return s, nil
}

func (r *ggufReader) flag(key string, missing bool) bool {
	v, _ := r.meta.Get(key)
	if b, ok := v.(bool); ok {
		return b
	}
	return missing
}

func ggufSlice[T any](r *ggufReader, key string) ([]T, error) {
	v, err := r.get(key)
	if err != nil {
		return nil, err
	}
	list, ok := v.([]T)
	if !ok {
		return nil, fmt.Errorf("%s is a %T, want %T", key, v, list)
	}
	return list, nil
}

// vocabulary returns the tokens with their types.
func (r *ggufReader) vocabulary() ([]string, []int64, error) {
	const keyTokens, keyTypes = "tokenizer.ggml.tokens", "tokenizer.ggml.token_type"
	tokens, err := ggufSlice[string](r, keyTokens)
	if err != nil {
		return nil, nil, err
	}
	for id, token := range tokens {
		if !utf8.ValidString(token) {
			return nil, nil, fmt.Errorf("%s: token %d (%q) is not UTF-8", keyTokens, id, token)
		}
	}
	types := slices.Repeat([]int64{ggufNormal}, len(tokens))
	if v, ok := r.meta.Get(keyTypes); ok {
		if types, ok = integers(v); !ok {
			return nil, nil, fmt.Errorf("%s is a %T, want integers", keyTypes, v)
		}
	}
	if len(types) != len(tokens) {
		return nil, nil, fmt.Errorf("%s has %d values for %d tokens", keyTypes, len(types), len(tokens))
	}
	for id, kind := range types {
		if kind == ggufByte && !isByteName(tokens[id]) {
			return nil, nil, fmt.Errorf("%s: token %d (%q) is marked as a byte, want a name like <0x0A>", keyTypes, id, tokens[id])
		}
	}
	return tokens, types, nil
}

func isByteName(token string) bool {
	b, ok := byteToken(token)
	return ok && token == byteName(b)
}

// settings names the special tokens given by their ids.
func (r *ggufReader) settings(tokens []string) (st settings, err error) {
	for _, t := range []struct {
		key  string
		name **tokenName
	}{
		{"tokenizer.ggml.bos_token_id", &st.BOS},
		{"tokenizer.ggml.eos_token_id", &st.EOS},
		{"tokenizer.ggml.unknown_token_id", &st.Unknown},
		{"tokenizer.ggml.padding_token_id", &st.Pad},
	} {
		if *t.name, err = r.token(t.key, tokens); err != nil {
			return st, err
		}
	}
	return st, nil
}

// token returns the token whose id stands under key, nil without the key.
func (r *ggufReader) token(key string, tokens []string) (*tokenName, error) {
	v, ok := r.meta.Get(key)
	if !ok {
		return nil, nil
	}
	id, ok := integer(v)
	if !ok {
		return nil, fmt.Errorf("%s is a %T, want an integer", key, v)
	}
	if id < 0 || id >= int64(len(tokens)) {
		return nil, fmt.Errorf("%s is %d, outside the vocabulary of %d tokens", key, id, len(tokens))
	}
	name := tokenName(tokens[id])
	return &name, nil
}

func (r *ggufReader) floats(key string) ([]float64, error) {
	v, err := r.get(key)
	if err != nil {
		return nil, err
	}
	switch list := v.(type) {
	case []float64:
		return list, nil
	case []float32:
		out := make([]float64, len(list))
		for i, x := range list {
			out[i] = float64(x)
		}
		return out, nil
	}
	return nil, fmt.Errorf("%s is a %T, want floats", key, v)
}

func integer(v any) (int64, bool) {
	switch x := v.(type) {
	case int:
		return int64(x), true
	case int8:
		return int64(x), true
	case int16:
		return int64(x), true
	case int32:
		return int64(x), true
	case int64:
		return x, true
	case uint:
		return int64(x), true
	case uint8:
		return int64(x), true
	case uint16:
		return int64(x), true
	case uint32:
		return int64(x), true
	case uint64:
		return int64(x), true
	}
	return 0, false
}

func integers(v any) ([]int64, bool) {
	switch x := v.(type) {
	case []int:
		return widen(x), true
	case []int8:
		return widen(x), true
	case []int16:
		return widen(x), true
	case []int32:
		return widen(x), true
	case []int64:
		return x, true
	case []uint:
		return widen(x), true
	case []uint8:
		return widen(x), true
	case []uint16:
		return widen(x), true
	case []uint32:
		return widen(x), true
	case []uint64:
		return widen(x), true
	}
	return nil, false
}

func widen[T int | int8 | int16 | int32 | uint | uint8 | uint16 | uint32 | uint64](list []T) []int64 {
	out := make([]int64, len(list))
	for i, x := range list {
		out[i] = int64(x)
	}
	return out
}
