package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/tensorfile"
	"keyhole.example/keyhole/nn/eager"
)

// embeddedName stands for the model in the binary where a model is asked for.
const embeddedName = "embedded"

// openModel loads a base model for editing or generating: a folder, a GGUF
// file, or the embedded one.
func openModel(path string) (*lm.Model, error) {
	load := func() (*lm.Model, error) { return lm.Load(path) }
	if path == embeddedName {
		load = sources().Model
	}
	m, err := load()
	if err != nil {
		return nil, err
	}
	if m.Tokenizer == nil {
		return nil, fmt.Errorf("%s: the model has no tokenizer; put tokenizer.json beside its weights", path)
	}
	return m, nil
}

// dtypeOf reads a --dtype.
func dtypeOf(name string) (tensorfile.DType, error) {
	switch name {
	case "f32":
		return tensorfile.F32, nil
	case "f16":
		return tensorfile.F16, nil
	case "bf16":
		return tensorfile.BF16, nil
	}
	return 0, wrongUse("--dtype %q is none of f32, f16, bf16", name)
}

// answer continues a prompt greedily with at most n tokens, as text without
// the prompt. If context is not empty it stands before the prompt.
func answer(m *lm.Model, e *kernel.Engine, context, prompt string, n int) (string, error) {
	ids := m.Tokenizer.EncodePrompt(context + prompt)
	out, err := m.Generate(eager.New(e), ids, lm.GenerateOptions{Tokens: n, StopAtEOS: true})
	if err != nil {
		return "", fmt.Errorf("prompt %q: %w", prompt, err)
	}
	return continuation(m, ids, out), nil
}

// continuation is the text of the new tokens; decoding them together with the
// prompt keeps the blank between the two.
func continuation(m *lm.Model, prompt, out []int32) string {
	whole := m.Tokenizer.DecodeSkip(append(append([]int32(nil), prompt...), out...))
	start := m.Tokenizer.DecodeSkip(prompt)
	if len(whole) < len(start) {
		return m.Tokenizer.DecodeSkip(out)
	}
	return whole[len(start):]
}

// threadsFlag adds --threads.
func threadsFlag(c *cobra.Command) *int {
	return c.Flags().Int("threads", 0, "threads; 0: all cores. No result depends on it")
}

func newEngine(threads int) (*kernel.Engine, error) {
	if threads < 0 {
		return nil, wrongUse("--threads %d is negative; 0 means all cores", threads)
	}
	return kernel.New(kernel.Options{Threads: threads})
}
