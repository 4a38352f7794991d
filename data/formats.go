package data

import (
	"fmt"
	"strings"
)

// Format is one kind of file that this package reads.
type Format struct {
	Name   string // also the folder of its samples in testdata
	About  string // one line
	Reader string // the function that reads it: Load, LoadFacts, …

	match    func(*fields) bool
	edit     func(*fields) Edit
	fact     func(*fields) Fact
	pattern  func(*fields) Pattern
	prompts  func(*fields) []Prompt
	neighbor func(*fields) neighbor
}

// formats lists all formats in the order in which they are tried; the first
// whose match accepts a record wins. A new format is one line here and one file.
func formats() []Format {
	return []Format{
		{Name: "keyhole", About: "Keyhole's own records, also written by hand: prompt, target_new, subject", Reader: "Load", match: matchOwn, edit: parseOwn},
		{Name: "zsre-inverse", About: "zsRE with the reversed question (EasyEdit)", Reader: "Load", match: keys("src", "alt", "inverse question"), edit: parseZsREInverse},
		{Name: "zsre-subject-replace", About: "zsRE with another name of the subject (EasyEdit)", Reader: "Load", match: keys("src", "alt", "alter_subject_question"), edit: parseZsRESubjectReplace},
		{Name: "wikifactdiff", About: "WikiFactDiff as selected by BMIKE-53", Reader: "Load", match: keys("src", "alt", "old"), edit: parseWikiFactDiff},
		{Name: "zsre-mend", About: "zsRE as distributed with MEND", Reader: "Load", match: keys("subject", "src", "alt"), edit: parseZsREMEND},
		{Name: "zsre-malmen", About: "zsRE as distributed with MALMEN", Reader: "Load", match: keys("src", "ans", "rephrase"), edit: parseZsREMALMEN},
		{Name: "zsre-original", About: "zsRE of De Cao et al., KILT style", Reader: "Load", match: keys("input", "alternatives", "filtered_rephrases"), edit: parseZsREOriginal},
		{Name: "mquake", About: "MQuAKE, multi-hop questions", Reader: "Load", match: func(f *fields) bool { return f.is("requested_rewrite", "a list") }, edit: parseMQuAKE},
		{Name: "counterfact", About: "CounterFact as distributed with ROME", Reader: "Load", match: func(f *fields) bool { return f.is("requested_rewrite", "an object") }, edit: parseCounterFact},
		{Name: "counterfact-flat", About: "CounterFact as flattened by EasyEdit", Reader: "Load", match: keys("case_id", "prompt", "target_new", "locality_prompt"), edit: parseCounterFactFlat},
		{Name: "knowedit", About: "KnowEdit: ZsRE, wiki_counterfact, wiki_recent", Reader: "Load", match: matchKnowEdit, edit: parseKnowEdit},
		{Name: "cknowedit", About: "CKnowEdit, Chinese", Reader: "Load", match: keys("prompt", "target_old", "target_new"), edit: parseCKnowEdit},
		{Name: "knowedit-wikibio", About: "KnowEdit WikiBio", Reader: "Load", match: keys("text", "labels", "concept"), edit: parseWikiBio},
		{Name: "pitfalls", About: "Pitfalls: reverse, composite and coverage edits", Reader: "Load", match: keys("edits", "type"), edit: parsePitfalls},
		{Name: "pitfalls-one-to-many", About: "Pitfalls: one subject and relation, many objects", Reader: "Load", match: keys("edit", "true_objects"), edit: parseOneToMany},
		{Name: "qaedit", About: "QAEdit of the WILD benchmark", Reader: "Load", match: keys("prompt", "target", "source"), edit: parseQAEdit},
		{Name: "facts", About: "facts written by hand: prompt, target, …; as JSON, JSON Lines, CSV or YAML (keyhole data new)", Reader: "Load", match: matchFacts, edit: parseFacts},

		{Name: "counterfact-neighbors", About: "neighbourhood and paraphrase prompts for counterfact-flat, by case_id", Reader: "Set.MergeNeighbors", match: keys("case_id", "neighborhood_prompts"), neighbor: parseNeighbor},
		{Name: "known-facts", About: "facts that GPT-2 XL knows, for causal tracing (ROME)", Reader: "LoadFacts", match: keys("known_id", "attribute"), fact: parseKnownFact},
		{Name: "pararel-facts", About: "ParaRel facts", Reader: "LoadFacts", match: keys("relation_id", "subject", "object"), fact: parseFact},
		{Name: "pararel-patterns", About: "ParaRel paraphrase patterns", Reader: "LoadPatterns", match: keys("relation_id", "pattern"), pattern: parsePattern},
		{Name: "nq-locality", About: "Natural Questions, one question and answer a record", Reader: "LoadQuestions", match: keys("question", "answer"), prompts: parseQuestion},
		{Name: "nq-lists", About: "Natural Questions, parallel lists of questions and answers", Reader: "LoadQuestions", match: keys("questions", "answers"), prompts: parseQuestionLists},
	}
}

// Formats returns all known formats in the order in which they are tried.
func Formats() []Format { return formats() }

func keys(names ...string) func(*fields) bool {
	return func(f *fields) bool { return f.has(names...) }
}

// holds names what the files of a reader hold.
func holds(reader string) string {
	switch reader {
	case "LoadFacts":
		return "facts"
	case "LoadPatterns":
		return "patterns of sentences"
	case "LoadQuestions":
		return "unrelated questions"
	case "Set.MergeNeighbors":
		return "CounterFact neighbours"
	}
	return "edits"
}

// use names the place of files of the format on the command line.
func (fm Format) use() string {
	switch {
	case fm.Reader == "Load":
		return "training, evaluation and editing"
	case fm.Name == "known-facts":
		return "keyhole trace --data"
	case fm.Reader == "LoadQuestions":
		return "--locality"
	case fm.Reader == "Set.MergeNeighbors":
		return "--neighbors"
	}
	return "the Go package alone"
}

// detect returns the format of a record: of those that match it, the one that
// leaves the fewest of its keys unread, of equals the first.
func detect(f *fields) (best Format, found bool) {
	least := 0
	for _, fm := range formats() {
		if !fm.match(f) {
			continue
		}
		c := f.fresh()
		fm.parse(c)
		if n := len(c.v.unread()); !found || n < least {
			best, found, least = fm, true, n
		}
	}
	return best, found
}

// parse reads a record by the format, for what it does not read.
func (fm Format) parse(f *fields) {
	switch {
	case fm.edit != nil:
		fm.edit(f)
	case fm.fact != nil:
		fm.fact(f)
	case fm.pattern != nil:
		fm.pattern(f)
	case fm.prompts != nil:
		fm.prompts(f)
	case fm.neighbor != nil:
		fm.neighbor(f)
	}
}

func formatByName(name string) (Format, error) {
	var names []string
	for _, fm := range formats() {
		if fm.Name == name {
			return fm, nil
		}
		names = append(names, fm.Name)
	}
	return Format{}, fmt.Errorf("unknown data format %q; known are %s", name, strings.Join(names, ", "))
}

// unknownFormat describes a file whose first records fit no format.
func unknownFormat(name string, first *fields) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: unknown data format: the first record has the keys %s; known formats:", name, quoteAll(first.keys))
	for _, fm := range formats() {
		fmt.Fprintf(&b, "\n  %-22s %s", fm.Name, fm.About)
	}
	return fmt.Errorf("%s", b.String())
}

func quoteAll(keys []string) string {
	if len(keys) == 0 {
		return "(none)"
	}
	const most = 20
	more := ""
	if len(keys) > most {
		keys, more = keys[:most], ", …"
	}
	quoted := make([]string, len(keys))
	for i, k := range keys {
		quoted[i] = fmt.Sprintf("%.40q", k)
	}
	return strings.Join(quoted, ", ") + more
}
