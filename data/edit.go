package data

import (
	"slices"
	"strings"
)

// Kinds of locality and portability prompts, the keys of Edit.Locality and
// Edit.Portability. Loaders map each format's own names to these; a name that
// none of them fits is kept as the file has it.
const (
	// Neighborhood prompts ask the same relation of other subjects; each has the
	// answer that was true of the edit's subject (CounterFact) or its own.
	Neighborhood = "neighborhood"
	// Distracting prompts are neighbourhood prompts that follow the stated edit.
	Distracting = "distracting"
	// Attribute prompts ask other subjects that already have the new value.
	Attribute = "attribute"
	// Unrelated prompts are questions that have nothing to do with the edit.
	Unrelated = "unrelated"
	// RelationSpecificity prompts ask the same subject for other relations.
	RelationSpecificity = "Relation_Specificity"
	// Forgetfulness prompts ask for the other objects of the same subject and
	// relation, which must survive.
	Forgetfulness = "Forgetfulness"

	// OneHop prompts need the new fact and one known fact.
	OneHop = "one_hop"
	// SubjectAlias prompts use another name of the subject.
	SubjectAlias = "subject_alias"
	// LogicalGeneralization prompts ask for facts that the edit implies.
	LogicalGeneralization = "Logical_Generalization"
)

// Prompt is a text to complete with the answers that are accepted after it.
type Prompt struct {
	Prompt string `json:"prompt"`
	// Answers holds the acceptable answers, each with its aliases; the first
	// alias is the name to show and to score. Loaders leave none empty.
	Answers [][]string `json:"answers"`
}

// Edit is one wanted change of a model's knowledge with all that tests it. It
// is text only, with blanks at both ends of each text removed; tokens are made
// above this package.
type Edit struct {
	// ID is unique in its Set: the
	// file's own id, or twelve hex digits of a hash of subject, prompt and target,
	// which does not depend on the record's place; "-2" and so on follow where
	// records share all three.
	ID      string `json:"id"`
	Subject string `json:"subject,omitempty"`
	// Prompt is the question or sentence start, with the subject filled in.
	Prompt string `json:"prompt"`
	// Template is Prompt with {} for the subject, or "" unless the subject occurs
	// in Prompt exactly once or the file says where.
	Template  string `json:"template,omitempty"`
	TargetNew string `json:"target_new"`
	// TargetAlternatives are all the targets that a trainer may draw from instead
	// of TargetNew, which is the first of them (zsRE's beam outputs); else nil.
	TargetAlternatives []string `json:"target_alternatives,omitempty"`
	// TargetTrue holds the answers that were true before, if the file says so.
	TargetTrue []string `json:"target_true,omitempty"`
	// Paraphrases are other prompts that TargetNew must answer as well.
	Paraphrases []string `json:"paraphrases,omitempty"`
	// Reverse prompts ask about the object; the answer is the subject.
	Reverse []Prompt `json:"reverse,omitempty"`
	// Locality prompts must keep their answers; keyed by kind.
	Locality map[string][]Prompt `json:"locality,omitempty"`
	// Portability prompts have answers that follow from the edit; keyed by kind.
	Portability map[string][]Prompt `json:"portability,omitempty"`
	// GenerationPrompts start free texts about the subject.
	GenerationPrompts []string `json:"generation_prompts,omitempty"`
	RelationID        string   `json:"relation_id,omitempty"` // Wikidata property
	TargetNewID       string   `json:"target_new_id,omitempty"`
	// Chain is set where several edits belong together (MQuAKE, Pitfalls).
	Chain *Chain `json:"chain,omitempty"`
	// Join says how answers follow the record's prompts.
	Join Join `json:"join,omitempty"`
	// Occurrence says which place is meant where the subject stands in Prompt
	// more than once: first or last; "" is the place that Template has.
	Occurrence string `json:"occurrence,omitempty"`
	Source     Source `json:"source"`
}

// Chain is what a case of several edits holds beyond its first edit.
type Chain struct {
	// Kind says how the edits hang together: multi_hop, reverse, composite,
	// coverage.
	Kind string `json:"kind"`
	Rule string `json:"rule,omitempty"` // Pitfalls: the rule, as P800>P170
	// Edits are the further edits of the case in file order, with ids made of
	// the first edit's id, "." and the place, counted from 1.
	Edits []Edit `json:"edits,omitempty"`
	// Questions are phrasings of one multi-hop question. Answer is right before
	// all the edits and NewAnswer after; the first entry is the name, the others
	// are aliases.
	Questions []string `json:"questions,omitempty"`
	Answer    []string `json:"answer,omitempty"`
	NewAnswer []string `json:"new_answer,omitempty"`
	// AnswerExtended are further answers that were right before the edits.
	AnswerExtended []string `json:"answer_extended,omitempty"`
	Hops           []Hop    `json:"hops,omitempty"`     // the steps before the edits
	NewHops        []Hop    `json:"new_hops,omitempty"` // the steps after the edits
}

// Hop is one step of a multi-hop question.
type Hop struct {
	Question string   `json:"question"`
	Cloze    string   `json:"cloze"`
	Answer   []string `json:"answer"` // name, then aliases
}

// Source says where a record comes from.
type Source struct {
	Dataset string `json:"dataset"` // the name of the format
	File    string `json:"file"`
	SHA256  string `json:"sha256"` // of the file as stored, in hex
	Index   int    `json:"index"`  // of the record in its file, from 0
	Line    int    `json:"line"`   // where the record starts, from 1
	Split   string `json:"split,omitempty"`
}

// Subjects returns the subjects of the edit and of its chain.
func (e *Edit) Subjects() []string {
	out := make([]string, 0, 1)
	if e.Subject != "" {
		out = append(out, e.Subject)
	}
	if e.Chain != nil {
		for i := range e.Chain.Edits {
			out = append(out, e.Chain.Edits[i].Subjects()...)
		}
	}
	return out
}

// Follows are the prompts whose answers follow from the edit, in a fixed order:
// those of Portability by kind, then Reverse.
func (e *Edit) Follows() []Prompt {
	var out []Prompt
	for _, kind := range Kinds(e.Portability) {
		out = append(out, e.Portability[kind]...)
	}
	return append(out, e.Reverse...)
}

// templateOf returns prompt with {} for the subject, or "" unless the subject
// occurs exactly once and the prompt has no {} of its own.
func templateOf(prompt, subject string) string {
	if subject == "" || strings.Contains(prompt, "{}") || strings.Count(prompt, subject) != 1 {
		return ""
	}
	return strings.Replace(prompt, subject, "{}", 1)
}

func addPrompt(m *map[string][]Prompt, kind string, p Prompt) {
	if *m == nil {
		*m = make(map[string][]Prompt)
	}
	(*m)[kind] = append((*m)[kind], p)
}

// one makes the answers of a prompt that has a single one.
func one(answer string) [][]string {
	if answer == "" {
		return nil
	}
	return [][]string{{answer}}
}

// Kinds are the keys of prompts by kind, in a fixed order.
func Kinds(m map[string][]Prompt) []string {
	kinds := make([]string, 0, len(m))
	for k := range m {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	return kinds
}
