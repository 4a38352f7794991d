package configs_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"keyhole.example/keyhole/configs"
)

// first and second are a configuration of two versions.
type first struct {
	Name string       `yaml:"name"`
	Loop firstSection `yaml:"loop"`
	firstInline
}

type firstSection struct {
	Steps int     `yaml:"steps"`
	Rate  float64 `yaml:"rate"`
}

type firstInline struct{ Other []string }

type second struct {
	Name string        `yaml:"name"`
	Mode string        `yaml:"mode" absent:"plain"`
	Loop secondSection `yaml:"loop"`
	Late *lateSection  `yaml:"late"`
}

type secondSection struct {
	Steps int     `yaml:"steps"`
	Beta  float64 `yaml:"beta" absent:"0.9"`
	Rate  float64 `yaml:"rate"`
	Sites []int   `yaml:"sites" absent:"[1, 2]"`
}

type lateSection struct {
	Depth int `yaml:"depth" absent:"3"`
}

func newer() *second {
	return &second{Name: "run", Mode: "fancy", Loop: secondSection{Steps: 5, Beta: 0.99, Rate: 1}}
}

func TestAKeyThatASavedTextLacksMeansWhatItDidBeforeItCame(t *testing.T) {
	old := "name: mine\nloop:\n  steps: 7\n  rate: 0.5\n"
	c := newer()
	saved, err := configs.Read("old.yaml", []byte(old), c, configs.Options{Saved: true, Set: []string{"loop.steps=9"}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Mode != "plain" || c.Loop.Beta != 0.9 || len(c.Loop.Sites) != 2 || c.Late != nil || c.Loop.Steps != 9 || c.Loop.Rate != 0.5 {
		t.Errorf("got %+v", c)
	}
	again := newer()
	if r, err := configs.Read("again.yaml", saved.Bytes(), again, configs.Options{Saved: true}); err != nil || r.Hash() != saved.Hash() {
		t.Errorf("%v; differences %v", err, configs.Diff(saved, r))
	}
	c = newer()
	if _, err := configs.Read("new.yaml", []byte(old), c, configs.Options{}); err != nil || c.Mode != "fancy" || c.Loop.Beta != 0.99 {
		t.Errorf("a text of today: %+v, %v", c, err)
	}
	c = newer()
	if err := configs.Backdate(c); err != nil || c.Mode != "plain" || c.Loop.Beta != 0.9 || c.Name != "run" {
		t.Errorf("backdated: %+v, %v", c, err)
	}
}

func TestAnAbsentTagThatDoesNotFitIsAMistakeOfTheProgram(t *testing.T) {
	c := struct {
		N int `yaml:"n" absent:"many"`
	}{}
	if _, err := configs.Read("x", nil, &c, configs.Options{}); err == nil || !strings.Contains(err.Error(), "tag absent") {
		t.Errorf("got %v", err)
	}
}

func TestTheIdentityDoesNotChangeWithNewKeys(t *testing.T) {
	type made struct {
		Editor string
		Config any
	}
	was := made{"x", &first{Name: "run", Loop: firstSection{Steps: 5, Rate: 1e-7}, firstInline: firstInline{Other: []string{"<a>"}}}}
	want, err := json.Marshal(was)
	if err != nil {
		t.Fatal(err)
	}
	got, err := configs.Identity(was)
	if err != nil || string(got) != string(want) {
		t.Errorf("got  %s (%v)\nwant %s", got, err, want)
	}
	now := newer()
	if err := configs.Backdate(now); err != nil {
		t.Fatal(err)
	}
	got, err = configs.Identity(*now)
	if want := `{"Name":"run","Loop":{"Steps":5,"Rate":1},"Late":null}`; err != nil || string(got) != want {
		t.Errorf("got  %s (%v)\nwant %s", got, err, want)
	}
	now.Loop.Beta = 0.5
	if other, err := configs.Identity(*now); err != nil || string(other) == string(got) {
		t.Errorf("a key that is used does not count: %s, %v", other, err)
	}
}

// around is a section that checks the one within it, as one that is used alone does.
type around struct {
	Within within `yaml:"within"`
}

type within struct {
	Steps int `yaml:"steps"`
}

func (a *around) Validate() error {
	if err := a.Within.Validate(); err != nil {
		return fmt.Errorf("within.%w", err)
	}
	return nil
}

func (w *within) Validate() error {
	if w.Steps < 1 {
		return fmt.Errorf("steps: %d is below 1", w.Steps)
	}
	return nil
}

// TestAFaultIsSaidOnce, though the section and the one around it find it.
func TestAFaultIsSaidOnce(t *testing.T) {
	var c struct {
		Outer around `yaml:"outer"`
	}
	_, err := configs.Read("x", []byte("outer: {within: {steps: 0}}\n"), &c, configs.Options{})
	if err == nil || strings.Count(err.Error(), "steps: 0 is below 1") != 1 {
		t.Errorf("got %v", err)
	}
}

// TestNumbersAreFinite wherever they stand and come from.
func TestNumbersAreFinite(t *testing.T) {
	type part struct {
		Rate float32 `yaml:"rate"`
	}
	type whole struct {
		LR    float64            `yaml:"lr"`
		Clip  *float64           `yaml:"clip"`
		Rates []float64          `yaml:"rates"`
		By    map[string]float64 `yaml:"by"`
		Parts []part             `yaml:"parts"`
	}
	for text, key := range map[string]string{
		"lr: .inf": "x:1: lr = .inf", "clip: -.inf": "clip", "rates: [1, .inf]": "rates[1]", "by: {a: .inf}": "by[a]", "parts: [{rate: 1}, {rate: .inf}]": "parts[1].rate",
	} {
		if _, err := configs.Read("x", []byte(text), &whole{}, configs.Options{}); err == nil || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), "not finite") {
			t.Errorf("%s: got %v", text, err)
		}
	}
	if _, err := configs.Read("x", nil, &whole{}, configs.Options{Set: []string{"lr=.inf"}}); err == nil || !strings.Contains(err.Error(), "--set: lr") {
		t.Errorf("--set: got %v", err)
	}
	if _, err := configs.Read("x", nil, &whole{LR: math.NaN()}, configs.Options{}); err == nil || !strings.Contains(err.Error(), "lr") {
		t.Errorf("a default: got %v", err)
	}
}
