package serve

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// piece is a part of a text that is being made; Reason ends it.
type piece struct {
	Index  int    `json:"index"`
	Text   string `json:"text"`
	Reason string `json:"reason"`
}

// asking makes the tokens of a prompt, with what stands beside the weights.
type asking func(d *desk) ([]int32, writing, error)

// writeAll makes a text of each prompt on the edited model.
func (s *Server) writeAll(ctx context.Context, j *job, list []asking) ([]*written, error) {
	var out []*written
	for i, ask := range list {
		e, err := s.desk.with(true)
		if err != nil {
			return nil, err
		}
		ids, w, err := ask(s.desk)
		if err != nil {
			return nil, err
		}
		w.Piece = func(text string) { j.tell("piece", piece{i, text, ""}) }
		one, err := s.desk.write(ctx, ids, e, w)
		if err != nil {
			return nil, err
		}
		s.metrics.made(one.Made)
		j.tell("piece", piece{i, "", one.Reason})
		out = append(out, one)
	}
	return out, nil
}

// usage counts tokens.
type usage struct {
	Prompt int `json:"prompt_tokens"`
	Made   int `json:"completion_tokens"`
	Total  int `json:"total_tokens"`
}

func used(list []*written) *usage {
	u := &usage{}
	for _, w := range list {
		u.Prompt += w.Prompt
		u.Made += w.Made
	}
	u.Total = u.Prompt + u.Made
	return u
}

// completion is the answer of both kinds, whole or in chunks.
type completion struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"`
	Model   string   `json:"model"`
	Choices []choice `json:"choices"`
	Usage   *usage   `json:"usage,omitempty"`
}

// choice is one text; the kind of completion says which of its members it has.
type choice struct {
	Index    int      `json:"index"`
	Text     *string  `json:"text,omitempty"`
	Message  *message `json:"message,omitempty"`
	Delta    *message `json:"delta,omitempty"`
	Logprobs *string  `json:"logprobs"` // always null
	Reason   *string  `json:"finish_reason"`
}

type message struct {
	Role    string `json:"role,omitempty"`
	Content string `json:"content"`
}

// kind tells the two kinds of completions apart.
type kind struct {
	prefix, whole, chunk string
	choice               func(w *written) choice
	delta                func(p piece, first bool) choice
}

func reason(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func plainKind() kind {
	return kind{"cmpl-", "text_completion", "text_completion",
		func(w *written) choice { return choice{Text: &w.Text} },
		func(p piece, _ bool) choice { return choice{Text: &p.Text} }}
}

func chatKind() kind {
	return kind{"chatcmpl-", "chat.completion", "chat.completion.chunk",
		func(w *written) choice { return choice{Message: &message{"assistant", w.Text}} },
		func(p piece, first bool) choice {
			d := &message{Content: p.Text}
			if first {
				d.Role = "assistant"
			}
			return choice{Delta: d}
		}}
}

// complete answers a request for completions.
func (s *Server) complete(w http.ResponseWriter, r *http.Request, q *sampling, k kind, list []asking) error {
	c := completion{ID: k.prefix + secretID(), Object: k.whole, Created: time.Now().Unix(), Model: s.opts.Name}
	work := func(ctx context.Context, j *job) (any, error) { return s.writeAll(ctx, j, list) }
	if q.Stream {
		c.Object = k.chunk
		return s.stream(w, r, q, k, c, newJob(s.ctx, "completion", clientOf(r), work))
	}
	out, err := s.do(r, "completion", work)
	if err != nil {
		return err
	}
	all := out.([]*written)
	for i, one := range all {
		x := k.choice(one)
		x.Index, x.Reason = i, reason(one.Reason)
		c.Choices = append(c.Choices, x)
	}
	c.Usage = used(all)
	reply(w, http.StatusOK, c)
	return nil
}

// stream answers with chunks. What fails before the first of them is an error of
// its own status.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, q *sampling, k kind, c completion, j *job) error {
	if err := s.queue.add(j); err != nil {
		return err
	}
	defer j.cancel(errGone)
	var e *sender
	send := func(v any) error {
		if e == nil {
			e = s.events(w)
		}
		raw, err := encode(v)
		if err != nil {
			return err
		}
		return e.data(raw)
	}
	seen, first := 0, map[int]bool{}
	for {
		list, last, more := j.after(seen)
		for _, x := range list {
			seen = x.seq
			if x.name != "piece" {
				continue
			}
			var p piece
			if err := json.Unmarshal(x.data, &p); err != nil {
				return err
			}
			d := k.delta(p, !first[p.Index])
			first[p.Index] = true
			d.Index, d.Reason = p.Index, reason(p.Reason)
			c.Choices = []choice{d}
			if err := send(c); err != nil {
				return nil // the client is gone
			}
		}
		if last {
			break
		}
		if e != nil {
			if !e.wait(r, more) {
				return nil
			}
			continue
		}
		select {
		case <-more:
		case <-r.Context().Done():
			return errGone
		}
	}
	out, err := j.wait(r.Context())
	switch {
	case err != nil && e == nil:
		return err
	case err != nil:
		_ = send(openAIErrorOf(err)) // the last thing that is sent
		return nil
	case q.Options.Usage:
		c.Choices, c.Usage = []choice{}, used(out.([]*written))
		if err := send(c); err != nil {
			return nil
		}
	}
	_ = e.data([]byte("[DONE]"))
	return nil
}

// modelItem is the model in a list of models.
type modelItem struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	Owner   string `json:"owned_by"`
}

func (s *Server) item() modelItem {
	return modelItem{s.opts.Name, "model", s.started.Unix(), "keyhole"}
}

func (s *Server) models(w http.ResponseWriter, _ *http.Request) error {
	reply(w, http.StatusOK, map[string]any{"object": "list", "data": []modelItem{s.item()}})
	return nil
}

func (s *Server) model(w http.ResponseWriter, r *http.Request) error {
	if r.PathValue("id") != s.opts.Name {
		return missing("model", r.PathValue("id"))
	}
	reply(w, http.StatusOK, s.item())
	return nil
}

// openAIError is an error as OpenAI's clients read it.
type openAIError struct {
	Error struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	} `json:"error"`
}

func openAIErrorOf(err error) openAIError {
	status, field := statusOf(err)
	var body openAIError
	e := &body.Error
	e.Message, e.Param = messageOf(err, status), reason(field)
	switch {
	case status == http.StatusUnauthorized:
		e.Type = "authentication_error"
	case status == http.StatusTooManyRequests:
		e.Type = "rate_limit_error"
	case status == http.StatusNotFound:
		e.Type = "not_found_error"
	case status < http.StatusInternalServerError:
		e.Type = "invalid_request_error"
	default:
		e.Type = "server_error"
	}
	return body
}

func failOpenAI(w http.ResponseWriter, err error) {
	status, _ := statusOf(err)
	later(w, status)
	reply(w, status, openAIErrorOf(err))
}
