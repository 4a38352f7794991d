package data

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"keyhole.example/keyhole/internal/nearest"
)

// The keys of a fact written by hand. Each may be written in several ways.
const (
	keyID          = "id"
	keyPrompt      = "prompt"
	keyTarget      = "target"
	keySubject     = "subject"
	keyParaphrases = "paraphrases"
	keyNeighbours  = "neighbours"
	keyTrue        = "target_true"
	keyRelation    = "relation_id"
)

// factKeys gives the key that each spelling stands for.
func factKeys() map[string]string {
	return map[string]string{
		"id": keyID, "relation_id": keyRelation,
		"prompt": keyPrompt, "question": keyPrompt,
		"target": keyTarget, "target_new": keyTarget, "answer": keyTarget,
		"subject":     keySubject,
		"paraphrases": keyParaphrases, "paraphrase": keyParaphrases, "rephrase": keyParaphrases, "rephrases": keyParaphrases, "rephrase_prompt": keyParaphrases,
		"neighbours": keyNeighbours, "neighbors": keyNeighbours, "neighbour": keyNeighbours, "neighbor": keyNeighbours,
		"target_true": keyTrue, "ground_truth": keyTrue, "true": keyTrue,
	}
}

// answerSign parts a neighbour from its answer in a text.
const answerSign = "=>"

// matchFacts accepts what a person may have meant as a fact: a prompt with a
// target, either of them perhaps misspelled. A question with an answer and
// nothing else is one of nq-locality.
func matchFacts(f *fields) bool {
	prompts, targets, others, near := 0, 0, 0, 0
	for _, k := range f.keys {
		low := strings.ToLower(k)
		switch factKeys()[low] {
		case keyPrompt:
			prompts++
		case keyTarget:
			targets++
		case "":
			if meant, ok := meantKey(k); ok && (meant == keyPrompt || meant == keyTarget) {
				near++
			}
		case keyParaphrases, keyNeighbours, keyTrue, keySubject:
			others++
		}
	}
	if f.has("question", "answer") && others == 0 {
		return false
	}
	return (prompts > 0 && targets > 0) || (prompts+targets > 0 && near > 0)
}

// meantKey is what a misspelled key was meant to be.
func meantKey(k string) (string, bool) {
	spelling, ok := nearest.Name(k, slices.Sorted(maps.Keys(factKeys())))
	return factKeys()[spelling], ok
}

// parseFacts reads a fact that a person wrote: prompt and target, and perhaps
// subject, paraphrases, neighbours and target_true.
func parseFacts(f *fields) Edit {
	at := map[string]string{} // key → how it is spelled here
	for _, k := range f.keys {
		key := factKeys()[strings.ToLower(k)]
		switch {
		case key == "":
			f.fail(k, "unknown key; %s", adviceFor(k))
		case at[key] != "":
			f.fail(k, "says the same as %s; keep one of them", at[key])
		default:
			at[key] = k
		}
	}
	for _, key := range []string{keyPrompt, keyTarget} {
		if at[key] == "" {
			f.fail(key, "is missing")
		}
	}
	e := Edit{Prompt: f.fact(at[keyPrompt]), TargetNew: f.fact(at[keyTarget]), Subject: f.fact(at[keySubject]), RelationID: f.fact(at[keyRelation])}
	if f.v.bad == "" && (e.Prompt == "" || e.TargetNew == "") {
		key := at[keyPrompt]
		if e.Prompt != "" {
			key = at[keyTarget]
		}
		f.fail(key, "is empty")
	}
	if k := at[keyID]; k != "" {
		e.ID = f.optionalID(k)
	}
	if e.Subject != "" && !strings.Contains(e.Prompt, e.Subject) {
		f.fail(at[keySubject], "%q does not occur in the prompt %q; write it as it stands there, or leave it out", e.Subject, e.Prompt)
	}
	e.Paraphrases = f.factList(at[keyParaphrases])
	e.TargetTrue = f.factList(at[keyTrue])
	f.neighbours(&e, at[keyNeighbours])
	return e
}

// adviceFor says what to write instead of an unknown key.
func adviceFor(k string) string {
	if spelling, ok := nearest.Name(k, slices.Sorted(maps.Keys(factKeys()))); ok {
		return fmt.Sprintf("did you mean %s?", spelling)
	}
	return "a fact has prompt, target, subject, paraphrases, neighbours, target_true and id"
}

// fact is a text under a key that may be "" or missing; a whole number counts as
// the text that it is written with, such as a year. Other numbers are refused: 1.50
// and 1.5 are one number, but two texts.
func (f *fields) fact(key string) string {
	raw := f.value(key)
	if key == "" || raw == nil {
		return ""
	}
	return f.plain(f.at(key), raw)
}

func (f *fields) plain(path string, raw json.RawMessage) string {
	if number := strings.TrimSpace(string(raw)); kindOf(raw) == "a number" && !strings.ContainsAny(number, ".eE") {
		return number
	}
	return decodeString(f.v, path, raw)
}

// factList is a text or a list of texts.
func (f *fields) factList(key string) []string {
	raw := f.value(key)
	if key == "" || raw == nil {
		return nil
	}
	items := []json.RawMessage{raw}
	if kindOf(raw) == "a list" {
		items = decodeList(f.v, f.at(key), raw)
	}
	var out []string
	for i, item := range items {
		if s := f.plain(fmt.Sprintf("%s[%d]", f.at(key), i), item); s != "" {
			out = append(out, s)
		} else if f.v.bad == "" {
			f.fail(key, "holds an empty text")
		}
	}
	return out
}

// neighbours reads prompts that must keep their answer: "prompt => answer",
// {prompt, answer}, or a prompt alone, whose answer is that which was true of the
// fact, as in CounterFact.
func (f *fields) neighbours(e *Edit, key string) {
	raw := f.value(key)
	if key == "" || raw == nil {
		return
	}
	items := []json.RawMessage{raw}
	if kindOf(raw) == "a list" {
		items = decodeList(f.v, f.at(key), raw)
	}
	for i, item := range items {
		path := fmt.Sprintf("%s[%d]", f.at(key), i)
		var p Prompt
		if kindOf(item) == "an object" {
			p = f.child(path, item).neighbour()
		} else {
			prompt, answer, _ := strings.Cut(f.plain(path, item), answerSign)
			p.Prompt = strings.TrimSpace(prompt)
			p.Answers = one(strings.TrimSpace(answer))
		}
		if len(p.Answers) == 0 && len(e.TargetTrue) > 0 {
			p.Answers = [][]string{slices.Clone(e.TargetTrue)}
		}
		switch {
		case f.v.bad != "":
			return
		case p.Prompt == "":
			f.v.fail(path, "is empty")
		case len(p.Answers) == 0:
			f.v.fail(path, fmt.Sprintf("has no answer to keep; write %q, or give the fact's target_true, which it then shares", p.Prompt+" "+answerSign+" ANSWER"))
		default:
			addPrompt(&e.Locality, Neighborhood, p)
		}
	}
}

// neighbour reads {prompt, answer}.
func (f *fields) neighbour() Prompt {
	var p Prompt
	for _, k := range f.keys {
		switch factKeys()[strings.ToLower(k)] {
		case keyPrompt:
			p.Prompt = f.fact(k)
		case keyTarget, keyTrue:
			p.Answers = aliasesOf(f.factList(k))
		default:
			f.fail(k, "unknown key; a neighbour has prompt and answer")
		}
	}
	return p
}

// aliasesOf makes the answers of a prompt with one answer of several names.
func aliasesOf(names []string) [][]string {
	if len(names) == 0 {
		return nil
	}
	return [][]string{names}
}
