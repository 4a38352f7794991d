package stats

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/tokenizer"
)

// TestStatisticsBelongToATokenizer collects with the same weights and another
// tokenizer into the same folder, and finds what an earlier version, which did not
// record the tokenizer, left there.
func TestStatisticsBelongToATokenizer(t *testing.T) {
	m, dir := tinyModel(t, 1), t.TempDir()
	first := collect(t, m, 1, dir)
	other := tinyModel(t, 1)
	var err error
	if other.Tokenizer, err = tokenizer.Train([]string{sampleText()}, 290, []string{"<|endoftext|>"}); err != nil {
		t.Fatal(err)
	}
	if err := first[0].Check(other, downSites(t, other)[0]); err == nil || !strings.Contains(err.Error(), "tokenizer") {
		t.Errorf("error %v", err)
	}
	second := collect(t, other, 1, dir)
	if second[0].Model == first[0].Model {
		t.Error("both tokenizers make the model's hash the same")
	}
	if list, err := filepath.Glob(filepath.Join(dir, "*"+ending)); err != nil || len(list) != len(first)+len(second) {
		t.Errorf("%d files (%v), want %d", len(list), err, len(first)+len(second))
	}

	earlier := t.TempDir()
	for _, moment := range first {
		old := &Moment{Info: moment.Info, Sum: moment.Sum}
		old.Model, _ = lm.SplitHash(moment.Model)
		if err := old.Save(filepath.Join(earlier, moment.earlierName())); err != nil {
			t.Fatal(err)
		}
	}
	for i, again := range collect(t, m, 1, earlier) {
		if want, _ := lm.SplitHash(first[i].Model); again.Model != want {
			t.Errorf("%s was collected again, by the model %s", again.Site, again.Model)
		}
	}
	if found, err := Find(earlier, m, downSites(t, m)[1]); err != nil || found.Tokens != first[1].Tokens {
		t.Errorf("%+v, error %v", found, err)
	}
	if list, err := os.ReadDir(earlier); err != nil || len(list) != len(first) {
		t.Errorf("%d files (%v), want the %d that were there", len(list), err, len(first))
	}
}
