package encoder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/internal/regular"
)

// shape is what config.json says of a BERT.
type shape struct {
	ModelType  string  `json:"model_type"`
	Layers     int     `json:"num_hidden_layers"`
	Width      int     `json:"hidden_size"`
	Heads      int     `json:"num_attention_heads"`
	FFN        int     `json:"intermediate_size"`
	Vocab      int     `json:"vocab_size"`
	Positions  int     `json:"max_position_embeddings"`
	Types      int     `json:"type_vocab_size"`
	Eps        float64 `json:"layer_norm_eps"`
	Activation string  `json:"hidden_act"`
	Embedding  string  `json:"position_embedding_type"`
	Pad        int     `json:"pad_token_id"`

	act kernel.Activation
}

// distil is the model_type of a DistilBERT, which has no types and other names.
const distil = "distilbert"

// distilShape is what config.json says of a DistilBERT.
type distilShape struct {
	Layers     int    `json:"n_layers"`
	Width      int    `json:"dim"`
	Heads      int    `json:"n_heads"`
	FFN        int    `json:"hidden_dim"`
	Vocab      int    `json:"vocab_size"`
	Positions  int    `json:"max_position_embeddings"`
	Activation string `json:"activation"`
}

// Limits of what a config may claim, far above any published encoder; they
// keep products of sizes inside an int.
const (
	maxLayers = 1 << 10
	maxWidth  = 1 << 16
	maxTable  = 1 << 24
)

// DefaultMaxTokens is where texts are cut in a folder that doesn't say.
const DefaultMaxTokens = 256

func readShape(dir string) (*shape, error) {
	s := &shape{Eps: 1e-12, Activation: "gelu", Embedding: "absolute"}
	found, err := readJSON(filepath.Join(dir, "config.json"), s)
	if err == nil && !found {
		err = fmt.Errorf("%s: there is no config.json; give the folder of a sentence encoder such as all-MiniLM-L6-v2", dir)
	}
	if err != nil {
		return nil, err
	}
	switch s.ModelType {
	case "bert":
	case distil:
		d := distilShape{Activation: "gelu"}
		if _, err := readJSON(filepath.Join(dir, "config.json"), &d); err != nil {
			return nil, err
		}
		s.Layers, s.Width, s.Heads, s.FFN, s.Vocab, s.Positions, s.Activation = d.Layers, d.Width, d.Heads, d.FFN, d.Vocab, d.Positions, d.Activation
	default:
		return nil, fmt.Errorf("%s: model_type %q is not a BERT; give the folder of a sentence encoder such as all-MiniLM-L6-v2, or none for BM25", dir, s.ModelType)
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("%s: config.json: %w", dir, err)
	}
	return s, nil
}

func (s *shape) check() error {
	for _, f := range []struct {
		name      string
		value, hi int
	}{
		{"num_hidden_layers", s.Layers, maxLayers},
		{"hidden_size", s.Width, maxWidth},
		{"num_attention_heads", s.Heads, s.Width},
		{"intermediate_size", s.FFN, 16 * maxWidth},
		{"vocab_size", s.Vocab, maxTable},
		{"max_position_embeddings", s.Positions, maxTable},
		{"type_vocab_size", s.Types, maxTable},
	} {
		if f.name == "type_vocab_size" && s.ModelType == distil {
			continue
		}
		if f.value < 1 || f.value > f.hi {
			return fmt.Errorf("%s: %d is not in 1 to %d", f.name, f.value, f.hi)
		}
	}
	switch {
	case s.Width%s.Heads != 0:
		return fmt.Errorf("num_attention_heads: %d does not divide hidden_size %d", s.Heads, s.Width)
	case s.Embedding != "absolute":
		return fmt.Errorf("position_embedding_type: %q is not supported (want absolute)", s.Embedding)
	case !(s.Eps >= 0 && s.Eps < 1):
		return fmt.Errorf("layer_norm_eps: %v is not in 0 to 1", s.Eps)
	}
	for _, a := range []kernel.Activation{kernel.GELU, kernel.GELUTanh, kernel.ReLU} {
		if a.String() == s.Activation {
			s.act = a
			return nil
		}
	}
	return fmt.Errorf("hidden_act: %q is not supported (want gelu, gelu_new or relu)", s.Activation)
}

// readMaxTokens is where sentence_bert_config.json cuts texts.
func readMaxTokens(dir string, s *shape) (int, error) {
	var c struct {
		Max *int `json:"max_seq_length"`
	}
	path := filepath.Join(dir, "sentence_bert_config.json")
	if _, err := readJSON(path, &c); err != nil {
		return 0, err
	}
	limit := min(DefaultMaxTokens, s.Positions)
	if c.Max != nil {
		limit = *c.Max
	}
	const least = 3 // [CLS], a token, [SEP]
	if limit < least || limit > s.Positions {
		return 0, fmt.Errorf("%s: max_seq_length: %d is not in %d to the model's %d positions", path, limit, least, s.Positions)
	}
	return limit, nil
}

// checkPooling refuses a folder that asks for another pooling than the mean of
// the token vectors. A folder that says nothing is taken.
func checkPooling(dir string) error {
	var modes map[string]any
	path := filepath.Join(dir, "1_Pooling", "config.json")
	found, err := readJSON(path, &modes)
	if err != nil || !found {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(modes)) {
		if modes[name] == true && name != "pooling_mode_mean_tokens" && strings.HasPrefix(name, "pooling_mode_") {
			return fmt.Errorf("%s: %s is not supported; only the mean of the tokens is", path, name)
		}
	}
	if modes["pooling_mode_mean_tokens"] != true {
		return fmt.Errorf("%s: pooling_mode_mean_tokens is not set; only the mean of the tokens is supported", path)
	}
	return nil
}

// readJSON reads a file into v; false without an error if there is none.
func readJSON(path string, v any) (bool, error) {
	const largest = 1 << 20 // bytes; these files have a few hundred
	text, err := regular.ReadFile(path, largest)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	return true, nil
}
