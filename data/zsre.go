package data

// parseZsREMEND reads zsRE as MEND distributes it: subject, src, rephrase, alt,
// and where present answers, loc with loc_ans, portability. loc keeps its prefix
// "nq question: ". Records without alt have no target and are left out, as the
// reference does. pred and cond (the same facts once more) are not used.
func parseZsREMEND(f *fields) Edit {
	e := zsreQuestion(f)
	if f.has("loc") {
		f.addTo(&e.Locality, Unrelated, f.optional("loc"), one(f.optional("loc_ans")))
	}
	addRecalled(f, &e)
	return e
}

// zsreQuestion reads what all the MEND-like files share.
func zsreQuestion(f *fields) Edit {
	e := Edit{
		ID: f.optionalID("id"), Subject: f.text("subject"), Prompt: f.text("src"),
		TargetNew: f.blank("alt"), TargetTrue: f.texts("answers"),
	}
	f.dropIf(e.TargetNew == "", "alt is empty")
	if p := f.optional("rephrase"); p != "" {
		e.Paraphrases = []string{p}
	}
	return e
}

// addRecalled reads EasyEdit's portability object: a one-hop question.
func addRecalled(f *fields, e *Edit) {
	if f.value("portability") == nil {
		return
	}
	p := f.object("portability")
	f.addTo(&e.Portability, OneHop, p.blank("New Question"), one(p.blank("New Answer")))
}

// parseZsREInverse reads EasyEdit's reversed questions: the answer is the
// subject.
func parseZsREInverse(f *fields) Edit {
	e := zsreQuestion(f)
	e.Reverse = []Prompt{{Prompt: f.text("inverse question"), Answers: one(e.Subject)}}
	return e
}

// parseZsRESubjectReplace reads EasyEdit's questions with another name of the
// subject: the answer is the new one.
func parseZsRESubjectReplace(f *fields) Edit {
	e := zsreQuestion(f)
	addPrompt(&e.Portability, SubjectAlias, Prompt{Prompt: f.text("alter_subject_question"), Answers: one(e.TargetNew)})
	return e
}

// parseZsREMALMEN reads MALMEN's variant, which has no subject and whose target
// is ans.
func parseZsREMALMEN(f *fields) Edit {
	e := Edit{Prompt: f.text("src"), TargetNew: f.text("ans"), Paraphrases: []string{f.text("rephrase")}}
	if f.has("loc") {
		f.addTo(&e.Locality, Unrelated, f.optional("loc"), one(f.optional("loc_ans")))
	}
	return e
}

// parseZsREOriginal reads zsRE of De Cao et al. As in MEND's loader a rephrasing
// equal to the input is no rephrasing, and records without alternatives or
// without rephrasings are left out. There is no subject.
func parseZsREOriginal(f *fields) Edit {
	e := Edit{ID: f.optionalID("id"), Prompt: f.text("input"), TargetAlternatives: f.texts("alternatives")}
	for _, p := range f.texts("filtered_rephrases") {
		if p != e.Prompt {
			e.Paraphrases = append(e.Paraphrases, p)
		}
	}
	for _, out := range f.objects("output") {
		if a := out.optional("answer"); a != "" {
			e.TargetTrue = append(e.TargetTrue, a)
		}
	}
	f.dropIf(len(e.TargetAlternatives) == 0, "no alternatives")
	f.dropIf(len(e.Paraphrases) == 0, "no rephrasing that differs from the question")
	if len(e.TargetAlternatives) > 0 {
		e.TargetNew = e.TargetAlternatives[0]
	}
	return e
}
