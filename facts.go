package keyhole

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/hub"
)

// Fact is one piece of knowledge that a model shall have. Prompt and Target are
// needed.
type Fact struct {
	Prompt string // the start of a sentence, or a question
	Target string // what the model shall say behind it
	// Subject is what the fact is about, as it stands in the prompt; ROME and MEMIT
	// need it.
	Subject string
	// True is what was right before, by all its names.
	True []string
	// Paraphrases are other ways to ask; the target is wanted here too.
	Paraphrases []string
	// Neighbours have to stay as they are.
	Neighbours []Neighbour
}

// Neighbour is a prompt whose answer an edit must not change.
type Neighbour struct{ Prompt, Answer string }

// FactError says what is wrong with one of several facts.
type FactError struct {
	Index int    // of the fact
	Field string // prompt, target, subject, …
	Err   error
}

func (e *FactError) Error() string { return fmt.Sprintf("fact %d: %s: %v", e.Index, e.Field, e.Err) }

// Unwrap gives the reason.
func (e *FactError) Unwrap() error { return e.Err }

// ReadFacts reads facts from a file in any format that the program knows (YAML,
// CSV, JSON, zsRE, CounterFact, …; see `keyhole data formats`), or from a data set
// by its name.
func ReadFacts(ctx context.Context, name string, options ...Option) ([]Fact, error) {
	path, err := find(ctx, name, collect(options), (*hub.Client).Data)
	if err != nil {
		return nil, err
	}
	set, err := data.Load(path, data.Options{})
	if err != nil {
		return nil, err
	}
	out := make([]Fact, len(set.Edits))
	for i, e := range set.Edits {
		out[i] = Fact{Prompt: e.Prompt, Target: e.TargetNew, Subject: e.Subject, True: e.TargetTrue, Paraphrases: e.Paraphrases}
		for _, kind := range slices.Sorted(maps.Keys(e.Locality)) {
			for _, p := range e.Locality[kind] {
				out[i].Neighbours = append(out[i].Neighbours, Neighbour{p.Prompt, p.Answers[0][0]})
			}
		}
	}
	return out, nil
}

// setOf makes a data set of facts, checked as those of a file are.
func setOf(facts []Fact) (*data.Set, error) {
	if len(facts) == 0 {
		return nil, errors.New("there are no facts")
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for i, f := range facts {
		type neighbour struct {
			Prompt string `json:"prompt"`
			Answer string `json:"answer"`
		}
		record := struct {
			ID          string      `json:"id"`
			Prompt      string      `json:"prompt"`
			Target      string      `json:"target"`
			Subject     string      `json:"subject,omitempty"`
			True        []string    `json:"target_true,omitempty"`
			Paraphrases []string    `json:"paraphrases,omitempty"`
			Neighbours  []neighbour `json:"neighbours,omitempty"`
		}{fmt.Sprint(i + 1), f.Prompt, f.Target, f.Subject, f.True, f.Paraphrases, nil}
		for _, n := range f.Neighbours {
			record.Neighbours = append(record.Neighbours, neighbour(n))
		}
		if err := enc.Encode(record); err != nil {
			return nil, err
		}
	}
	set, err := data.Read(&b, "facts", data.Options{Format: "facts"})
	var bad *data.RecordError
	if errors.As(err, &bad) {
		return nil, &FactError{bad.Index, bad.Field, errors.New(bad.Reason)}
	}
	return set, err
}
