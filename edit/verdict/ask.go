package verdict

import (
	"context"
	"fmt"
	"math"
	"slices"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/text"
)

// front is what an edit puts in front of a query; nil: no edit.
func front(e *edit.Edited, query string) (string, error) {
	if e == nil || e.Context == nil {
		return "", nil
	}
	return e.Context(query)
}

// way is who answers a query, and what stands in front of it.
type way struct {
	model  *lm.Model // the judge's own, or one that an edit has answer
	before string
	share  float64 // of model in the answer; the rest is the judge's own
}

// way decides that; answer is what is scored, if anything.
func (j *Judge) way(e *edit.Edited, query, answer string) (way, error) {
	if r := e.ResponderOf(); r != nil {
		a, err := r.Respond(query, answer)
		if err != nil || a.Model == nil {
			return way{model: j.m, share: 1}, err
		}
		return way{a.Model, a.Context, a.Share}, nil
	}
	before, err := front(e, query)
	return way{j.m, before, 1}, err
}

// said is what the model makes of a request.
type said struct {
	text  string  // greedy answer
	prob  float64 // of the target
	right bool    // the target is said
}

// askAll asks for every request.
func (j *Judge) askAll(ctx context.Context, e *edit.Edited) ([]said, error) {
	var out []said
	for i, r := range j.requests {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		tokens := j.opts.Tokens
		if i >= j.opts.Answers {
			tokens = 0
		}
		s, err := j.ask(r, e, tokens)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// ask asks the model as it is for a request's target; with tokens above 0 also
// for a greedy answer of so many tokens.
func (j *Judge) ask(r edit.Request, e *edit.Edited, tokens int) (said, error) {
	w, err := j.way(e, r.Prompt, r.Target)
	if err != nil {
		return said{}, fmt.Errorf("edit %s: %w", r.ID, err)
	}
	t, err := j.text(w, r)
	if err != nil {
		return said{}, fmt.Errorf("edit %s: %w", r.ID, err)
	}
	first := t.Prompt() - 1
	want := t.Labels[first:]
	logits, err := j.logits(w.model, e, part{t.IDs, first})
	if err == nil && w.share < 1 {
		logits, err = j.mixed(w, logits, r)
	}
	if err != nil {
		return said{}, fmt.Errorf("edit %s: %w", r.ID, err)
	}
	var out said
	nll := 0.0
	got := make([]int32, len(want))
	for i, w := range want {
		d := distribution(logits.Data[i*logits.Cols : (i+1)*logits.Cols])
		nll -= d.log(w)
		got[i] = d.best
	}
	out.right = text.Said(j.m.Tokenizer, want, got)
	out.prob = math.Exp(-nll)
	if tokens == 0 {
		out.text = j.m.Tokenizer.Decode(got)
		return out, nil
	}
	if out.text, err = j.generate(w, r.Prompt, max(tokens, len(want)), e); err != nil {
		return said{}, fmt.Errorf("edit %s: %w", r.ID, err)
	}
	out.right = out.right || text.Begins(out.text, r.Target)
	return out, nil
}

// text is a request as it is asked.
func (j *Judge) text(w way, r edit.Request) (text.Text, error) {
	if w.model == j.m {
		return text.Ask(j.m, w.before+r.Prompt, r.Target, r.Join)
	}
	_, a, err := text.Split(j.m.Tokenizer, r.Prompt, r.Target, r.Join)
	if err != nil {
		return text.Text{}, err
	}
	p := text.Prompt(j.m.Tokenizer, w.before+r.Prompt)
	return text.Asked(p, a), text.Fits(w.model, len(p), len(a))
}

// mixed mixes the judge's own model's answer into another's logits.
func (j *Judge) mixed(w way, logits kernel.Matrix, r edit.Request) (kernel.Matrix, error) {
	other := slices.Clone(logits.Data[:logits.Rows*logits.Cols])
	t, err := text.Ask(j.m, r.Prompt, r.Target, r.Join)
	if err != nil {
		return kernel.Matrix{}, err
	}
	own, err := j.logits(j.m, nil, part{t.IDs, len(t.IDs) - logits.Rows})
	if err != nil {
		return kernel.Matrix{}, err
	}
	for lo := 0; lo < len(other); lo += own.Cols {
		edit.Mix(other[lo:lo+own.Cols], own.Data[lo:lo+own.Cols], other[lo:lo+own.Cols], w.share)
	}
	return kernel.Mat(other, own.Rows, own.Cols), nil
}

// answer is a greedy answer to a prompt.
func (j *Judge) answer(prompt string, e *edit.Edited) (string, error) {
	w, err := j.way(e, prompt, "")
	if err != nil {
		return "", fmt.Errorf("prompt %q: %w", prompt, err)
	}
	return j.generate(w, prompt, j.opts.Tokens, e)
}

// generate continues a prompt, behind what stands before it, with at most n
// tokens, as text without the prompt.
func (j *Judge) generate(w way, prompt string, n int, e *edit.Edited) (string, error) {
	j.o.Deltas = nil
	if a := e.AdapterOf(); a != nil {
		defer edit.InterceptText(j.o, a)()
	}
	ids := j.m.Tokenizer.EncodePrompt(w.before + prompt)
	next, err := w.model.Generate(j.o, ids, lm.GenerateOptions{Tokens: n, StopAtEOS: true})
	if err != nil {
		return "", fmt.Errorf("prompt %q: %w", prompt, err)
	}
	return j.m.Continuation(ids, next), nil
}

// part is a text of which the logits from a row on are wanted, the last of its
// prompt.
type part struct {
	ids  []int32
	from int
}

// logits of texts under m from the rows that they say on, [rows, vocab].
func (j *Judge) logits(m *lm.Model, e *edit.Edited, parts ...part) (kernel.Matrix, error) {
	j.o.Reset()
	j.o.Deltas = nil
	var texts [][]int32
	var spans []edit.Span
	var want nn.RowSet
	at := 0
	for _, p := range parts {
		end := at + len(p.ids)
		texts = append(texts, p.ids)
		spans = append(spans, edit.Span{Range: nn.Range{Lo: at, Hi: end}, Prompt: p.from + 1})
		for i := at + p.from; i < end; i++ {
			want.V = append(want.V, int32(i))
		}
		at = end
	}
	laid, seq := text.Lay(texts...)
	a := e.AdapterOf()
	if a == nil {
		out := m.Logits(j.o, lm.Forward(j.o, m, laid, seq, &want))
		return out, j.o.Err()
	}
	// what stands behind a layer sees every row of the text, in the last block too
	defer edit.Intercept(j.o, a, spans)()
	out := m.Logits(j.o, j.o.Rows(lm.Forward[kernel.Matrix](j.o, m, laid, seq, nil), &want))
	return out, j.o.Err()
}

// row is a distribution over the vocabulary.
type row struct {
	logits []float32
	total  float64 // log of the sum of exp
	best   int32   // −1 where no value is a number
}

func distribution(logits []float32) row {
	best, total := kernel.LogSum64(logits)
	return row{logits, total, best}
}

// log is the log probability of a token.
func (r row) log(token int32) float64 { return float64(r.logits[token]) - r.total }

// divergence is KL(r ‖ o) in nats; NaN where one of them has no numbers.
func (r row) divergence(o row) float64 {
	sum := 0.0
	for i, v := range r.logits {
		l := float64(v) - r.total
		if p := math.Exp(l); p > 0 || math.IsNaN(p) {
			sum += p * (l - (float64(o.logits[i]) - o.total))
		}
	}
	if math.IsNaN(o.total) {
		return math.NaN()
	}
	return max(sum, 0)
}

// atOnce bounds the rows that are computed together.
const atOnce = 1024

// rows are the distributions behind prompts.
func (j *Judge) rows(ctx context.Context, prompts []string, e *edit.Edited) ([]row, error) {
	var models []*lm.Model
	var parts []part
	for _, p := range prompts {
		w, err := j.way(e, p, "")
		if err != nil {
			return nil, err
		}
		ids := j.m.Tokenizer.EncodePrompt(w.before + p)
		if len(ids) == 0 {
			return nil, fmt.Errorf("prompt %q tokenises to nothing", p)
		}
		if err := w.model.CheckLength(len(ids)); err != nil {
			return nil, fmt.Errorf("prompt %q: %w", p, err)
		}
		models, parts = append(models, w.model), append(parts, part{ids, len(ids) - 1})
	}
	var out []row
	for lo := 0; lo < len(parts); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n := 1
		for lo+n < len(parts) && models[lo+n] == models[lo] {
			n++
		}
		n = text.Fitting(parts[lo:lo+n], func(p part) int { return len(p.ids) }, atOnce)
		x, err := j.logits(models[lo], e, parts[lo:lo+n]...)
		if err != nil {
			return nil, fmt.Errorf("prompts from %q on: %w", prompts[lo], err)
		}
		for i := range n {
			out = append(out, distribution(slices.Clone(x.Data[i*x.Cols:(i+1)*x.Cols])))
		}
		lo += n
	}
	return out, nil
}
