package lm

import (
	"fmt"
	"strings"

	"keyhole.example/keyhole/nn"
)

// architecture is everything that differs between base models outside their
// Forward.
type architecture struct {
	modelType string // model_type of config.json
	class     string // architectures[0] of config.json

	read  func(f *fields, c *Config)         // config.json to Config
	write func(c *Config) map[string]any     // and back, all keys but the common ones
	build func(c *Config, b *binder) network // binds every weight by name
	edits []string                           // roles in MEND's shipped order
	gguf  *dialect                           // nil if there are no such GGUF files

	ropeBase  string // key of the rotary base in config.json; "": no rotary positions, or fixed ones
	ropeShare string // key of the part of a head that turns, where it may be less than all
}

// architectures lists the base models, the one place that knows them all
// besides block.
func architectures() []architecture {
	gated := []string{RoleGate, RoleUp, RoleDown}
	plain := []string{RoleUp, RoleDown}
	return []architecture{
		{modelType: "gpt2", class: "GPT2LMHeadModel", read: readGPT2, write: writeGPT2, build: newGPT2,
			edits: []string{RoleDown, RoleUp}, gguf: gpt2Dialect()},
		{modelType: "llama", class: "LlamaForCausalLM", read: readLlama, write: writeLlama, build: newLlama,
			edits: gated, ropeBase: "rope_theta", gguf: llamaDialect("llama", true)},
		{modelType: "mistral", class: "MistralForCausalLM", read: readMistral, write: writeMistral, build: newLlama,
			edits: gated, ropeBase: "rope_theta"},
		{modelType: "qwen2", class: "Qwen2ForCausalLM", read: readQwen2, write: writeQwen2, build: newLlama,
			edits: gated, ropeBase: "rope_theta", gguf: llamaDialect("qwen2", false)},
		{modelType: "qwen3", class: "Qwen3ForCausalLM", read: readQwen3, write: writeQwen3, build: newLlama,
			edits: gated, ropeBase: "rope_theta", gguf: qwen3Dialect()},
		{modelType: "smollm3", class: "SmolLM3ForCausalLM", read: readSmolLM3, write: writeSmolLM3, build: newLlama,
			edits: gated, ropeBase: "rope_theta", gguf: smolLM3Dialect()},
		{modelType: "ministral", class: "MinistralForCausalLM", read: readMinistral, write: writeMinistral, build: newLlama,
			edits: gated, ropeBase: "rope_theta"},
		{modelType: "phi3", class: "Phi3ForCausalLM", read: readPhi3, write: writePhi3, build: newPhi3,
			edits: []string{RoleGateUp, RoleDown}, ropeBase: "rope_theta", ropeShare: "partial_rotary_factor", gguf: phi3Dialect()},
		{modelType: "gemma2", class: "Gemma2ForCausalLM", read: readGemma2, write: writeGemma2, build: newGemma,
			edits: gated, ropeBase: "rope_theta", gguf: gemma2Dialect()},
		{modelType: "gemma3_text", class: "Gemma3ForCausalLM", read: readGemma3, write: writeGemma3, build: newGemma,
			edits: gated, gguf: gemma3Dialect()},
		{modelType: "gptj", class: "GPTJForCausalLM", read: readGPTJ, write: writeGPTJ, build: newGPTJ, edits: plain},
		{modelType: "gpt_neox", class: "GPTNeoXForCausalLM", read: readNeoX, write: writeNeoX, build: newNeoX,
			edits: plain, gguf: neoxDialect(), ropeBase: "rotary_emb_base", ropeShare: "rotary_pct"},
		{modelType: "opt", class: "OPTForCausalLM", read: readOPT, write: writeOPT, build: newOPT, edits: plain},
		{modelType: "phi", class: "PhiForCausalLM", read: readPhi, write: writePhi, build: newPhi,
			edits: plain, gguf: phiDialect(), ropeBase: "rope_theta", ropeShare: "partial_rotary_factor"},
	}
}

// block runs block i of net on x; see Blocks.
func block[T any](o nn.Ops[T], net network, i int, x T, s *nn.Sequences, want *nn.RowSet) T {
	switch m := net.(type) {
	case *gpt2:
		return gpt2Block(o, m, i, x, s, want)
	case *llama:
		return llamaBlock(o, m, i, x, s, want)
	case *gptj:
		return gptjBlock(o, m, i, x, s, want)
	case *neox:
		return neoxBlock(o, m, i, x, s, want)
	case *opt:
		return optBlock(o, m, i, x, s, want)
	case *phi:
		return phiBlock(o, m, i, x, s, want)
	case *phi3:
		return phi3Block(o, m, i, x, s, want)
	case *gemma:
		return gemmaBlock(o, m, i, x, s, want)
	}
	panic(fmt.Sprintf("lm: no block for %T", net))
}

// network is what a bound architecture has besides its blocks.
type network interface {
	embeddings() (tokens, positions *nn.Param, offset int32)
	embedScale() float32
	finalNorm() (norm *nn.Norm, rms bool)
	headLinear() *nn.Linear
}

// trunk is the part of a network outside its blocks.
type trunk struct {
	tokens    *nn.Param // [Vocab, Width]
	positions *nn.Param // [Context + offset, Width]; nil with rotary positions
	offset    int32     // what is added to a position
	scale     float32   // of the token embeddings; 0: 1
	norm      *nn.Norm
	rms       bool
	head      *nn.Linear
}

func (t *trunk) embeddings() (tokens, positions *nn.Param, offset int32) {
	return t.tokens, t.positions, t.offset
}
func (t *trunk) embedScale() float32                  { return t.scale }
func (t *trunk) finalNorm() (norm *nn.Norm, rms bool) { return t.norm, t.rms }
func (t *trunk) headLinear() *nn.Linear               { return t.head }

// findArchitecture goes by model_type and, where that is missing, by class.
func findArchitecture(modelType, class string) (*architecture, error) {
	var known []string
	for _, a := range architectures() {
		if a.modelType == modelType || modelType == "" && a.class == class {
			return &a, nil
		}
		known = append(known, a.modelType)
	}
	name := modelType
	if name == "" {
		name = class
	}
	return nil, fmt.Errorf("architecture %q is not supported (want %s)", name, strings.Join(known, ", "))
}

// ggufArchitecture goes by general.architecture.
func ggufArchitecture(name string) (*architecture, error) {
	var known []string
	for _, a := range architectures() {
		if a.gguf == nil {
			continue
		}
		if a.gguf.name == name {
			return &a, nil
		}
		known = append(known, a.gguf.name)
	}
	return nil, fmt.Errorf("architecture %q is not supported in GGUF files (want %s)", name, strings.Join(known, ", "))
}
