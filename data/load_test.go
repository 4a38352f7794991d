package data

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const sample = `{"subject":"Orvane","src":"Where is Orvane?","rephrase":"Orvane is where?","alt":"Velmia","loc":"nq question: who","loc_ans":"Jan"}` + "\n"

func zip(t *testing.T, text string) string {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"id":%d,"subject":"S%d","src":"Where is S%d, asked %d?","rephrase":"r","alt":"a","loc":"l","loc_ans":"m"}`+"\n", i, i, i, i*7919)
	}
	return b.String()
}

func TestLoadRefusesWhatIsNoDataSet(t *testing.T) {
	packed := zip(t, many(2000))
	damaged := []byte(packed)
	damaged[len(damaged)/2] ^= 0xff
	for _, c := range []struct{ name, text, want string }{
		{"an empty file", "", "holds no records"},
		{"blank lines only", " \n\n\t\n", "holds no records"},
		{"an empty array", "[ ]\n", "holds no records"},
		{"an empty gzip file", zip(t, ""), "holds no records"},
		{"gzip that is cut off", packed[:len(packed)/2], "cut off"},
		{"gzip that is cut off in its header", packed[:5], "cut off"},
		{"gzip with a flipped byte", string(damaged), "damaged"},
		{"gzip with text behind it", packed + strings.Repeat("more", 9), "damaged"},
		{"UTF-16", "\xff\xfe[\x00", "convert it to UTF-8"},
		{"a zip archive", "PK\x03\x04....", "unpack it first"},
		{"zstd", "\x28\xb5\x2f\xfd....", "zstd"},
		{"a GGUF model", "GGUF\x03\x00\x00\x00", "not a data set"},
		{"plain text", "hello\n", `line 1: the file starts with 'h'`},
		{"an array that is not closed", "[" + sample, "array is not closed"},
		{"an array cut off in a record", "[" + sample[:40], "a record is not closed"},
		{"an array without commas", "[" + sample + sample + "]", "line 2: want a comma"},
		{"text after an array", "[" + sample + "] {}", "text after the array"},
		{"a line end inside a string", "[{\"a\":\"b\n\"}]", "line ends inside a string"},
		{"unknown keys", `{"foo":1,"bar":2}` + "\n", `the first record has the keys "foo", "bar"; known formats:`},
		{"unknown keys of an empty object", `{}` + "\n", "(none)"},
		{"facts", `{"relation_id":"P1","subject":"a","object":"b"}`, "these are facts (format pararel-facts), for the Go package alone; here edits are wanted"},
		{"invalid UTF-8", strings.Replace(sample, "Velmia", "Velm\xffa", 1), "not valid UTF-8 at byte 86"},
		{"two objects in a line", strings.TrimSpace(sample) + sample, "text after the object"},
		{"only records without a target", strings.Replace(sample, "Velmia", "", 1), "none of 1 records can be used; the first at line 1: alt is empty"},
		{"a list in place of a record", sample + "[1]\n", "want an object, found a list"},
		{"deep nesting", `{"subject":` + strings.Repeat("[", 20000), "not valid JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Read(strings.NewReader(c.text), "dir/x.jsonl", Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "dir/x.jsonl: ") {
				t.Errorf("got %v, want dir/x.jsonl: … %q", err, c.want)
			}
		})
	}
}

func TestUnknownFormatListsAllFormats(t *testing.T) {
	_, err := Read(strings.NewReader(`{"foo":1}`), "x", Options{})
	for _, fm := range Formats() {
		if !strings.Contains(err.Error(), fm.Name) {
			t.Errorf("the error does not name %s", fm.Name)
		}
	}
	if _, err := Read(strings.NewReader(sample), "x", Options{Format: "nonsense"}); err == nil || !strings.Contains(err.Error(), "known are keyhole") {
		t.Errorf("got %v", err)
	}
}

func TestLoadSkipsBadRecordsByReason(t *testing.T) {
	text := "{\n" + sample[:30] + "\n" + sample + "\"x\"\n" + strings.Repeat("x", 300) + "\n" +
		strings.Replace(sample, "Orvane\",", "\xc3\x28\",", 1) + strings.Replace(sample, `"Velmia"`, "7", 1) + many(3)
	text = strings.TrimPrefix(text, "{\n")
	s, err := Read(strings.NewReader(text), "x", Options{SkipBad: true, MaxRecord: 200})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Edits) != 4 || s.Records != 9 {
		t.Errorf("kept %d of %d, want 4 of 9", len(s.Edits), s.Records)
	}
	want := []Drop{
		{"not valid JSON: the record ends early", 1, 1, true},
		{"want an object, found a string", 1, 3, true},
		{"the line is longer than 200 bytes", 1, 4, true},
		{"not valid UTF-8 at byte 12 of the record", 1, 5, true},
		{`field "alt": want a string, found a number; write it in quotes, as it shall stand in the text: "7"`, 1, 6, true},
	}
	if fmt.Sprint(s.Dropped) != fmt.Sprint(want) {
		t.Errorf("dropped %v, want %v", s.Dropped, want)
	}
	text = s.Summary().String()
	if !strings.Contains(text, `bad: 1, first at line 6: field "alt"`) {
		t.Errorf("the summary does not report the bad record:\n%s", text)
	}
}

func TestTooLongRecordsAreErrors(t *testing.T) {
	for _, text := range []string{sample + many(1), "[" + sample + "]", "{\n" + sample[1:]} {
		_, err := Read(strings.NewReader(text), "x", Options{MaxRecord: 100})
		if err == nil || !strings.Contains(err.Error(), "longer than 100 bytes") {
			t.Errorf("%.20q: got %v", text, err)
		}
	}
}

func TestRecordErrorCanBeTakenApart(t *testing.T) {
	_, err := Read(strings.NewReader(sample+"\n"+`{"subject":"a","src":"b","alt":null}`), "f", Options{})
	var rec *RecordError
	if !errors.As(err, &rec) {
		t.Fatalf("got %v", err)
	}
	if *rec != (RecordError{File: "f", Line: 3, Index: 1, Field: "alt", Reason: "is missing"}) {
		t.Errorf("got %+v", rec)
	}
}

func TestSpreadObjectsAreRead(t *testing.T) {
	spread := strings.ReplaceAll(strings.TrimSpace(sample), ",", ",\n")
	spread = "{\n" + spread[1:]
	s, err := Read(strings.NewReader(spread+"\n"+strings.Replace(spread, "Velmia", "Halt", 1)), "f", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Edits) != 2 || s.Edits[1].Source.Line != 8 {
		t.Errorf("got %d edits, the second at line %d", len(s.Edits), s.Edits[1].Source.Line)
	}
}

func TestLimitStillHashesTheWholeFile(t *testing.T) {
	whole, err := Read(strings.NewReader(many(20000)), "f", Options{})
	if err != nil {
		t.Fatal(err)
	}
	few, err := Read(strings.NewReader(many(20000)), "f", Options{Limit: 3})
	if err != nil {
		t.Fatal(err)
	}
	if len(few.Edits) != 3 || few.SHA256 != whole.SHA256 {
		t.Errorf("got %d edits and hash %s, want 3 and %s", len(few.Edits), few.SHA256, whole.SHA256)
	}
}

func TestSplitSelectsRecords(t *testing.T) {
	path := filepath.Join("testdata", "counterfact-flat", "good", "lines.jsonl")
	s, err := Load(path, Options{Split: "edit"})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Edits) != 1 || s.Edits[0].ID != "8" || s.Filtered != 1 || s.Records != 2 {
		t.Errorf("got %+v", s)
	}
	if _, err := Load(path, Options{Split: "test"}); err == nil || !strings.Contains(err.Error(), `no record is of split "test"; there are edit, train`) {
		t.Errorf("got %v", err)
	}
	if _, err := Read(strings.NewReader(sample), "f", Options{Split: "test"}); err == nil || !strings.Contains(err.Error(), "names no splits") {
		t.Errorf("got %v", err)
	}
}

func TestLocalityComesFromTheQuestions(t *testing.T) {
	s, err := Load(filepath.Join("testdata", "zsre-original", "good", "lines.jsonl"),
		Options{Locality: filepath.Join("testdata", "nq-lists", "good", "object.json")})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range s.Edits {
		if len(e.Locality[Unrelated]) != 1 {
			t.Errorf("edit %s has %d unrelated prompts, want 1", e.ID, len(e.Locality[Unrelated]))
		}
	}
}

func TestMergeNeighborsNeedsACommonCase(t *testing.T) {
	s, err := Load(filepath.Join("testdata", "counterfact-flat", "good", "no-splits.jsonl"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	err = s.MergeNeighbors(filepath.Join("testdata", "counterfact-neighbors", "good", "lines.jsonl"), Options{})
	if err == nil || !strings.Contains(err.Error(), "has none of the case ids") {
		t.Errorf("got %v", err)
	}
}

func TestLoadNamesAMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.jsonl")
	if _, err := Load(path, Options{}); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
	if _, err := Load(t.TempDir(), Options{}); err == nil {
		t.Error("a folder was read as a file")
	}
}

func TestIDsDoNotDependOnTheOrderOfRecords(t *testing.T) {
	other := strings.Replace(sample, "Velmia", "Halt", 1)
	a, err := Read(strings.NewReader(sample+other), "f", Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := Read(strings.NewReader(other+sample), "f", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if a.Edits[0].ID != b.Edits[1].ID || a.Edits[1].ID != b.Edits[0].ID {
		t.Error("the ids follow the order")
	}
}

func TestExcludeLeavesOutSubjectsOfAnotherFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, lines ...string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	record := func(id, subject string) string {
		return `{"case_id":` + id + `,"subject":"` + subject + `","prompt":"` + subject + ` is in","target_new":"Rome","ground_truth":"Oslo","rephrase_prompt":"Where is ` + subject + `?","locality_prompt":"Paris is in","locality_ground_truth":"France"}`
	}
	all := write("all.jsonl", record("1", "Louvre"), record("2", "Space Needle"), record("3", "Big Ben"))
	test := write("test.jsonl", record("7", "space  needle"))

	s, err := Load(all, Options{Exclude: []string{test}})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Edits) != 2 || s.Edits[0].ID != "1" || s.Edits[1].ID != "3" {
		t.Errorf("kept %d edits, want those about the Louvre and Big Ben", len(s.Edits))
	}
	if len(s.Dropped) != 1 || s.Dropped[0].Count != 1 || s.Dropped[0].Line != 2 || !strings.Contains(s.Dropped[0].Reason, test) {
		t.Errorf("dropped: %+v", s.Dropped)
	}
	if _, err := Load(all, Options{Exclude: []string{all}}); err == nil || !strings.Contains(err.Error(), "nothing is left") {
		t.Errorf("everything left out: %v", err)
	}
	if _, err := Load(all, Options{Exclude: []string{filepath.Join(dir, "none.jsonl")}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

// TestDistinctKeepsTheFirstOfASubject, and counts the others; before, those of one fact
// with different targets are counted.
func TestDistinctKeepsTheFirstOfASubject(t *testing.T) {
	record := func(id, subject, relation, prompt, truth, target string) string {
		return `{"case_id":` + id + `,"subject":"` + subject + `","relation_id":"` + relation + `","prompt":"` + prompt + `","target_new":"` + target + `","ground_truth":"` + truth + `","rephrase_prompt":"x ` + subject + `?","locality_prompt":"Paris is in","locality_ground_truth":"France"}`
	}
	text := strings.Join([]string{
		record("1", "Jane", "", "Who is Jane's mother?", "Ann", "Mary"),
		record("2", "Jane", "", "Who bore Jane?", "Ann", "Rose"),
		record("3", "Jane", "", "Where was Jane born?", "Oslo", "Rome"),
		record("4", "jane ", "", "Which woman bore jane?", "Ann", "Rose"),
		record("5", "Tom", "", "Who is Tom's mother?", "Ann", "Eve"),
		record("6", "Tom", "", "Who bore Tom?", "Ann", "Eve"),
		record("7", "Ray", "", "Who bore Ray?", "Liz", "Eve"),
	}, "\n")
	all, err := Read(strings.NewReader(text), "t.jsonl", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := all.Summary().Disputed; got != 3 {
		t.Errorf("%d edits are disputed, want 1, 2 and 4", got)
	}
	for limit, want := range map[int][]string{0: {"1", "5", "7"}, 2: {"1", "5"}} {
		s, err := Read(strings.NewReader(text), "t.jsonl", Options{Distinct: true, Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range s.Edits {
			got = append(got, e.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: kept %v, want %v", limit, got, want)
		}
		if s.Disputed() != 0 {
			t.Errorf("limit %d: %d of them are disputed", limit, s.Disputed())
		}
		if len(s.Dropped) != 1 || s.Dropped[0].Line != 2 || s.Dropped[0].Bad {
			t.Errorf("limit %d: left out %+v", limit, s.Dropped)
		}
	}
}

func TestLikeReasonsCountAsOneAndTheFirstIsShown(t *testing.T) {
	text := `{"id":"a 1","prompt":"p","target_new":"t"}` + "\n" + `{"id":"a 1","prompt":"q","target_new":"t"}` + "\n" +
		`{"id":"a 1","prompt":"r","target_new":"t"}` + "\nnonsense\ntrust me\n\"not \\\" closed\n"
	s, err := Read(strings.NewReader(text), "x", Options{SkipBad: true})
	if err != nil {
		t.Fatal(err)
	}
	want := []Drop{{`the id "a 1" is that of line 1 already`, 2, 2, true}, {`not valid JSON: "nonsense"`, 3, 4, true}}
	if fmt.Sprint(s.Dropped) != fmt.Sprint(want) {
		t.Errorf("dropped %v, want %v", s.Dropped, want)
	}
}

func TestTheErrorOfABadRecordNamesTheOptionWhereThereIsOne(t *testing.T) {
	for by, want := range map[string]string{
		"":           `x: line 2 (record 1): not valid JSON: "nonsense"`,
		"--skip-bad": `x: line 2 (record 1): not valid JSON: "nonsense" (--skip-bad leaves out and counts such records)`,
	} {
		if _, err := Read(strings.NewReader(sample+"nonsense\n"), "x", Options{SkipBadBy: by}); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestFilesOfAnotherKindAreToldTheirPlace(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{"known_id":1,"attribute":"a","subject":"s","prompt":"s is"}`, "these are facts (format known-facts), for keyhole trace --data; here edits are wanted"},
		{`{"case_id":1,"neighborhood_prompts":["a"]}`, "these are CounterFact neighbours (format counterfact-neighbors), for --neighbors; here edits are wanted"},
		{`{"question":"q","answer":"a"}`, "these are unrelated questions (format nq-locality), for --locality; here edits are wanted"},
		{`{"relation_id":"P1","pattern":"[X] is [Y]"}`, "these are patterns of sentences (format pararel-patterns), for the Go package alone; here edits are wanted"},
	} {
		if _, err := Read(strings.NewReader(c.text), "x", Options{}); err == nil || err.Error() != "x: "+c.want {
			t.Errorf("got %v, want x: %s", err, c.want)
		}
	}
	path := filepath.Join("testdata", "zsre-mend", "good", "lines.jsonl")
	if _, err := LoadFacts(path, Options{}); err == nil || !strings.Contains(err.Error(), "these are edits (format zsre-mend), for training, evaluation and editing; here facts are wanted") {
		t.Errorf("edits for facts: %v", err)
	}
}

func TestHandWrittenRecordsKeepEveryPart(t *testing.T) {
	const begin, locality = `{"prompt":"Bob lives in","target_new":"Rome","subject":"Bob"`, `,"locality":{"neighborhood":[{"prompt":"Ann is in","answers":[["Oslo"]]}]}`
	for _, record := range []string{begin + locality + "}", begin + `,"paraphrases":["Bob stays in"]` + locality + "}"} {
		s, err := Read(strings.NewReader(record), "hand", Options{})
		if err != nil || s.Format != "keyhole" || len(s.Edits[0].Locality["neighborhood"]) != 1 {
			t.Errorf("%s: read as %+v (%v)", record, s, err)
		}
	}
}
