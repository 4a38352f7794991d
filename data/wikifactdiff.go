package data

// parseWikiFactDiff reads a real change of a fact: old is the answer before and
// alt the answer now. loc asks the same relation of another subject.
func parseWikiFactDiff(f *fields) Edit {
	e := Edit{
		ID: f.id("case_id"), Subject: f.text("subject"), Prompt: f.text("src"),
		TargetNew: f.text("alt"), TargetTrue: nonEmpty(f.optional("old")),
		Paraphrases: nonEmpty(f.optional("rephrase")),
	}
	if f.has("loc") {
		f.addTo(&e.Locality, Neighborhood, f.optional("loc"), one(f.optional("loc_ans")))
	}
	if f.has("port") {
		f.addTo(&e.Portability, OneHop, f.optional("port"), one(f.optional("port_ans")))
	}
	return e
}

// nonEmpty returns the list of s alone, or nil where s is empty.
func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}
