package data

// parsePitfalls reads a case of edits that contradict one another: the first is
// the edit, the others are in the chain. Where the second asks the first's new
// object for its subject (reverse), it gives the edit's reverse prompts.
func parsePitfalls(f *fields) Edit {
	var edits []Edit
	for _, item := range f.objects("edits") {
		edits = append(edits, parseTripleEdit(item))
	}
	if len(edits) == 0 {
		f.fail("edits", "holds no edit")
		return Edit{}
	}
	e := edits[0]
	e.Chain = &Chain{Kind: f.text("type"), Rule: f.optional("rule"), Edits: edits[1:]}
	if e.Chain.Kind == "reverse" && len(edits) > 1 {
		if back := edits[1]; back.Subject == e.TargetNew && first(back.TargetTrue) == e.Subject {
			e.Reverse = []Prompt{{Prompt: back.Prompt, Answers: one(e.Subject)}}
			for _, p := range back.Paraphrases {
				e.Reverse = append(e.Reverse, Prompt{Prompt: p, Answers: one(e.Subject)})
			}
		}
	}
	return e
}

// parseTripleEdit reads {relation, subject, object, new_object}. The relation's
// question is the paraphrase of its cloze prompt.
func parseTripleEdit(f *fields) Edit {
	relation, target := f.object("relation"), f.object("new_object")
	e := Edit{
		Subject: f.object("subject").text("label"), RelationID: relation.optional("id"),
		TargetNew: target.text("label"), TargetNewID: target.optional("id"),
	}
	if f.value("object") != nil { // unknown in some files
		e.TargetTrue = nonEmpty(f.object("object").optional("label"))
	}
	e.Prompt = relation.filled("prompt", e.Subject)
	if relation.optional("query") != "" {
		e.Paraphrases = []string{relation.filled("query", e.Subject)}
	}
	return e
}

// parseOneToMany reads an edit with all true objects of its subject and
// relation, which must survive it: the prompt's locality answers.
func parseOneToMany(f *fields) Edit {
	e := parseTripleEdit(f.object("edit"))
	var answers [][]string
	for _, o := range f.objects("true_objects") {
		answers = append(answers, one(o.text("label"))...)
	}
	if len(answers) == 0 {
		f.fail("true_objects", "holds no object")
	}
	f.addTo(&e.Locality, Forgetfulness, e.Prompt, answers)
	return e
}
