package serve

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"

	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/chat"
)

// sampling is what the two kinds of completions have in common. The zero value of
// temperature is greedy, so that an edit's answer is seen as it is.
type sampling struct {
	Model       string          `json:"model"` // there is one; any name is taken
	MaxTokens   *int            `json:"max_tokens"`
	Temperature float64         `json:"temperature"`
	TopK        int             `json:"top_k"`
	TopP        *float64        `json:"top_p"`
	Seed        *int64          `json:"seed"`
	N           *int            `json:"n"`
	Stop        texts           `json:"stop"`
	Stream      bool            `json:"stream"`
	Options     streamOptions   `json:"stream_options"`
	Presence    float64         `json:"presence_penalty"`
	Frequency   float64         `json:"frequency_penalty"`
	LogitBias   map[string]any  `json:"logit_bias"`
	Logprobs    json.RawMessage `json:"logprobs"`
}

type streamOptions struct {
	Usage bool `json:"include_usage"`
}

// texts is a text or several.
type texts []string

// UnmarshalJSON implements json.Unmarshaler.
func (t *texts) UnmarshalJSON(raw []byte) error {
	var one string
	if err := json.Unmarshal(raw, &one); err == nil {
		if *t = (texts{one}); string(raw) == "null" {
			*t = nil
		}
		return nil
	}
	var all []string
	if err := json.Unmarshal(raw, &all); err != nil {
		return fmt.Errorf("%.40s is neither a text nor a list of texts", raw)
	}
	*t = all
	return nil
}

// Bounds of OpenAI's requests.
const (
	maxStops    = 4
	maxBatch    = 16 // prompts of a request
	maxMessages = 256
)

// check refuses what is not possible, rather than doing something else.
func (q *sampling) check() error {
	logprobs := len(q.Logprobs) > 0 && !bytes.Equal(q.Logprobs, []byte("null")) && !bytes.Equal(q.Logprobs, []byte("false"))
	switch {
	case q.N != nil && *q.N != 1:
		return wrong("n", "n has to be 1")
	case q.TopP != nil && *q.TopP != 1:
		return wrong("top_p", "top_p has to be 1; top_k bounds what is drawn from")
	case q.Presence != 0:
		return wrong("presence_penalty", "presence_penalty has to be 0")
	case q.Frequency != 0:
		return wrong("frequency_penalty", "frequency_penalty has to be 0")
	case len(q.LogitBias) > 0:
		return wrong("logit_bias", "logit_bias is not possible here")
	case logprobs:
		return wrong("logprobs", "logprobs are not possible here; POST /api/v1/next gives the next tokens' probabilities")
	case !(q.Temperature >= 0 && q.Temperature <= 100):
		return wrong("temperature", "temperature has to be from 0, the most probable token always, to 100")
	case q.TopK < 0:
		return wrong("top_k", "top_k has to be positive, or 0 for all tokens")
	case q.MaxTokens != nil && (*q.MaxTokens < 1 || *q.MaxTokens > maxTokens):
		return wrong("max_tokens", "max_tokens has to be from 1 to %d", maxTokens)
	case len(q.Stop) > maxStops:
		return wrong("stop", "there are %d texts to stop at; %d are possible", len(q.Stop), maxStops)
	}
	for _, s := range q.Stop {
		if s == "" || len(s) > maxText {
			return wrong("stop", "a text to stop at is empty, or longer than %d bytes", maxText)
		}
	}
	return nil
}

// writing is how a text is to be made, of so many tokens unless told otherwise.
func (q *sampling) writing(tokens int) writing {
	w := writing{Tokens: tokens, Stop: q.Stop, Sampler: lm.Sampler{Temperature: q.Temperature, TopK: q.TopK}}
	if q.MaxTokens != nil {
		w.Tokens = *q.MaxTokens
	}
	if q.Seed != nil {
		w.Sampler.Seed = uint64(*q.Seed)
	} else {
		w.Sampler.Seed = rand.Uint64()
	}
	return w
}

func (s *Server) completions(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		sampling
		Prompt texts  `json:"prompt"`
		Echo   bool   `json:"echo"`
		BestOf *int   `json:"best_of"`
		Suffix string `json:"suffix"`
	}
	if err := read(w, r, &q, true); err != nil {
		return err
	}
	if err := q.check(); err != nil {
		return err
	}
	switch {
	case len(q.Prompt) == 0 || len(q.Prompt) > maxBatch:
		return wrong("prompt", "prompt has to be a text, or a list of one to %d", maxBatch)
	case q.Echo || q.BestOf != nil && *q.BestOf != 1 || q.Suffix != "":
		return wrong("echo", "echo, best_of and suffix are not possible here")
	}
	const usual = 16
	var list []asking
	for _, p := range q.Prompt {
		one := prompted{Prompt: p}
		if err := one.check(); err != nil {
			return err
		}
		list = append(list, func(d *desk) ([]int32, writing, error) {
			ids, err := d.asked(p, false, d.on)
			return ids, q.writing(usual), err
		})
	}
	return s.complete(w, r, &q.sampling, plainKind(), list)
}

// content is what a message says: a text, or parts that are texts.
type content string

// UnmarshalJSON implements json.Unmarshaler.
func (c *content) UnmarshalJSON(raw []byte) error {
	var one string
	if err := json.Unmarshal(raw, &one); err == nil {
		*c = content(one)
		return nil
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if err := json.Unmarshal(raw, &parts); err != nil {
		return errors.New("the content of a message is neither a text nor a list of parts")
	}
	var b strings.Builder
	for _, p := range parts {
		if p.Type != "text" {
			return fmt.Errorf("a part of a message is of the type %.20q, and texts alone are possible", p.Type)
		}
		b.WriteString(p.Text)
	}
	*c = content(b.String())
	return nil
}

func (s *Server) chatCompletions(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		sampling
		Messages []struct {
			Role    string  `json:"role"`
			Content content `json:"content"`
		} `json:"messages"`
		MaxCompletionTokens *int              `json:"max_completion_tokens"`
		Tools               []json.RawMessage `json:"tools"`
	}
	if err := read(w, r, &q, true); err != nil {
		return err
	}
	q.MaxTokens = cmp.Or(q.MaxCompletionTokens, q.MaxTokens)
	if err := q.check(); err != nil {
		return err
	}
	switch {
	case len(q.Messages) == 0 || len(q.Messages) > maxMessages:
		return wrong("messages", "messages has to be a list of one to %d", maxMessages)
	case len(q.Tools) > 0:
		return wrong("tools", "tools are not possible here")
	case s.desk.chat == nil:
		return wrong("messages", "the model %s has no chat template; ask it by /v1/completions", s.opts.Name)
	}
	var list []chat.Message
	for _, m := range q.Messages {
		if m.Role == "developer" { // what newer clients call it
			m.Role = "system"
		}
		list = append(list, chat.Message{Role: m.Role, Content: string(m.Content)})
	}
	const usual = 512
	ask := func(d *desk) ([]int32, writing, error) {
		ids, err := d.chatted(list, "messages", d.on)
		return ids, q.writing(usual), err
	}
	return s.complete(w, r, &q.sampling, chatKind(), []asking{ask})
}
