package lm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"keyhole.example/keyhole/lm/gguf"
	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/lm/tokenizer"
	"keyhole.example/keyhole/lm/torchfile"
)

// LoadOptions says what a file leaves open or gets wrong.
type LoadOptions struct {
	// Pre names the pre-tokenizer of a GGUF file, in place of its own
	// tokenizer.ggml.pre: "llama-bpe", "qwen2", …
	Pre string
}

// Load is LoadWith without options.
func Load(path string) (*Model, error) { return LoadWith(path, LoadOptions{}) }

// LoadWith opens a base model: a Hugging Face folder (config.json, safetensors
// or pytorch_model.bin, and a tokenizer if there is one) or a GGUF file. Weights stay in the mapped
// file: F32 is used in place, everything else is decoded when it is needed.
//
// A missing, surplus or misshaped tensor, a NaN or infinity among the weights,
// and a tokenizer with more tokens than the embedding are errors. What was assumed
// because the files leave it open, Model.Notes says. Close the model when done.
func LoadWith(path string, opts LoadOptions) (*Model, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	load := loadGGUF
	if info.IsDir() {
		load = loadFolder
	}
	m, err := load(path, opts)
	if err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	return m, nil
}

// notWeights are tensors that old files have among the weights: causal masks
// and the frequencies of rotary positions.
var notWeights = regexp.MustCompile(`(^|\.)attn\.(masked_)?bias$|\.attention\.(masked_)?bias$|\.rotary_emb\.inv_freq$`)

func loadFolder(dir string, opts LoadOptions) (*Model, error) {
	if opts.Pre != "" {
		return nil, fmt.Errorf("%s: a pre-tokenizer (%q) can be chosen for GGUF files alone; a folder has its own in tokenizer.json", dir, opts.Pre)
	}
	arch, c, settings, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	file, err := openWeights(dir)
	if err != nil {
		return nil, err
	}
	src := newFileSource(file, func(w weight) place { return place{names: spellings(w.name)} })
	src.ignored = notWeights
	m, err := newModel(arch, c, src)
	if err == nil {
		err = src.ignoreTiedHead(m)
	}
	if err == nil {
		err = src.finish()
	}
	if err != nil {
		return nil, errors.Join(named(err, dir), file.Close())
	}
	m.Path, m.file, m.settings = dir, file, settings
	m.Tokenizer, err = tokenizer.Load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		m.Tokenizer, err = nil, nil
	}
	return m.checked(err)
}

// openWeights opens a folder's safetensors or, where there are none, what
// torch.save wrote.
func openWeights(dir string) (tensorfile.File, error) {
	file, err := safetensors.OpenDir(dir)
	switch {
	case err == nil:
		return file, nil
	case !errors.Is(err, safetensors.ErrNoWeights):
		return nil, err
	case torchfile.There(dir):
		file, err := torchfile.OpenDir(dir)
		if err != nil {
			return nil, err
		}
		return file, nil
	}
	for _, other := range []string{"tf_model.h5", "flax_model.msgpack", "model.gguf"} {
		if _, there := os.Stat(filepath.Join(dir, other)); there == nil {
			return nil, fmt.Errorf("%w; %s is there, but it is not read: convert it with transformers (from_pretrained, then save_pretrained), or name a GGUF file itself", err, other)
		}
	}
	return nil, err
}

// named puts the path before an error of the architecture, which doesn't know
// it.
func named(err error, path string) error {
	if strings.Contains(err.Error(), path) {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// checked ends a load: on an error the file is closed.
func (m *Model) checked(err error) (*Model, error) {
	if err == nil {
		err = m.checkTokenizer()
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// spellings are the names under which a folder may keep a weight: ours, and
// without the base model's name in front, as files saved from the base class
// have it.
func spellings(name string) []string {
	all := []string{name}
	for _, prefix := range []string{"transformer.", "model.", "gpt_neox."} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			all = append(all, rest)
		}
	}
	return all
}

// ignoreTiedHead accepts a head that is stored beside the embedding it is tied
// to, if it is the same.
func (s *fileSource) ignoreTiedHead(m *Model) error {
	if !m.Config.Tied {
		return nil
	}
	for _, name := range []string{"lm_head.weight", "embed_out.weight", "output.weight"} {
		head, ok := s.file.Tensor(name)
		if !ok || s.used[name] {
			continue
		}
		if !sameBytes(head, s.bound[0]) { // the embedding is bound first
			return fmt.Errorf("%s: tensor %s differs from %s, but tie_word_embeddings says that they are one; set it to false if the model has a head of its own",
				s.file.Path(), name, s.bound[0].Name)
		}
		s.used[name] = true
	}
	return nil
}

func loadGGUF(path string, opts LoadOptions) (*Model, error) {
	file, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	m, err := bindGGUF(file)
	if err != nil {
		return nil, errors.Join(named(err, path), file.Close())
	}
	m.Path, m.file, m.pre = path, file, opts.Pre
	if file.Has("tokenizer.ggml.model") {
		m.Tokenizer, err = tokenizer.FromGGUF(ggufValues{file}, path, opts.Pre)
	}
	return m.checked(err)
}

// ggufValues is the metadata as package tokenizer asks for them.
type ggufValues struct{ file *gguf.File }

func (v ggufValues) Get(key string) (any, bool) { return v.file.Value(key) }
