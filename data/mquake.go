package data

// parseMQuAKE reads a multi-hop case: its first rewrite is the edit, the others
// are in the chain with the multi-hop questions. The question form of each
// rewrite is its paraphrase. answer_extended holds further answers that were right before
// the edits (MQuAKE-T). The triples under orig are not used.
func parseMQuAKE(f *fields) Edit {
	var edits []Edit
	for _, rw := range f.objects("requested_rewrite") {
		e := parseRewrite(rw)
		if q := rw.optional("question"); q != "" {
			e.Paraphrases = []string{q}
		}
		edits = append(edits, e)
	}
	if len(edits) == 0 {
		f.fail("requested_rewrite", "holds no edit")
		return Edit{}
	}
	e := edits[0]
	e.ID = f.id("case_id")
	e.Chain = &Chain{
		Kind: "multi_hop", Edits: edits[1:], Questions: f.texts("questions"),
		Answer: nonEmpty(f.optional("answer")), AnswerExtended: f.texts("answer_extended"),
		NewAnswer: named(f, "new_answer", "new_answer_alias"),
		Hops:      hops(f, "single_hops"), NewHops: hops(f, "new_single_hops"),
	}
	if len(e.Chain.Answer) > 0 {
		e.Chain.Answer = named(f, "answer", "answer_alias")
	}
	if len(e.Chain.Questions) == 0 {
		f.fail("questions", "holds no question")
	}
	return e
}

// named returns a name followed by its aliases.
func named(f *fields, name, aliases string) []string {
	return append([]string{f.text(name)}, f.texts(aliases)...)
}

func hops(f *fields, key string) []Hop {
	var out []Hop
	for _, h := range f.objects(key) {
		out = append(out, Hop{
			Question: h.text("question"), Cloze: h.optional("cloze"), Answer: named(h, "answer", "answer_alias"),
		})
	}
	return out
}
