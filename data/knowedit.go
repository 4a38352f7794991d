package data

import (
	"slices"
	"strings"
)

// matchKnowEdit accepts records with objects of portability or locality prompts.
func matchKnowEdit(f *fields) bool {
	return f.has("subject", "prompt", "target_new") &&
		(f.is("portability", "an object") || f.is("locality", "an object"))
}

// parseKnowEdit reads the factual subsets of KnowEdit. ground_truth may be a
// string, a list, a list of lists of aliases, or absent. The paraphrases that
// some files carry as generate_prompt follow the file's own.
func parseKnowEdit(f *fields) Edit {
	e := Edit{
		ID: f.optionalID("case_id"), Subject: f.text("subject"), Prompt: f.text("prompt"),
		TargetNew: f.text("target_new"),
	}
	e.TargetTrue = flat(f.answers("ground_truth"))
	for _, key := range []string{"rephrase", "rephrase_prompt"} {
		if p := f.optional(key); p != "" {
			e.Paraphrases = append(e.Paraphrases, p)
		}
	}
	e.Paraphrases = append(e.Paraphrases, f.texts("generate_prompt")...)
	e.Portability = f.kinds("portability")
	e.Locality = f.kinds("locality")
	return e
}

// parseCKnowEdit reads CKnowEdit: target_old is the answer that a model gave
// before, the prompts are lists of {prompt, answer} without a kind. There is no
// subject in the files as distributed.
func parseCKnowEdit(f *fields) Edit {
	e := Edit{
		ID: f.optionalID("id"), Subject: f.optional("subject"), Prompt: f.text("prompt"), TargetNew: f.text("target_new"),
		TargetTrue: flat(f.answers("target_old")), Paraphrases: flat(f.answers("rephrase")),
	}
	for key, to := range map[string]*map[string][]Prompt{"portability": &e.Portability, "locality": &e.Locality} {
		kind := map[string]string{"portability": OneHop, "locality": Unrelated}[key]
		if f.is(key, "an object") {
			*to = f.kinds(key)
			continue
		}
		for _, item := range f.objects(key) {
			f.addTo(to, kind, item.blank("prompt"), item.answers("answer"))
		}
	}
	return e
}

// flat is all texts of a list of answers.
func flat(answers [][]string) []string { return slices.Concat(answers...) }

// parseWikiBio reads KnowEdit's WikiBio: the context is the prompt and the right
// next sentence the target.
func parseWikiBio(f *fields) Edit {
	return Edit{
		Subject: f.text("concept"), Prompt: f.text("text"), TargetNew: f.text("labels"),
		Locality: f.kinds("locality"),
	}
}

// kinds reads an object of lists of {prompt, ground_truth} under normalised
// names. The field may be missing.
func (f *fields) kinds(key string) map[string][]Prompt {
	if f.value(key) == nil {
		return nil
	}
	var out map[string][]Prompt
	all := f.object(key)
	for _, name := range all.keys {
		for _, item := range all.objects(name) {
			f.addTo(&out, kindName(name), item.blank("prompt"), item.answers("ground_truth"))
		}
	}
	return out
}

// kindName returns this package's name for one of KnowEdit's kinds.
func kindName(name string) string {
	switch strings.ToLower(name) {
	case "reasoning":
		return OneHop
	case "subject_aliasing":
		return SubjectAlias
	case "logical_generalization":
		return LogicalGeneralization
	case "relation_specificity":
		return RelationSpecificity
	case "forgetfulness":
		return Forgetfulness
	}
	return name
}
