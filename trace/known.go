package trace

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/text"
)

// know fails with ErrUnknown unless the model gives the expected answer: by its
// tokens, each the most probable one behind those before it, or by the text that
// the model goes on with. A single token may be a piece of a character and tells
// nothing.
func (t *Tracer) know(q Query, r *run) error {
	_, want, err := text.Split(t.m.Tokenizer, q.Prompt, q.Answer, q.Join)
	if err != nil {
		return err
	}
	if err := text.Fits(t.m, len(r.ids), len(want)); err != nil {
		return err
	}
	known := want[0] == r.result.AnswerID && t.cfg.FirstToken
	if !known && want[0] == r.result.AnswerID {
		if known, err = r.says(want); err != nil {
			return err
		}
	}
	said := ""
	if !known {
		out, err := t.m.Generate(r.o, r.ids, lm.GenerateOptions{Tokens: len(want) + 1})
		if err != nil {
			return err
		}
		for k := 1; k <= len(out) && !known; k++ {
			said = strings.TrimSpace(t.m.Tokenizer.DecodeSkip(out[:k]))
			known = said == strings.TrimSpace(q.Answer)
		}
		known = known || text.Begins(said, q.Answer)
	}
	if !known {
		return fmt.Errorf("the answer is %q, not %q: %w", said, q.Answer, ErrUnknown)
	}
	if strings.ContainsRune(r.result.Answer, utf8.RuneError) {
		r.result.Answer = q.Answer // its first token alone is no text
	}
	return nil
}

// says tells whether each of the tokens is the most probable one behind the
// prompt and those before it.
func (r *run) says(want []int32) (bool, error) {
	ids := append(slices.Clone(r.ids), want[:len(want)-1]...)
	rows := &nn.RowSet{}
	for i := range want {
		rows.V = append(rows.V, int32(len(r.ids)-1+i))
	}
	r.o.Reset()
	laid, seq := text.Lay(ids)
	final := lm.Forward[kernel.Matrix](r.o, r.m, laid, seq, rows)
	best := make([]int32, len(want))
	r.o.Scope(func() kernel.Matrix {
		logits := r.m.Logits(r.o, final)
		r.o.Engine().ArgMax(best, logits.Data, len(want), logits.Cols)
		return kernel.Matrix{}
	})
	return slices.Equal(best, want), r.o.Err()
}
