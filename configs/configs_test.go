package configs_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"keyhole.example/keyhole/configs"
)

// config has a field of every kind that a configuration can hold.
type config struct {
	Name  string        `yaml:"name" doc:"what the run is called"`
	Train trainSection  `yaml:"train" doc:"the loop"`
	Model modelSection  `yaml:"model" doc:"the base model"`
	Early *earlySection `yaml:"early" doc:"early stopping; absent means none"`
}

type trainSection struct {
	Steps   int           `yaml:"steps" doc:"optimiser steps"`
	LR      float64       `yaml:"lr" doc:"step size"`
	LRLR    float32       `yaml:"lr_lr" doc:"step size of the learned step sizes"`
	Seed    uint64        `yaml:"seed" doc:"seed of everything"`
	Small   int8          `yaml:"small" doc:"a small number"`
	Resume  bool          `yaml:"resume" doc:"continue a run"`
	Every   time.Duration `yaml:"every" doc:"time between log lines"`
	Clip    *float64      `yaml:"clip" doc:"largest norm; null means none"`
	private int
	Skipped int `yaml:"-"`
}

func (t *trainSection) Validate() error {
	var errs []error
	if t.Steps < 1 {
		errs = append(errs, &configs.FieldError{Key: "steps", Problem: "must be at least 1", Fix: "write 1 or more"})
	}
	if t.LR > 1 {
		errs = append(errs, &configs.FieldError{Key: "lr", Problem: "must be at most 1"})
	}
	if t.Small > 100 && t.Resume {
		errs = append(errs, errors.New("small must stay below 100 when resume is on"))
	}
	t.private++
	return errors.Join(errs...)
}

type modelSection struct {
	Path   string         `yaml:"path" doc:"folder or file"`
	Sites  []string       `yaml:"sites" doc:"weights to edit"`
	Widths []int          `yaml:"widths" doc:"hidden widths"`
	Scale  map[string]int `yaml:"scale" doc:"scale per site"`
	Rules  []rule         `yaml:"rules" doc:"rules"`
}

type rule struct {
	Match string  `yaml:"match" doc:"pattern"`
	Rate  float64 `yaml:"rate" doc:"rate"`
}

func (r rule) Validate() error {
	if r.Rate < 0 {
		return &configs.FieldError{Key: "rate", Value: r.Rate, Problem: "must not be negative"}
	}
	return nil
}

type earlySection struct {
	Patience int `yaml:"patience" doc:"validations without progress"`
}

func defaults() *config {
	return &config{
		Name: "run",
		Train: trainSection{
			Steps: 100, LR: 1e-6, LRLR: 1e-4, Seed: 1, Every: time.Second,
		},
		Model: modelSection{Path: "models/tiny", Sites: []string{"a", "b", "c"}, Widths: []int{8}},
	}
}

// load writes text into run.yaml and reads it.
func load(t testing.TB, text string, o configs.Options) (*config, *configs.Resolved, error) {
	t.Helper()
	c := defaults()
	r, err := configs.Read("run.yaml", []byte(text), c, o)
	return c, r, err
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(list) == 0 {
		t.Fatalf("no file testdata/%s (%v)", pattern, err)
	}
	return list
}

func TestGoodFilesAreReadAndReadBackTheSame(t *testing.T) {
	for _, path := range files(t, "*.good.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			c := defaults()
			r, err := configs.Load(path, c, configs.Options{})
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(strings.TrimSuffix(path, "yaml") + "txt")
			if err != nil {
				t.Fatal(err)
			}
			if got := string(r.Bytes()); got != string(want) {
				t.Errorf("resolved:\n%s\nwant:\n%s", got, want)
			}
			roundTrip(t, c, r)
		})
	}
}

// roundTrip reads the resolved text again, with and without the struct.
func roundTrip(t testing.TB, c *config, r *configs.Resolved) {
	t.Helper()
	again := defaults()
	r2, err := configs.Read("again.yaml", r.Bytes(), again, configs.Options{})
	if err != nil {
		t.Fatalf("%v in\n%s", err, r.Bytes())
	}
	parsed, err := configs.Parse(r.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if r2.Hash() != r.Hash() || parsed.Hash() != r.Hash() {
		t.Errorf("hash changed: %v, %v", configs.Diff(r, r2), configs.Diff(r, parsed))
	}
	if d := configs.Diff(r, parsed); len(d) != 0 {
		t.Errorf("parsed differs: %v", d)
	}
}

func TestBadFilesGiveTheMessageBesideThem(t *testing.T) {
	for _, path := range files(t, "*.bad.yaml") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(strings.TrimSuffix(path, "yaml") + "txt")
			if err != nil {
				t.Fatal(err)
			}
			c := defaults()
			_, err = configs.Read(filepath.Base(path), text, c, configs.Options{})
			if err == nil {
				t.Fatal("no error")
			}
			if got := err.Error(); got != strings.TrimSuffix(string(want), "\n") {
				t.Errorf("error:\n%s\nwant:\n%s", got, want)
			}
			if !reflect.DeepEqual(c, defaults()) {
				t.Errorf("defaults were changed: %+v", c)
			}
		})
	}
}

func TestEmptyFileMeansTheDefaults(t *testing.T) {
	for _, text := range []string{"", "\n", "# only a comment\n", "train:\n  # steps: 5\n", "---\n"} {
		c, r, err := load(t, text, configs.Options{})
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if !reflect.DeepEqual(c.Model, defaults().Model) || c.Train.Steps != 100 {
			t.Errorf("%q: got %+v", text, c)
		}
		if strings.Contains(string(r.Bytes()), "#") {
			t.Errorf("%q: an origin is named:\n%s", text, r.Bytes())
		}
	}
	if _, err := configs.Load("", defaults(), configs.Options{}); err != nil {
		t.Errorf("no file: %v", err)
	}
}

func TestNumbersAreNumbers(t *testing.T) {
	for text, want := range map[string]float64{
		"1e-6": 1e-6, "5e-1": 0.5, "1": 1, ".5": 0.5, "+0.25": 0.25, "1.e-3": 1e-3,
	} {
		c, _, err := load(t, "train:\n  lr: "+text+"\n", configs.Options{})
		if err != nil || c.Train.LR != want {
			t.Errorf("%s: got %v, %v", text, c.Train.LR, err)
		}
	}
	for _, text := range []string{`"1e-6"`, `'1'`, "1e", "0x1p-2", "1_0.0", ".nan", "nan", "Inf", ".inf", "-.inf", "1e999", "true", "[1]", "{a: 1}"} {
		if _, _, err := load(t, "train:\n  lr: "+text+"\n", configs.Options{}); err == nil || !strings.Contains(err.Error(), "run.yaml:2: train.lr") {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

func TestLaterLayersWin(t *testing.T) {
	o := configs.Options{
		Env:         []string{"PATH=/bin", "KEYHOLE_TRAIN_STEPS=20", "KEYHOLE_TRAIN_LR_LR=0.5", "KEYHOLE_TRAIN_SEED=", "KEYHOLE_SHARED=/data", "KEYHOLE_MODEL_SITES=x, y"},
		ReservedEnv: []string{"KEYHOLE_SHARED"},
		Set:         []string{"train.steps=30", "name=a: b # c", "model.widths=[1, 2]", "model.scale={A.b: 1}", "train.clip=1.5", "early.patience=3"},
	}
	c, r, err := load(t, "train: {steps: 10, seed: 7}\nmodel: {widths: [9, 9, 9]}\n", o)
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	clip := 1.5
	want.Train.Steps, want.Train.LRLR, want.Train.Seed, want.Train.Clip, want.Train.private = 30, 0.5, 7, &clip, 1
	want.Model.Sites, want.Model.Widths, want.Model.Scale = []string{"x", "y"}, []int{1, 2}, map[string]int{"A.b": 1}
	want.Name, want.Early = "a: b # c", &earlySection{Patience: 3}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
	text := string(r.Bytes())
	for _, line := range []string{
		"  steps: 30 # --set\n", "  lr_lr: 0.5 # environment KEYHOLE_TRAIN_LR_LR\n", "  seed: 7 # run.yaml:1\n", `name: "a: b # c" # --set` + "\n", "  resume: false\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no line %q in\n%s", line, text)
		}
	}
	roundTrip(t, c, r)
}

func TestTheProcessEnvironmentChangesNothingUnasked(t *testing.T) {
	t.Setenv("KEYHOLE_TRAIN_STEPS", "7")
	t.Setenv("TRAIN_STEPS", "7")
	if c, _, err := load(t, "", configs.Options{}); err != nil || c.Train.Steps != 100 {
		t.Errorf("steps %d, %v", c.Train.Steps, err)
	}
}

func TestAllFaultsOfAllLayersAreReportedTogether(t *testing.T) {
	_, _, err := load(t, "train:\n  stepz: 5\n  lr: 2\n  seed: -1\n", configs.Options{
		Env: []string{"KEYHOLE_TRAIN_STEP=1", "KEYHOLE_TRAIN_RESUME=yes"},
		Set: []string{"model.pth=x", "train.steps=0", "train=5", "oops", "train.small=1000"},
	})
	want := `run.yaml:2: train.stepz = 5: unknown key; did you mean train.steps?
run.yaml:3: train.lr = 2: must be at most 1
run.yaml:4: train.seed = -1: is negative; write a whole number ≥ 0
environment KEYHOLE_TRAIN_RESUME: train.resume = yes: is not a truth value; write true or false
environment KEYHOLE_TRAIN_STEP: names no key of the configuration; did you mean KEYHOLE_TRAIN_STEPS? otherwise unset it
--set: model.pth = x: unknown key; did you mean model.path?
--set: train = 5: is a section; set one of its keys: steps, lr, lr_lr, seed, small, resume, every, clip
--set: "oops" is no override; write --set key=value, such as --set train.steps=100
--set: train.small = 1000: is out of range; at most 8 bits fit here
--set: train.steps = 0: must be at least 1; write 1 or more`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
	var fe *configs.FieldError
	if !errors.As(err, &fe) || fe.Key != "train.stepz" || fe.Origin.Line != 2 {
		t.Errorf("first fault: %+v", fe)
	}
}

func TestSectionsAreValidatedWhereverTheyAre(t *testing.T) {
	_, _, err := load(t, "model:\n  rules:\n    - {match: a, rate: 1}\n    - match: b\n      rate: -2\ntrain:\n  small: 101\n  resume: true\n", configs.Options{})
	want := "run.yaml:5: model.rules[1].rate = -2: must not be negative\nrun.yaml:6: train: small must stay below 100 when resume is on"
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func TestDefaultsAreNotShared(t *testing.T) {
	c := defaults()
	early := &earlySection{Patience: 1}
	c.Early = early
	sites := c.Model.Sites
	if _, err := configs.Read("x", []byte("early: {patience: 9}\nmodel: {sites: [z]}"), c, configs.Options{}); err != nil {
		t.Fatal(err)
	}
	if early.Patience != 1 || sites[0] != "a" || c.Early.Patience != 9 || len(c.Model.Sites) != 1 {
		t.Errorf("early %d, sites %v, got %+v %v", early.Patience, sites, c.Early, c.Model.Sites)
	}
}

func TestDiffSpellsOutBothValues(t *testing.T) {
	_, a, err := load(t, "train: {steps: 5}", configs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, b, err := load(t, "train: {lr: 0.5}\nearly: {patience: 2}", configs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []configs.Difference{{"train.steps", "5", "100"}, {"train.lr", "1e-06", "0.5"}, {"early.patience", "", "2"}}
	got := configs.Diff(a, b)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if s := fmt.Sprint(got); s != "[train.steps: 5, was 100 train.lr: 1e-06, was 0.5 early.patience: absent, was 2]" {
		t.Error(s)
	}
	if a.Hash() == b.Hash() || a.Hash("train", "early.patience") != b.Hash("train", "early") {
		t.Error("hash does not follow the values that count")
	}
}

func TestExplainListsEveryKey(t *testing.T) {
	rows, err := configs.Explain(defaults())
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range rows {
		if r.Doc == "" {
			t.Errorf("%s has no doc", r.Key)
		}
		lines = append(lines, fmt.Sprintf("%s|%s|%s|%s", r.Key, r.Type, r.Default, r.Env))
	}
	want := `name|string|run|KEYHOLE_NAME
train.steps|whole number|100|KEYHOLE_TRAIN_STEPS
train.lr|number|1e-06|KEYHOLE_TRAIN_LR
train.lr_lr|number|0.0001|KEYHOLE_TRAIN_LR_LR
train.seed|whole number ≥ 0|1|KEYHOLE_TRAIN_SEED
train.small|whole number|0|KEYHOLE_TRAIN_SMALL
train.resume|true or false|false|KEYHOLE_TRAIN_RESUME
train.every|duration|1s|KEYHOLE_TRAIN_EVERY
train.clip|number or null|null|KEYHOLE_TRAIN_CLIP
model.path|string|models/tiny|KEYHOLE_MODEL_PATH
model.sites|list of string|[a, b, c]|KEYHOLE_MODEL_SITES
model.widths|list of whole number|[8]|KEYHOLE_MODEL_WIDTHS
model.scale|map of whole number|{}|KEYHOLE_MODEL_SCALE
model.rules|list of section|[]|KEYHOLE_MODEL_RULES
model.rules[].match|string||
model.rules[].rate|number||
early.patience|whole number|null|KEYHOLE_EARLY_PATIENCE`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestMistakesInTheProgramAreErrors(t *testing.T) {
	type twice struct {
		A int `yaml:"a"`
		B int `yaml:"A"`
	}
	type untagged struct{ A int }
	type odd struct {
		C chan int `yaml:"c"`
	}
	type endless struct {
		Next *endless `yaml:"next"`
	}
	for _, into := range []any{nil, config{}, (*config)(nil), new(int), &twice{}, &untagged{}, &odd{}, &endless{}} {
		if _, err := configs.Read("x", nil, into, configs.Options{}); err == nil {
			t.Errorf("%T: no error", into)
		}
		if _, err := configs.Explain(into); err == nil {
			t.Errorf("%T: no error from Explain", into)
		}
	}
}

func TestInlineSectionsBelongToTheirParent(t *testing.T) {
	type inner struct {
		A int `yaml:"a"`
	}
	type outer struct {
		Inner inner `yaml:",inline"`
		B     int   `yaml:"b"`
	}
	var c outer
	if _, err := configs.Read("x", []byte("a: 1\nb: 2"), &c, configs.Options{}); err != nil || c.Inner.A != 1 || c.B != 2 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestUnreadableFiles(t *testing.T) {
	dir := t.TempDir()
	if _, err := configs.Load(filepath.Join(dir, "none.yaml"), defaults(), configs.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if _, err := configs.Load(dir, defaults(), configs.Options{}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("folder: %v", err)
	}
	big := filepath.Join(dir, "big.yaml")
	if err := os.WriteFile(big, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := configs.Load(big, defaults(), configs.Options{}); err == nil || !strings.Contains(err.Error(), "check the path") {
		t.Errorf("big: %v", err)
	}
}

func TestTheReportOfAFloodOfFaultsIsBounded(t *testing.T) {
	var b strings.Builder
	for i := range 50000 {
		fmt.Fprintf(&b, "key%d: 1\n", i)
	}
	_, _, err := load(t, b.String(), configs.Options{})
	if err == nil || strings.Count(err.Error(), "\n") != 100 || !strings.HasSuffix(err.Error(), "fix these first") {
		t.Errorf("got %.300v", err)
	}
}

func TestPresetsAreEmbedded(t *testing.T) {
	names := configs.Presets()
	if len(names) == 0 {
		t.Fatal("no presets")
	}
	for _, n := range names {
		if text, ok := configs.Preset(n); !ok || len(text) == 0 {
			t.Errorf("%s: %d bytes, %v", n, len(text), ok)
		}
	}
	if _, ok := configs.Preset("../go"); ok {
		t.Error("a preset outside the folder")
	}
}
