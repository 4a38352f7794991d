package keyvalue

import "keyhole.example/keyhole/lm"

// LooksUpEarly tells models whose published settings edit early blocks from
// those edited at a third of the depth. ROME edits block 17 of 48 of GPT-2 XL
// and 15 of 44 of GPT-NeoX, but 5 of 28 of GPT-J and 5 of 32 of Llama-like
// models; MEMIT's last block is 17 of GPT-2 XL, but 8 of GPT-J and of Llama.
func LooksUpEarly(m *lm.Model) bool {
	switch m.Config.ModelType {
	case "gpt2", "gpt_neox", "opt":
		return false
	}
	return true
}
