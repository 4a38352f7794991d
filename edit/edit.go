package edit

import (
	"context"
	"fmt"
	"strings"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/text"
)

// Request asks for one edit: after Prompt the model shall say Target.
type Request struct {
	ID      string
	Prompt  string // with the subject filled in
	Subject string // as it stands in Prompt; some editors need it
	Target  string // the new answer, without a leading space
	True    string // the old answer, if known; only evaluation uses it
	// Join says how Target follows Prompt.
	Join data.Join
	// Occurrence says which place is meant where Subject stands in Prompt more
	// than once.
	Occurrence text.Occurrence
}

// Requests are the edits of a record: its own, and those chained to it.
func Requests(e *data.Edit) []Request {
	r := Request{
		ID: e.ID, Prompt: e.Prompt, Subject: e.Subject, Target: e.TargetNew,
		Join: e.Join, Occurrence: text.Place(e),
	}
	if len(e.TargetTrue) > 0 {
		r.True = e.TargetTrue[0]
	}
	out := []Request{r}
	if e.Chain != nil {
		for i := range e.Chain.Edits {
			out = append(out, Requests(&e.Chain.Edits[i])...)
		}
	}
	return out
}

// Validate checks what every editor needs; subject tells whether the editor
// needs the subject, which then must stand in the prompt, as Occurrence says.
func (r *Request) Validate(subject bool) error {
	switch {
	case strings.TrimSpace(r.Prompt) == "":
		return fmt.Errorf("edit %s: the prompt is empty", r.ID)
	case strings.TrimSpace(r.Target) == "":
		return fmt.Errorf("edit %s: the target is empty; say what %q should be answered with", r.ID, r.Prompt)
	case !subject:
		return nil
	case r.Subject == "":
		return fmt.Errorf("edit %s: this editor needs a subject; name the words of %q that the fact is about", r.ID, r.Prompt)
	}
	if _, _, err := text.Find(r.Prompt, r.Subject, r.Occurrence); err != nil {
		return fmt.Errorf("edit %s: %w", r.ID, err)
	}
	return nil
}

// Editor makes edits. Apply does not change the model: it returns what would
// change, computed from the model as it is now.
type Editor interface {
	// Name is the editor's name in tables and on the command line.
	Name() string
	// Apply computes one edit of all requests together.
	Apply(ctx context.Context, m *lm.Model, requests []Request) (*Edited, error)
}

// Edited is the outcome of an edit: changes of weights, or a context to put
// in front of queries, or neither.
type Edited struct {
	Editor   string
	Requests []Request
	Changes  []Change // by weight, in the order to be applied
	// Context returns the text to put in front of a query, for editors that
	// change no weights; nil otherwise.
	Context func(query string) (string, error)
	// Memory is what the editor keeps of this edit and of those before it in its
	// sequence, beside weights; nil: nothing.
	Memory Memory
	// Report are figures about the edit, in printing order.
	Report []Figure
}

// Figure is one number or text about an edit.
type Figure struct {
	Name  string `json:"name"`
	Value any    `json:"value"`
}

// SawEarlier is the figure of an edit whose values were found in the model with edits
// before it: their number. Taking one of them away leaves these values as they are.
const SawEarlier = "saw_earlier"

// Sees tells whether the edit has that figure.
func (e *Edited) Sees() bool {
	for _, f := range e.Report {
		if f.Name == SawEarlier {
			return true
		}
	}
	return false
}

// Add appends a figure to the report.
func (e *Edited) Add(name string, value any) {
	e.Report = append(e.Report, Figure{name, value})
}
