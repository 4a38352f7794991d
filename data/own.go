package data

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// ownVersion marks records of this package's own format.
const ownVersion = "edit-1"

// ownRecord is an Edit as WriteEdits writes it.
type ownRecord struct {
	Version string `json:"keyhole"`
	Edit
}

// handKeys are the keys that a record without the mark may have: what one
// writes by hand.
func handKeys() []string {
	return []string{"id", "subject", "prompt", "target_new", "target_true", "paraphrases", "relation_id", "join", "occurrence"}
}

// ownKeys are all keys of an Edit.
func ownKeys() []string {
	var out []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Edit]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out = append(out, name)
	}
	return out
}

// matchOwn accepts marked records, and bare ones with prompt and target_new that
// hold nothing but handKeys, or nothing but ownKeys where there are paraphrases or
// answers, which KnowEdit's records do not have.
func matchOwn(f *fields) bool {
	if f.has("keyhole") {
		return true
	}
	may := handKeys()
	if f.has("paraphrases") || bytes.Contains(f.values["locality"], []byte(`"answers"`)) || bytes.Contains(f.values["portability"], []byte(`"answers"`)) {
		may = ownKeys()
	}
	for _, k := range f.keys {
		if !slices.Contains(may, k) {
			return false
		}
	}
	return f.has("prompt", "target_new")
}

// parseOwn reads a record of this package's own format; unknown fields are
// failures, since nobody else adds any.
func parseOwn(f *fields) Edit {
	if f.has("keyhole") && f.text("keyhole") != ownVersion {
		f.fail("keyhole", "want version %q", ownVersion)
	}
	prompt, target := f.text("prompt"), f.text("target_new")
	f.readAll()
	if !f.has("keyhole") && f.is("target_true", "a string") { // as a person writes it
		f.values["target_true"] = append(append([]byte{'['}, f.values["target_true"]...), ']')
	}
	raw, err := json.Marshal(f.values)
	if err != nil {
		f.v.fail("", jsonError(err).Error())
	}
	var rec ownRecord
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&rec); err != nil && f.v.bad == "" {
		f.v.fail("", strings.TrimPrefix(err.Error(), "json: "))
	}
	e := rec.Edit
	e.ID, e.Subject, e.Prompt, e.TargetNew = strings.TrimSpace(e.ID), strings.TrimSpace(e.Subject), prompt, target
	if !f.has("keyhole") && e.Subject != "" && strings.Count(prompt, "{}") == 1 { // by hand: the subject's place is marked
		e.Template, prompt = prompt, strings.Replace(prompt, "{}", e.Subject, 1)
		e.Prompt = prompt
	}
	if e.Template != "" && (e.Subject == "" || strings.Count(e.Template, "{}") != 1 || strings.Replace(e.Template, "{}", e.Subject, 1) != prompt) {
		f.fail("template", "does not give the prompt when the subject is filled in")
	}
	join, err := ParseJoin(string(e.Join))
	if err != nil {
		f.fail("join", "%q is none of auto, space, none", string(e.Join))
	}
	e.Join = join
	if !slices.Contains(occurrences(), e.Occurrence) {
		f.fail("occurrence", "%q is neither first nor last", e.Occurrence)
	}
	checkOwn(f, &e)
	if e.Chain != nil {
		for i := range e.Chain.Edits {
			next := &e.Chain.Edits[i]
			if strings.TrimSpace(next.Prompt) == "" || strings.TrimSpace(next.TargetNew) == "" || next.Chain != nil {
				f.fail("chain", "each further edit needs prompt and target_new and has no chain of its own")
			}
			checkOwn(f, next)
		}
	}
	return e
}

// checkOwn checks what the other parsers see to: no blank text, no prompt without
// an answer.
func checkOwn(f *fields, e *Edit) {
	for name, texts := range map[string][]string{
		"paraphrases": e.Paraphrases, "target_true": e.TargetTrue,
		"target_alternatives": e.TargetAlternatives, "generation_prompts": e.GenerationPrompts,
	} {
		if slices.ContainsFunc(texts, blank) {
			f.fail(name, "holds a blank text")
		}
	}
	for _, m := range []map[string][]Prompt{e.Locality, e.Portability, {"reverse": e.Reverse}} {
		for kind, prompts := range m {
			for _, p := range prompts {
				if blank(p.Prompt) || len(p.Answers) == 0 {
					f.fail(kind, "holds a prompt without text or answers")
				}
				for _, aliases := range p.Answers {
					if len(aliases) == 0 || slices.ContainsFunc(aliases, blank) {
						f.fail(kind, "holds a blank answer")
					}
				}
			}
		}
	}
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }
