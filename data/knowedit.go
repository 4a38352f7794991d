package data

import "strings"

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
	for _, aliases := range f.answers("ground_truth") {
		e.TargetTrue = append(e.TargetTrue, aliases...)
	}
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
