package compare

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/eval"
)

// reportOf is an evaluation with a reliability, without running one.
func reportOf(model string, batch int, reliability float64) *eval.Report {
	r := &eval.Report{N: 10, Model: model, Record: eval.Record{Batch: batch}, Metrics: map[string]eval.Figure{}}
	for _, name := range []string{"reliability", "generalization", "locality", "locality_kl"} {
		r.Metrics[name] = eval.Figure{Name: name, Mean: reliability, Cases: 10, Record: r.Record}
	}
	return r
}

func TestWhatWasMeasuredDifferentlyIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		other *eval.Report
		want  string
	}{
		"alike":         {reportOf("m", 1, 0.5), ""},
		"another model": {reportOf("n", 1, 0.5), "compare editors of one model"},
		"another batch": {reportOf("m", 2, 0.5), "measured differently"},
	} {
		r := &Result{Order: []string{"a", "b"}, Editors: map[string]*eval.Report{"a": reportOf("m", 1, 1), "b": c.other}}
		err := r.comparable()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestPrintNamesWhatFailedAndWhatWasWritten(t *testing.T) {
	r := &Result{
		Order: []string{"a"}, Editors: map[string]*eval.Report{"a": reportOf("m", 1, 0.25)},
		Failed: map[string]string{"b": "no statistics"}, Files: []string{"out/report.html", "out/time.png"},
	}
	var b bytes.Buffer
	if err := r.Print(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"0.250", "b has no figures: no statistics", "written: out/report.html"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "time.png") {
		t.Error("a plot is listed among the reports")
	}
}

func TestLocateFindsAllNames(t *testing.T) {
	c := Default()
	c.Model, c.Data.Path, c.Corpus, c.Demos.Exclude = "m", "d", "c", []string{"x"}
	c.Editors = []Entry{{Editor: "ike", Set: []string{"k=2", "encoder= e"}}}
	was := c
	find := func(kind string) func(string) (string, error) {
		return func(name string) (string, error) {
			if name == "" {
				return "", nil
			}
			return kind + ":" + name, nil
		}
	}
	exclude := c.Demos.Exclude
	if err := c.Locate(find("model"), find("data")); err != nil {
		t.Fatal(err)
	}
	got := []string{c.Model, c.Data.Path, c.Corpus, c.Demos.Exclude[0], c.Editors[0].Set[0], c.Editors[0].Set[1], c.Ability}
	want := []string{"model:m", "data:d", "data:c", "data:x", "k=2", "encoder=model:e", ""}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if exclude[0] != "x" || was.Model != "m" {
		t.Error("what was given changed")
	}
	lost := errors.New("lost")
	if err := c.Locate(find("model"), func(string) (string, error) { return "", lost }); !errors.Is(err, lost) {
		t.Errorf("error %v", err)
	}
}

func TestEntriesNameOneEditorEach(t *testing.T) {
	for want, e := range map[string]Entry{
		"needs editor, run or train": {},
		"neither with run":           {Editor: "ft", Run: "r"},
		"changes nothing of a run":   {Run: "r", Set: []string{"a=b"}},
		"no name for a file":         {Name: "a/b", Editor: "ft"},
	} {
		if err := e.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", e, err, want)
		}
	}
	c := Default()
	c.Editors = []Entry{{Editor: "ft"}, {Name: "ft", Editor: "none"}}
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "two are called ft") {
		t.Errorf("two of one name: %v", err)
	}
	if label := (Entry{Run: "runs/first/"}).Label(); label != "first" {
		t.Errorf("a run is called %q", label)
	}
}
