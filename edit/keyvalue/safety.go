package keyvalue

import (
	"fmt"
	"math"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/text"
)

// UnsafeError says that an edit would ruin the model.
type UnsafeError struct {
	Reason  string
	Figures []edit.Figure // of the edit that was refused
}

// Error implements error.
func (e *UnsafeError) Error() string {
	return "refused: " + e.Reason + "; set force to make the edit all the same"
}

// probe is the fixed text whose perplexity tells whether a model still works.
const probe = "The town lies on the river, about twenty miles from the coast. Most people there work in " +
	"small shops, on farms, or in the school that was built after the war. In the summer the market is open " +
	"every morning, and visitors come to see the old bridge and the church. When it rains, the children play " +
	"inside and their parents read the news."

// Perplexity is that of the probe text in the model as it is.
func Perplexity(m *lm.Model, k *kernel.Engine) (float64, error) {
	ids := text.Prompt(m.Tokenizer, probe)
	ids = ids[:min(len(ids), m.Limit())]
	if len(ids) < 2 {
		return 1, nil
	}
	o := eager.New(k)
	laid, seq := text.Lay(ids)
	logits := m.Logits(o, lm.Forward[kernel.Matrix](o, m, laid, seq, nil))
	if err := o.Err(); err != nil {
		return 0, err
	}
	n := len(ids)
	nll, lse := make([]float32, n), make([]float32, n)
	labels := append(ids[1:n:n], -1)
	k.CrossEntropy(nll, lse, logits.Data, labels, n, logits.Cols)
	sum := 0.0
	for _, v := range nll {
		sum += float64(v)
	}
	return math.Exp(sum / float64(n-1)), nil
}

// Ruins says why a model is ruined that takes the probe text's perplexity from before to
// after; "" where it is not.
func (c *Config) Ruins(before, after float64) string {
	if after <= before*c.MaxPerplexity {
		return ""
	}
	return fmt.Sprintf("the perplexity of plain text grows from %.4g to %.4g, more than %v times", before, after, c.MaxPerplexity)
}

// Refuse refuses an edit with these figures where there is a reason, unless Force is set.
func (c *Config) Refuse(reason string, figures []edit.Figure) error {
	if reason == "" || c.Force {
		return nil
	}
	return &UnsafeError{Reason: reason, Figures: figures}
}
