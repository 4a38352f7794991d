package main

import (
	"github.com/spf13/cobra"

	"keyhole.example/keyhole/edit/saved"
)

// saving is where and how an edited model is written.
type saving struct{ save, dtype, format string }

func (s *saving) add(c *cobra.Command) {
	fs := c.Flags()
	fs.StringVar(&s.save, "save", "", "write the edited model to this new `folder`")
	fs.StringVar(&s.dtype, "dtype", "", "of the written weights: f32 (default), f16 or bf16; in GGUF of the edited ones alone: f16 (default), q8_0, bf16 or f32")
	fs.StringVar(&s.format, "format", saved.HF, "what --save writes: hf (a Hugging Face folder), gguf (the base model's GGUF file with the edited weights changed) or peft (a LoRA adapter)")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(saved.Formats(), cobra.ShellCompDirectiveNoFileComp))
}

// check completes the flags and refuses what cannot be written.
func (s *saving) check(c *cobra.Command) error {
	switch {
	case s.dtype != "":
	case s.format == saved.GGUF:
		s.dtype = "f16"
	default:
		s.dtype = "f32"
	}
	if err := saved.CheckFormat(s.format, s.dtype); err != nil {
		return wrongUse("--%v", err)
	}
	for _, flag := range []string{"dtype", "format"} {
		if s.save == "" && c.Flags().Changed(flag) {
			return wrongUse("--%s is for the weights that --save writes; add --save FOLDER, or leave it out", flag)
		}
	}
	if s.save == "" {
		return nil
	}
	return saved.FreeFolder(s.save)
}

// model is what will be saved of a base model by that name.
func (s *saving) model(base string) *saved.Model {
	m := &saved.Model{Dir: s.save, DType: s.dtype, Base: base}
	if s.format != saved.HF {
		m.Format = s.format
	}
	return m
}
