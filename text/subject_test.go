package text

import (
	"strings"
	"testing"
)

func TestSubjectsAreFoundAsWords(t *testing.T) {
	for _, c := range []struct {
		prompt, subject string
		which           Occurrence
		before          string // what stands before the place; "-": an error
	}{
		{"The manager, as a woman, is a man", "man", "", "The manager, as a woman, is a "},
		{"Grant Hill lives in Grant Hillside, says", "Grant Hill", "", ""},
		{"In Grant Hillside", "Grant Hill", "", "-"},
		{"Paris is not Paris, Texas", "Paris", "", "-"},
		{"Paris is not Paris, Texas", "Paris", First, ""},
		{"Paris is not Paris, Texas", "Paris", Last, "Paris is not "},
		{"In Grant Hillside", "Grant Hill", At(3), "In "},
		{"France's capital is", "France", "", ""},
		{"The capital of France's", "France", "", "The capital of "},
		{"司马光编纂的史书是", "司马光", "", ""},
		{"NBA总部位于", "NBA", "", ""},
		{"파리는 어디에 있나", "파리", "", ""},
		{"Élan", "lan", "", "-"},
		{"cafe\u0301s of cafe", "cafe", "", "cafe\u0301s of "},
		{"GPT2 and GPT", "GPT", "", "GPT2 and "},
		{"x", "y", "", "-"}, {"x", " ", "", "-"}, {"x", "x", At(1), "-"}, {"x", "x", "@z", "-"},
		{"C++ and C", "C++", "", ""},
	} {
		lo, hi, err := Find(c.prompt, c.subject, c.which)
		switch {
		case c.before == "-":
			if err == nil {
				t.Errorf("%q in %q: found at %d", c.subject, c.prompt, lo)
			}
		case err != nil || c.prompt[:lo] != c.before || c.prompt[lo:hi] != c.subject:
			t.Errorf("%q in %q: at %d (%v), want behind %q", c.subject, c.prompt, lo, err, c.before)
		}
	}
}

func TestAMarkedPlaceIsFilled(t *testing.T) {
	got, which, err := Fill("a man and {} too", "man")
	if err != nil || got != "a man and man too" {
		t.Fatal(got, err)
	}
	if lo, _, err := Find(got, "man", which); err != nil || lo != strings.LastIndex(got, "man") {
		t.Errorf("at %d: %v", lo, err)
	}
	if _, _, err := Fill("{} and {}", "x"); err == nil {
		t.Error("two marked places were accepted")
	}
	if got, which, err := Fill("no mark", "x"); got != "no mark" || which != "" || err != nil {
		t.Error(got, which, err)
	}
}

func FuzzFind(f *testing.F) {
	f.Add("The manager is a man", "man")
	f.Add("司马光", "光")
	f.Add("\xff\xfe", "\xff")
	f.Fuzz(func(t *testing.T, prompt, subject string) {
		for _, which := range []Occurrence{"", First, Last} {
			lo, hi, err := Find(prompt, subject, which)
			if err == nil && prompt[lo:hi] != strings.TrimSpace(subject) {
				t.Fatalf("%q in %q: [%d, %d)", subject, prompt, lo, hi)
			}
		}
	})
}
