package data

import (
	"fmt"
	"slices"
	"strings"

	"keyhole.example/keyhole/internal/regular"
)

// parseCounterFact reads CounterFact as ROME distributes it, with the fields
// that EasyEdit's companion files add.
func parseCounterFact(f *fields) Edit {
	rw := f.object("requested_rewrite")
	e := parseRewrite(rw)
	e.ID = f.id("case_id")
	e.Paraphrases = f.texts("paraphrase_prompts")
	e.GenerationPrompts = f.texts("generation_prompts")
	truth, target := one(first(e.TargetTrue)), one(e.TargetNew)
	for _, p := range f.texts("neighborhood_prompts") {
		f.addTo(&e.Locality, Neighborhood, p, truth)
	}
	for _, p := range f.texts("distracting_neighborhood_prompts") {
		f.addTo(&e.Locality, Distracting, p, truth)
	}
	for _, p := range f.texts("attribute_prompts") {
		f.addTo(&e.Locality, Attribute, p, target)
	}
	if f.value("unrelated_relation") != nil {
		u := f.object("unrelated_relation")
		f.addTo(&e.Locality, RelationSpecificity, u.blank("question"), one(u.blank("object")))
	}
	if alias := f.optional("alternative_subject"); alias != "" {
		p := strings.Replace(rw.optional("prompt"), "{}", alias, 1)
		f.addTo(&e.Portability, SubjectAlias, p, target)
	}
	addRecalled(f, &e)
	return e
}

// parseRewrite reads a requested_rewrite of CounterFact or MQuAKE.
func parseRewrite(f *fields) Edit {
	target := f.object("target_new")
	e := Edit{
		Subject: f.text("subject"), RelationID: f.optional("relation_id"),
		TargetNew: target.text("str"), TargetNewID: target.optional("id"),
	}
	if f.value("target_true") != nil { // unknown in some files
		e.TargetTrue = nonEmpty(f.object("target_true").optional("str"))
	}
	e.Prompt = f.filled("prompt", e.Subject)
	if e.Subject != "" && strings.Count(e.Prompt, e.Subject) > 1 { // the file knows which place is meant
		e.Template = strings.TrimSpace(f.text("prompt"))
	}
	return e
}

// filled returns the template under key with the subject for its one {}.
func (f *fields) filled(key, subject string) string {
	template := f.text(key)
	if n := strings.Count(template, "{}"); n != 1 && template != "" {
		f.fail(key, "want one {} for the subject, found %d", n)
	}
	return strings.TrimSpace(strings.Replace(template, "{}", subject, 1))
}

// parseCounterFactFlat reads CounterFact as EasyEdit flattens it, with the
// derived fields split, prompt_template and relation_id where present.
func parseCounterFactFlat(f *fields) Edit {
	e := Edit{
		ID: f.id("case_id"), Subject: f.text("subject"), Prompt: f.text("prompt"),
		TargetNew: f.text("target_new"), TargetTrue: flat(f.answers("ground_truth")),
		RelationID: f.optional("relation_id"),
	}
	e.Source.Split = f.optional("split")
	if p := f.optional("rephrase_prompt"); p != "" {
		e.Paraphrases = []string{p}
	}
	if t := f.optional("prompt_template"); t != "" && f.filled("prompt_template", e.Subject) != e.Prompt {
		f.fail("prompt_template", "does not give the prompt when the subject is filled in")
	}
	f.addTo(&e.Locality, Neighborhood, f.blank("locality_prompt"), one(f.optional("locality_ground_truth")))
	addRecalled(f, &e)
	return e
}

// neighbor is a record of a counterfact-neighbors file.
type neighbor struct {
	caseID       string
	neighborhood []string
	paraphrases  []string
}

func parseNeighbor(f *fields) neighbor {
	return neighbor{
		caseID: f.id("case_id"), neighborhood: f.texts("neighborhood_prompts"),
		paraphrases: f.texts("paraphrase_prompts"),
	}
}

// MergeNeighbors adds the prompts of a counterfact-neighbors file to the edits
// with the same case id. Neighbourhood prompts replace the edit's own, which is
// the first of them; the right answer to each is the edit's true one. Paraphrases
// are added to those that are there. Edits that the file does not have keep what
// they have; s.Merged counts those that it has. It is an error if there is none.
// Of o, SkipBad and MaxRecord count; what is skipped goes to s.Notes.
func (s *Set) MergeNeighbors(path string, o Options) error {
	r, err := regular.Open(path)
	if err != nil {
		return fmt.Errorf("open neighbours: %w", err)
	}
	defer r.Close()
	at := make(map[string]int, len(s.Edits))
	for i := range s.Edits {
		at[s.Edits[i].ID] = i
	}
	merged := make(map[string]bool)
	sc := scanner{name: path, o: o.companion(), use: wants("Set.MergeNeighbors")}
	sc.take = func(fm Format, f *fields, _ Source) bool {
		n := fm.neighbor(f)
		i, ok := at[n.caseID]
		if f.v.bad != "" || !ok {
			return false
		}
		if merged[n.caseID] {
			f.fail("case_id", "%s occurs twice", n.caseID)
			return false
		}
		merged[n.caseID] = true
		s.Edits[i].merge(n)
		return true
	}
	if err := sc.run(r); err != nil {
		return err
	}
	if len(merged) == 0 {
		return fmt.Errorf("%s: has none of the case ids of %s", path, s.Path)
	}
	s.Merged = len(merged)
	s.noteCompanion(path, sc.dropped.list)
	return nil
}

func (e *Edit) merge(n neighbor) {
	if truth := first(e.TargetTrue); truth != "" && len(n.neighborhood) > 0 {
		delete(e.Locality, Neighborhood)
		for _, p := range n.neighborhood {
			addPrompt(&e.Locality, Neighborhood, Prompt{Prompt: p, Answers: one(truth)})
		}
	}
	for _, p := range n.paraphrases {
		if !slices.Contains(e.Paraphrases, p) {
			e.Paraphrases = append(e.Paraphrases, p)
		}
	}
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
