package lm

import (
	"fmt"

	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/lm/tokenizer"
	"keyhole.example/keyhole/nn"
)

// Model is a base model: its shape, its named weights, and how they are wired.
// Several goroutines may compute with it at once, each with its own
// interpreter, as long as none replaces weights.
type Model struct {
	Config    Config
	Tokenizer tokenizer.Tokenizer // nil if the model came without one
	Path      string              // what was loaded; "" for a model made by New

	net      network
	arch     *architecture
	params   []*nn.Param
	byName   map[string]*nn.Param
	shapes   map[string][]int   // as files have them: a vector has one dimension
	whole    map[*nn.Param]bool // weights that are slow to decode in part
	sites    []Site
	file     tensorfile.File // nil for a model made by New
	origins  map[*nn.Param]origin
	settings map[string]any // config.json as it was read, or nil
	pre      string         // LoadOptions.Pre
	digest   digest
}

// Params lists the weights in the order of their declaration: embeddings,
// blocks, last norm, head. A tied head is not listed again.
func (m *Model) Params() []*nn.Param { return append([]*nn.Param(nil), m.params...) }

// Param finds a weight by its Hugging Face name.
func (m *Model) Param(name string) (*nn.Param, bool) {
	p, ok := m.byName[name]
	return p, ok
}

// AsBase takes every edit of the weights back for a while; again ends that. What
// is known of the model under its Hash is known of the base model.
func (m *Model) AsBase() (again func()) {
	var ends []func()
	for _, p := range m.params {
		ends = append(ends, p.AsBase())
	}
	return func() {
		for _, end := range ends {
			end()
		}
	}
}

// Parameters is the number of elements of all weights.
func (m *Model) Parameters() int {
	n := 0
	for _, p := range m.params {
		n += p.Len()
	}
	return n
}

// Head is the language-model head: W [Vocab, Width], with a bias for GPT-J and
// Phi. If Config.Tied, W is the embedding's own Param.
func (m *Model) Head() *nn.Linear { return m.net.headLinear() }

// TokenTable is the token embedding, [Vocab, width of embeddings].
func (m *Model) TokenTable() *nn.Param {
	tokens, _, _ := m.net.embeddings()
	return tokens
}

// Architecture is the name of the Hugging Face class, "GPT2LMHeadModel".
func (m *Model) Architecture() string { return m.arch.class }

// Notes says, a line each, what Load had to assume because the files leave it
// open; for a person to read.
func (m *Model) Notes() []string {
	if m.Tokenizer == nil {
		return nil
	}
	return m.Tokenizer.Notes()
}

// Limit is the largest number of tokens of one text, prompt and continuation
// together.
func (m *Model) Limit() int { return m.Config.limit() }

// CheckLength fails for a text of n tokens that the model has no positions for.
// Callers of Forward check before they compute.
func (m *Model) CheckLength(n int) error {
	if n > m.Limit() {
		return fmt.Errorf("prompt longer than the context: %d tokens, limit %d", n, m.Limit())
	}
	return nil
}

// SetStreaming tells the matrices of blocks [0, blocksBelow) to be decoded at
// each use and not kept, or, with on false, to be kept again. See
// nn.Param.SetStreaming. Weights that a GGUF file has transposed are always
// kept.
func (m *Model) SetStreaming(blocksBelow int, on bool) {
	for _, s := range m.sites {
		if s.Block < blocksBelow && !m.whole[s.Linear.W] {
			s.Linear.W.SetStreaming(on)
		}
	}
}

// Close gives the mapped files back. The weights must not be used afterwards.
func (m *Model) Close() error {
	if m.file == nil {
		return nil
	}
	file := m.file
	m.file = nil
	if err := file.Close(); err != nil {
		return fmt.Errorf("close %s: %w", m.Path, err)
	}
	return nil
}

// checkTokenizer refuses a tokenizer with ids that the embedding lacks.
func (m *Model) checkTokenizer() error {
	if m.Tokenizer != nil && m.Tokenizer.Size() > m.Config.Vocab {
		return fmt.Errorf("%s: a tokenizer that does not fit the model: it has %d tokens, the embedding %d rows; use the tokenizer files that belong to these weights",
			m.Path, m.Tokenizer.Size(), m.Config.Vocab)
	}
	return nil
}
