package verdict

import (
	"fmt"
	"math"
	"strings"

	"keyhole.example/keyhole/edit"
)

// HeldFigure is the figure of a made edit that counts its requests that held.
const HeldFigure = "held"

// Outcome is what came of one request.
type Outcome struct {
	ID     string `json:"id"`
	Prompt string `json:"prompt"`
	Target string `json:"target"`
	Before string `json:"before"` // greedy answer
	After  string `json:"after"`
	// ProbBefore and ProbAfter are the probability of the whole target behind
	// the prompt: the product over its tokens.
	ProbBefore float64 `json:"prob_before"`
	ProbAfter  float64 `json:"prob_after"`
	Known      bool    `json:"known_before"` // the target was said before the edit
	Success    bool    `json:"success"`      // it was said right after its own edit
	Held       bool    `json:"held"`         // it is said with all edits made
}

// Drift is how far the model went from what it said to unrelated prompts.
type Drift struct {
	Prompts  int      `json:"prompts"`           // that were asked
	Set      string   `json:"set"`               // which ones: the name of a family, or "given"
	Same     float64  `json:"same"`              // share whose most probable token stays
	KL       float64  `json:"kl"`                // mean KL(before ‖ after), nats
	Limit    float64  `json:"limit"`             // of KL, above which the model counts as broken
	Broken   bool     `json:"broken"`            // KL above Limit, or values that are no numbers
	NaN      bool     `json:"nan,omitempty"`     // the edited model computes values that are no numbers
	Examples []Change `json:"changed,omitempty"` // some prompts that are answered otherwise
}

// Change is a prompt with what is said behind it before and after.
type Change struct {
	Prompt string `json:"prompt"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// Verdict is what an edit did.
type Verdict struct {
	Held      bool            `json:"held"`    // every request
	Success   bool            `json:"success"` // every request
	Requests  []Outcome       `json:"requests"`
	Conflicts []edit.Conflict `json:"conflicts,omitempty"`
	Drift     Drift           `json:"drift"`
	Questions []Change        `json:"questions,omitempty"` // of Options, with the greedy answers
}

// Passed reports whether the edit did what was asked for and left the rest.
func (v *Verdict) Passed() bool { return v.Held && !v.Drift.Broken }

// Failed are the requests that are not held.
func (v *Verdict) Failed() []Outcome {
	var out []Outcome
	for _, o := range v.Requests {
		if !o.Held {
			out = append(out, o)
		}
	}
	return out
}

// Problem says in one line why the verdict is not passed; "" if it is.
func (v *Verdict) Problem() string {
	var parts []string
	if failed := v.Failed(); len(failed) == 1 && len(v.Requests) == 1 {
		o := failed[0]
		parts = append(parts, fmt.Sprintf("the edit did not take: %q is answered with %q, not with %q (probability %s, before %s)",
			o.Prompt, strings.TrimSpace(o.After), o.Target, Probability(o.ProbAfter), Probability(o.ProbBefore)))
	} else if len(failed) > 0 {
		o := failed[0]
		parts = append(parts, fmt.Sprintf("%d of %d edits did not take, for example %s: %q is answered with %q, not with %q",
			len(failed), len(v.Requests), o.ID, o.Prompt, strings.TrimSpace(o.After), o.Target))
	}
	switch d := v.Drift; {
	case d.NaN:
		parts = append(parts, "the edited model computes values that are no numbers")
	case d.Broken:
		parts = append(parts, fmt.Sprintf("the model is broken: on %d unrelated prompts it drifted by %.3g nats, more than the limit of %.3g", d.Prompts, d.KL, d.Limit))
	}
	return strings.Join(parts, "; ")
}

// Probability is a probability for people.
func Probability(p float64) string {
	switch {
	case p >= 0.001 || p == 0:
		return fmt.Sprintf("%.3f", p)
	case math.IsNaN(p):
		return "no number"
	}
	return fmt.Sprintf("%.0e", p)
}
