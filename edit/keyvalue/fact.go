package keyvalue

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/tokenizer"
	"keyhole.example/keyhole/text"
)

// Which token is looked up.
const (
	SubjectLast           = "subject_last"
	SubjectFirst          = "subject_first"
	SubjectFirstAfterLast = "subject_first_after_last" // the last token of the subject if nothing follows
	Last                  = "last"                     // of the prompt, the target not counted
)

// CheckFactToken fails for a name that is none of these.
func CheckFactToken(name string) error {
	known := []string{SubjectLast, SubjectFirst, SubjectFirstAfterLast, Last}
	if !slices.Contains(known, name) {
		return fmt.Errorf("fact_token: %q is none of %s", name, strings.Join(known, ", "))
	}
	return nil
}

// Text is a tokenised text with its looked-up token.
type Text struct {
	IDs []int32
	At  int
}

// Fact is a request in tokens: the prompt in every context, the bare one first,
// the target's tokens behind a prompt, and the essence prompt "SUBJECT is a",
// whose answer shall stay.
type Fact struct {
	Prompts []Text
	Target  []int32
	Essence Text
}

// CheckRequests fails if there are none or if one of them cannot become a fact,
// as far as that shows without a model: before statistics are collected.
func CheckRequests(requests []edit.Request) error {
	if len(requests) == 0 {
		return errors.New("there is nothing to edit")
	}
	for i := range requests {
		if err := check(&requests[i]); err != nil {
			return err
		}
	}
	return nil
}

func check(r *edit.Request) error {
	if err := r.Validate(true); err != nil {
		return err
	}
	if r.True != "" && strings.TrimSpace(r.True) == strings.TrimSpace(r.Target) {
		return fmt.Errorf("edit %s: the target %q is the present answer; there is nothing to edit", r.ID, r.Target)
	}
	return nil
}

// NewFact tokenises r in the given contexts, texts that are put in front of the
// prompt; the bare prompt is always first.
func NewFact(m *lm.Model, r edit.Request, contexts []string, factToken string) (*Fact, error) {
	if m.Tokenizer == nil {
		return nil, errors.New("the model has no tokenizer")
	}
	if err := check(&r); err != nil {
		return nil, err
	}
	prompt := r.Prompt
	lo, hi, err := text.Find(prompt, r.Subject, r.Occurrence)
	if err != nil {
		return nil, fmt.Errorf("edit %s: %w", r.ID, err)
	}
	f := &Fact{}
	if _, f.Target, err = text.Split(m.Tokenizer, prompt, r.Target, r.Join); err != nil {
		return nil, fmt.Errorf("edit %s: %w", r.ID, err)
	}
	for _, c := range append([]string{""}, contexts...) {
		t, err := newText(m.Tokenizer, c+prompt, len(c)+lo, len(c)+hi, factToken)
		if err != nil {
			return nil, fmt.Errorf("edit %s: %w", r.ID, err)
		}
		if err := text.Fits(m, len(t.IDs), len(f.Target)); err != nil {
			if c != "" {
				err = fmt.Errorf("with a text in front: %w; set contexts.lengths to less", err)
			}
			return nil, fmt.Errorf("edit %s: %w", r.ID, err)
		}
		f.Prompts = append(f.Prompts, t)
	}
	subject := prompt[lo:hi]
	if f.Essence, err = newText(m.Tokenizer, subject+" is a", 0, len(subject), factToken); err != nil {
		return nil, fmt.Errorf("edit %s: %w", r.ID, err)
	}
	return f, nil
}

// newText tokenises s, whose subject is bytes [lo, hi), and looks the token
// up.
func newText(tok tokenizer.Tokenizer, s string, lo, hi int, factToken string) (Text, error) {
	ids, spans := text.Spans(tok, s)
	first, end, ok := text.Range(spans, lo, hi)
	if !ok {
		return Text{}, fmt.Errorf("subject %q has no tokens of its own in %q", s[lo:hi], s)
	}
	t := Text{IDs: ids}
	switch factToken {
	case SubjectFirst:
		t.At = first
	case SubjectFirstAfterLast:
		t.At = min(end, len(ids)-1)
	case Last:
		t.At = len(ids) - 1
	default:
		t.At = end - 1
	}
	return t, nil
}
