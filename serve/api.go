package serve

import (
	"cmp"
	"context"
	"maps"
	"math"
	"net/http"
	"slices"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/workbench"
)

// statusBody says what the server has.
type statusBody struct {
	Version string     `json:"version"`
	Model   modelBody  `json:"model"`
	Editors []*offer   `json:"editors"`
	Edits   int        `json:"edits"`
	Jobs    jobsBody   `json:"jobs"`
	Data    []string   `json:"data"`
	Limits  limitsBody `json:"limits"`
}

type modelBody struct {
	Name         string `json:"name"`
	Architecture string `json:"architecture"`
	Blocks       int    `json:"blocks"`
	Width        int    `json:"d_model"`
	Parameters   int    `json:"parameters"`
	Chat         bool   `json:"chat"`
	GGUF         bool   `json:"gguf"` // the edited model can be exported as GGUF
}

type jobsBody struct {
	Running int `json:"running"`
	Waiting int `json:"waiting"`
	Limit   int `json:"limit"`
}

// limitsBody are bounds of requests.
type limitsBody struct {
	Body    int `json:"body"`    // bytes
	Prompt  int `json:"prompt"`  // tokens
	Editors int `json:"editors"` // of a trial
	Prompts int `json:"prompts"` // paraphrases of a trial, and likewise neighbours
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) error {
	m := s.opts.Bench.Model
	running, waits := s.queue.count()
	reply(w, http.StatusOK, statusBody{
		Version: s.opts.Version,
		Model: modelBody{
			Name: s.opts.Name, Architecture: m.Architecture(), Blocks: m.Config.Layers, Width: m.Config.Width,
			Parameters: m.Parameters(), Chat: s.desk.chat != nil, GGUF: m.IsGGUF(),
		},
		Editors: s.desk.offers, Edits: len(s.edited()), Jobs: jobsBody{running, waits, s.opts.Waiting}, Data: s.dataNames(),
		Limits: limitsBody{maxBody, min(m.Limit(), maxTokens), maxEditors, maxPrompts},
	})
	return nil
}

// dataNames are the data that can be evaluated on.
func (s *Server) dataNames() []string {
	return append([]string{workbench.Embedded}, slices.Sorted(maps.Keys(s.opts.Data))...)
}

// prompted is a prompt and how to ask it.
type prompted struct {
	Prompt string `json:"prompt"`
	Edits  *bool  `json:"edits"` // absent: true
	Chat   bool   `json:"chat"`
}

func (p *prompted) withEdits() bool { return p.Edits == nil || *p.Edits }

// check refuses prompts that no model has room for, before they are cut into
// tokens.
func (p *prompted) check() error {
	const most = 16 * maxTokens // bytes
	switch {
	case p.Prompt == "":
		return wrong("prompt", "the prompt is empty")
	case len(p.Prompt) > most:
		return wrong("prompt", "the prompt has %d bytes, and %d are possible", len(p.Prompt), most)
	}
	return nil
}

// token is a token of a prompt.
type token struct {
	ID   int32  `json:"id"`
	Text string `json:"text"`
}

// likely is a next token.
type likely struct {
	token
	Probability float64 `json:"probability"`
}

// maxTop bounds the next tokens that are told.
const maxTop = 100

// next tells what the model would say behind a prompt.
func (s *Server) next(w http.ResponseWriter, r *http.Request) error {
	q := struct {
		prompted
		Top int `json:"top"`
	}{Top: 10}
	if err := read(w, r, &q, false); err != nil {
		return err
	}
	if err := q.check(); err != nil {
		return err
	}
	if q.Top < 1 || q.Top > maxTop {
		return wrong("top", "top has to be from 1 to %d", maxTop)
	}
	body, err := s.do(r, "next", func(context.Context, *job) (any, error) {
		return s.desk.next(q.prompted, q.Top)
	})
	if err != nil {
		return err
	}
	reply(w, http.StatusOK, body)
	return nil
}

// nextBody is a prompt's tokens and what follows them.
type nextBody struct {
	Tokens []token  `json:"tokens"`
	Next   []likely `json:"next"` // the most probable first
}

func (d *desk) next(p prompted, top int) (*nextBody, error) {
	e, err := d.with(p.withEdits())
	if err != nil {
		return nil, err
	}
	ids, err := d.asked(p.Prompt, p.Chat, e)
	if err != nil {
		return nil, err
	}
	logits, err := d.logits(ids, e)
	if err != nil {
		return nil, err
	}
	tok := d.bench.Model.Tokenizer
	out := &nextBody{Next: best(logits, top)}
	for i := range out.Next {
		out.Next[i].Text = tok.Decode([]int32{out.Next[i].ID})
	}
	for _, id := range ids {
		out.Tokens = append(out.Tokens, token{id, tok.Decode([]int32{id})})
	}
	return out, nil
}

// best are the most probable tokens of logits, of equal ones the smallest first. It
// remembers no more of them than it gives: a vocabulary has up to some 250,000.
func best(logits []float32, top int) []likely {
	_, total := kernel.LogSum64(logits)
	order := make([]int32, 0, min(top, len(logits))+1)
	for i, v := range logits {
		if len(order) == top && cmp.Compare(v, logits[order[top-1]]) <= 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(order, v, func(kept int32, v float32) int {
			return cmp.Or(cmp.Compare(v, logits[kept]), -1) // behind its equals
		})
		if order = slices.Insert(order, at, int32(i)); len(order) > top {
			order = order[:top]
		}
	}
	out := make([]likely, len(order))
	for i := range out {
		out[i] = likely{token{ID: order[i]}, finite(math.Exp(float64(logits[order[i]]) - total))}
	}
	return out
}

// generate continues a prompt, as a job that gives out the text as it comes.
func (s *Server) generate(w http.ResponseWriter, r *http.Request) error {
	q := struct {
		prompted
		Tokens int `json:"tokens"`
	}{Tokens: 32}
	if err := read(w, r, &q, false); err != nil {
		return err
	}
	if err := q.check(); err != nil {
		return err
	}
	if q.Tokens < 1 || q.Tokens > maxTokens {
		return wrong("tokens", "tokens has to be from 1 to %d", maxTokens)
	}
	return s.launch(w, r, "generate", func(ctx context.Context, j *job) (any, error) {
		e, err := s.desk.with(q.withEdits())
		if err != nil {
			return nil, err
		}
		ids, err := s.desk.asked(q.Prompt, q.Chat, e)
		if err != nil {
			return nil, err
		}
		out, err := s.desk.write(ctx, ids, e, writing{Tokens: q.Tokens, Piece: j.token})
		if err != nil {
			return nil, err
		}
		s.metrics.made(out.Made)
		return map[string]string{"text": out.Text}, nil
	})
}
