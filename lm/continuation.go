package lm

// Continuation is the text of tokens behind those of a prompt, without special
// tokens. Decoding them together with the prompt keeps the blank between the two.
func (m *Model) Continuation(prompt, out []int32) string {
	whole := m.Tokenizer.DecodeSkip(append(append([]int32(nil), prompt...), out...))
	start := m.Tokenizer.DecodeSkip(prompt)
	if len(whole) < len(start) {
		return m.Tokenizer.DecodeSkip(out)
	}
	return whole[len(start):]
}
