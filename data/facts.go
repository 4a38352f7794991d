package data

import (
	"fmt"
	"strings"

	"keyhole.example/keyhole/internal/regular"
)

// Fact is a true statement.
type Fact struct {
	ID         string // known-facts: the file's number; else ""
	RelationID string // Wikidata property
	Subject    string
	Object     string
	// Prompt is the sentence start that Object completes and Template the same
	// with {} for the subject; known-facts only.
	Prompt, Template string
}

// Pattern is a sentence with [X] for the subject and [Y] for the object.
type Pattern struct {
	RelationID, Pattern         string
	Lemma, ExtendedLemma, Tense string
}

// Fill returns the sentence for a subject and an object.
func (p Pattern) Fill(subject, object string) string {
	return strings.NewReplacer("[X]", subject, "[Y]", object).Replace(p.Pattern)
}

// Collection is what a file of facts, patterns or questions held.
type Collection[T any] struct {
	Path, SHA256, Format string
	Records              int // read: the items' and the dropped
	Items                []T
	Dropped              []Drop
	Notes                []Drop
}

// LoadFacts reads pararel-facts or known-facts.
func LoadFacts(path string, o Options) (*Collection[Fact], error) {
	return collect(path, "LoadFacts", o, func(fm Format, f *fields) []Fact { return []Fact{fm.fact(f)} })
}

// LoadPatterns reads pararel-patterns.
func LoadPatterns(path string, o Options) (*Collection[Pattern], error) {
	return collect(path, "LoadPatterns", o, func(fm Format, f *fields) []Pattern { return []Pattern{fm.pattern(f)} })
}

// LoadQuestions reads nq-locality or nq-lists: questions with answers for the
// locality of any edits.
func LoadQuestions(path string, o Options) (*Collection[Prompt], error) {
	return collect(path, "LoadQuestions", o, func(fm Format, f *fields) []Prompt { return fm.prompts(f) })
}

func collect[T any](path, reader string, o Options, parse func(Format, *fields) []T) (*Collection[T], error) {
	r, err := regular.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open data set: %w", err)
	}
	defer r.Close()
	c := &Collection[T]{Path: path}
	sc := scanner{name: path, o: o, use: wants(reader)}
	sc.take = func(fm Format, f *fields, _ Source) bool {
		items := parse(fm, f)
		if f.v.bad != "" || f.v.drop != "" {
			return false
		}
		c.Items = append(c.Items, items...)
		return true
	}
	if err := sc.run(r); err != nil {
		return nil, err
	}
	c.SHA256, c.Format, c.Records, c.Dropped, c.Notes = sc.sha256, sc.format.Name, sc.records, sc.dropped.list, sc.notes.list
	return c, nil
}

func parseFact(f *fields) Fact {
	return Fact{RelationID: f.text("relation_id"), Subject: f.text("subject"), Object: f.text("object")}
}

// parseKnownFact takes the template from the prompt: the file's own lacks the
// last word of some.
func parseKnownFact(f *fields) Fact {
	k := Fact{
		ID: f.id("known_id"), RelationID: f.optional("relation_id"), Subject: f.text("subject"),
		Object: f.text("attribute"), Prompt: f.text("prompt"),
	}
	k.Template = templateOf(k.Prompt, k.Subject)
	return k
}

func parsePattern(f *fields) Pattern {
	p := Pattern{
		RelationID: f.text("relation_id"), Pattern: f.text("pattern"), Lemma: f.optional("lemma"),
		ExtendedLemma: f.optional("extended_lemma"), Tense: f.optional("tense"),
	}
	for _, hole := range []string{"[X]", "[Y]"} {
		if n := strings.Count(p.Pattern, hole); n != 1 {
			f.fail("pattern", "want one %s, found %d", hole, n)
		}
	}
	return p
}

func parseQuestion(f *fields) []Prompt {
	return []Prompt{{Prompt: f.text("question"), Answers: one(f.text("answer"))}}
}

// parseQuestionLists reads parallel lists: the answer to each question has its
// place.
func parseQuestionLists(f *fields) []Prompt {
	questions := f.list("questions")
	answers := f.list("answers")
	if len(questions) != len(answers) {
		f.fail("answers", "want %d, as many as questions, found %d", len(questions), len(answers))
		return nil
	}
	var out []Prompt
	for i := range questions {
		if questions[i] == "" || answers[i] == "" {
			f.note("question without text or answer")
			continue
		}
		out = append(out, Prompt{Prompt: questions[i], Answers: one(answers[i])})
	}
	if len(out) == 0 {
		f.fail("questions", "holds no question with an answer")
	}
	return out
}
