package data

// parseQAEdit reads an edit made from a question answering benchmark. Its target
// is the right answer. Numbers repeat between the benchmarks, so the id is
// source and number.
func parseQAEdit(f *fields) Edit {
	e := Edit{
		ID: f.text("source") + "-" + f.id("id"), Subject: f.optional("subject"),
		Prompt: f.text("prompt"), TargetNew: f.text("target"),
		Paraphrases: nonEmpty(f.optional("rephrase")),
	}
	for _, item := range f.objects("locality") {
		f.addTo(&e.Locality, Unrelated, item.blank("loc"), one(item.blank("loc_ans")))
	}
	return e
}
