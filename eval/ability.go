package eval

import (
	"fmt"
	"math"
	"time"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/text"
)

// AbilityText is a text that tells how well a model still predicts what no edit
// was about.
type AbilityText struct {
	Name  string   // for messages
	Texts []string // its documents, paragraphs or lines
}

// Of a document so many tokens are read, the first ones (half of a short one)
// without being asked for; so many are asked for in all.
const (
	abilityWindow = 128
	abilityStart  = 16
	abilityTokens = 4096
)

// Ability compares an edited model with the base model on a text: how likely is
// each token behind the first 16 of a document, what is the most probable one.
type Ability struct {
	Tokens    int     `json:"tokens"`
	NLLBefore float64 `json:"nll_before"` // of the base model, nats a token
	NLL       float64 `json:"nll"`
	Agreement float64 `json:"agreement"` // share of tokens with the same most probable one
	KL        float64 `json:"kl"`        // KL(base ‖ edited), nats a token
	NotFinite bool    `json:"not_finite,omitempty"`

	// PerplexityBefore and Perplexity are exp of the NLLs.
	PerplexityBefore float64 `json:"perplexity_before"`
	Perplexity       float64 `json:"perplexity"`
}

// abilityProbes are the texts as probes: the beginning of each is its prompt.
func (r *run) abilityProbes() ([]*Probe, error) {
	var out []*Probe
	limit := min(abilityWindow, r.Model.Limit())
	asked := 0
	for _, document := range r.Ability.Texts {
		if asked >= abilityTokens {
			break
		}
		ids := r.Model.Tokenizer.EncodeSpecial(document)
		ids = ids[:min(len(ids), limit+1)]
		start := min(abilityStart, len(ids)/2)
		if start == 0 {
			continue
		}
		t := text.Text{IDs: ids[:len(ids)-1], Labels: make([]int32, len(ids)-1)}
		for i := range t.Labels {
			t.Labels[i] = -1
			if i >= start-1 {
				t.Labels[i] = ids[i+1]
			}
		}
		p := &Probe{Prompt: r.Model.Tokenizer.DecodeSkip(ids[:start]), Text: t, KL: true}
		asked += p.tokens()
		out = append(out, p)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("text %s for general ability: it has no document of two tokens; name another text", r.Ability.Name)
	}
	return out, nil
}

// ability asks the model as the sequence left it.
func (r *run) ability(in *installed) (*Ability, error) {
	probes, err := r.abilityProbes()
	if err != nil {
		return nil, err
	}
	if err := in.lifted(func() error { return r.scorer.Base(probes, in.first) }); err != nil {
		return nil, err
	}
	job := Job{Probes: probes}
	if r.last != nil {
		job.Edited = r.inPlace(r.last)
	}
	if err := r.scorer.Edited([]Job{job}, in.first); err != nil {
		return nil, err
	}
	if err := r.timeTokens(in, job); err != nil {
		return nil, err
	}
	out := &Ability{}
	for _, p := range probes {
		n := p.tokens()
		out.Tokens += n
		out.NLLBefore += p.Base.MeanNLL() * float64(n)
		if !p.finite() {
			out.NotFinite = true
			continue
		}
		out.NLL += p.Edited.MeanNLL() * float64(n)
		out.KL += p.Edited.MeanKL() * float64(n)
		out.Agreement += p.Edited.Kept(p.Base) * float64(n)
	}
	n := float64(out.Tokens)
	out.NLLBefore, out.NLL, out.KL, out.Agreement = out.NLLBefore/n, out.NLL/n, out.KL/n, out.Agreement/n
	if out.NotFinite {
		out.NLL, out.KL, out.Agreement = 0, 0, 0
	}
	out.exp()
	return out, nil
}

func (a *Ability) exp() {
	a.PerplexityBefore = finite(math.Exp(a.NLLBefore))
	a.Perplexity = finite(math.Exp(a.NLL))
}

// meanAbility is the mean over sequences.
func meanAbility(list []Ability) Ability {
	out := Ability{}
	n := float64(len(list))
	for _, a := range list {
		out.Tokens += a.Tokens
		out.NotFinite = out.NotFinite || a.NotFinite
		out.NLLBefore += a.NLLBefore / n
		out.NLL += a.NLL / n
		out.Agreement += a.Agreement / n
		out.KL += a.KL / n
	}
	out.exp()
	return out
}

// tokenTimes are how long so many generated tokens took.
type tokenTimes struct {
	Before       float64 `json:"before_seconds"` // of the base model
	After        float64 `json:"after_seconds"`
	BeforeTokens int     `json:"before_tokens"`
	AfterTokens  int     `json:"after_tokens"`
}

// timeTokens measures how long a generated token takes in the base model and in
// the edited one.
func (r *run) timeTokens(in *installed, job Job) error {
	const least = 24
	generate := func(e *edit.Edited) (seconds float64, tokens int, err error) {
		g := &Generation{Prompt: job.Probes[0].Prompt, Least: least}
		start := time.Now()
		err = r.scorer.generateEdited(e, []*Generation{g})
		return time.Since(start).Seconds(), max(1, len(g.Edited)), err
	}
	t := &tokenTimes{}
	err := in.lifted(func() (err error) {
		if _, _, err = generate(nil); err != nil { // the first time memory is found
			return err
		}
		t.Before, t.BeforeTokens, err = generate(nil)
		return err
	})
	if err == nil {
		t.After, t.AfterTokens, err = generate(job.Edited)
	}
	r.tokens = t
	return err
}
