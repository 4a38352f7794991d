package data_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/data/datatest"
	"keyhole.example/keyhole/internal/golden"
)

// tableCounts reads file → records from the overview table of the README, where
// one row may name several files.
func tableCounts(t *testing.T, path string) map[string]int {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := make(map[string]int)
	count := regexp.MustCompile(`\d[\d,]*`)
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		cells := strings.Split(lines.Text(), "|")
		if len(cells) != 5 || !strings.Contains(cells[1], ".jsonl.gz") {
			continue
		}
		names := strings.Split(strings.ReplaceAll(cells[1], "(.jsonl.gz)", ""), ",")
		counts := count.FindAllString(cells[2], -1)
		folder := ""
		for i, name := range names {
			name = strings.TrimSpace(name)
			if dir, base := filepath.Split(name); dir != "" {
				folder, name = dir, base
			}
			n := counts[min(i, len(counts)-1)]
			value, err := strconv.Atoi(strings.ReplaceAll(strings.TrimSuffix(n, ","), ",", ""))
			if err != nil {
				t.Fatalf("count %q of %s: %v", n, name, err)
			}
			out[folder+strings.TrimSuffix(name, ".jsonl.gz")] = value
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// records reads a file with the function of its format and returns how many
// records it held. ok is false where the format is unknown.
func records(t *testing.T, path, counterfact string) (n int, format string, ok bool) {
	t.Helper()
	set, err := data.Load(path, data.Options{})
	if err == nil {
		datatest.Edits(t, set)
		return set.Records, set.Format, true
	}
	if strings.Contains(err.Error(), "unknown data format") {
		return 0, "", false
	}
	if c, err := data.LoadFacts(path, data.Options{}); err == nil {
		return c.Records, c.Format, true
	}
	if c, err := data.LoadPatterns(path, data.Options{}); err == nil {
		return c.Records, c.Format, true
	}
	if c, err := data.LoadQuestions(path, data.Options{}); err == nil {
		return c.Records, c.Format, true
	}
	if set, err := data.Load(counterfact, data.Options{Neighbors: path}); err == nil {
		datatest.Edits(t, set)
		return set.Merged, "counterfact-neighbors", true
	}
	t.Fatalf("%s: %v", path, err)
	return 0, "", false
}

func TestGoldenRecordCounts(t *testing.T) {
	dir := golden.Path(t, "data")
	want := tableCounts(t, filepath.Join(dir, "README.md"))
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	counterfact := filepath.Join(dir, "counterfact", "counterfact.jsonl.gz")
	seen, compared := make(map[string]bool), 0
	for _, path := range paths {
		name, err := filepath.Rel(dir, path)
		if err != nil {
			t.Fatal(err)
		}
		name = strings.TrimSuffix(filepath.ToSlash(name), ".jsonl.gz")
		t.Run(name, func(t *testing.T) {
			n, format, ok := records(t, path, counterfact)
			if !ok {
				if !strings.HasPrefix(name, "fever/") {
					t.Error("the format is unknown")
				}
				return
			}
			seen[format] = true
			count, listed := want[name]
			if !listed {
				t.Fatalf("not in the table; it holds %d records of %s", n, format)
			}
			if n != count {
				t.Errorf("%d records of %s, the table says %d", n, format, count)
			}
			compared++
		})
	}
	if compared < 20 || len(seen) < 15 {
		t.Errorf("compared %d files of %d formats, want at least 20 of 15", compared, len(seen))
	}
}

// The numbers of articles are those of WikiText-2 (Merity et al. 2016): 600, 60
// and 60.
func TestGoldenWikiTextArticles(t *testing.T) {
	paths, err := filepath.Glob(golden.Path(t, "data", "wikitext", "*"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, path := range paths {
		want := 60
		if strings.Contains(filepath.Base(path), "train") {
			want = 600
		}
		n := 0
		for d, err := range data.Documents(path) {
			if err != nil {
				t.Fatal(err)
			}
			if d.Title == "" || len(d.Paragraphs) == 0 {
				t.Errorf("%s: line %d: an article without title or text", path, d.Line)
			}
			n++
		}
		if n != want {
			t.Errorf("%s: %d articles, want %d", path, n, want)
		}
		seen++
	}
	if seen == 0 {
		t.Error("no text was seen")
	}
}

func ExampleLoad() {
	set, err := data.Load("testdata/counterfact/good/array.json", data.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(set.Summary())
	e := set.Edits[0]
	fmt.Printf("%s [%s → %s]\n", e.Prompt, e.TargetTrue[0], e.TargetNew)
	// Output:
	// testdata/counterfact/good/array.json: counterfact, 2 edits of 2 records, 2 subjects, 1 relations
	//   subject in prompt once: 2; paraphrases: 4
	//   locality: Relation_Specificity 1, attribute 2, distracting 1, neighborhood 4
	//   portability: one_hop 1, subject_alias 1
	//   keys that are not used: "pararel_idx", "requested_rewrite.target_true.id", "unrelated_relation.relation_id", "portability.Recalled Relation"
	// Brenholt Lines is headquartered in [Oslo → Lisbon]
}
