package eval

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/data"
)

func near(a, b float64) bool { return math.Abs(a-b) < 1e-12 }

// made is a made-up outcome: wanted tokens 1, 2, …, those right that are said
// to be, a mean NLL, and a KL.
func made(nll, kl float64, right ...bool) *Outcome {
	o := &Outcome{}
	for i, r := range right {
		o.Want = append(o.Want, int32(i+1))
		o.Got = append(o.Got, 99)
		if r {
			o.Got[i] = int32(i + 1)
		}
		o.NLL = append(o.NLL, float32(nll))
		o.KL = append(o.KL, float32(kl))
	}
	return o
}

// scored plans record i of set with a family and scores it on made-up
// outcomes.
func scored(t *testing.T, set *data.Set, i int, f family, answer func(prompt, answer string) (base, edited *Outcome)) Values {
	t.Helper()
	p := &planner{model: tinyModel(t, "gpt2"), set: set, families: []family{f}, terms: newTerms(nil)}
	c, err := p.plan(i)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range c.Probes {
		q.Base, q.Edited = answer(q.Prompt, q.Answer)
	}
	return c.score(nil).values
}

func wantValues(t *testing.T, got, want Values) {
	t.Helper()
	for name, w := range want {
		if g := got[name]; g.N != w.N || !near(g.Sum, w.Sum) {
			t.Errorf("%s: got %v, want %v", name, g, w)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s: got %v, want nothing", name, got[name])
		}
	}
}

func TestBasicByHand(t *testing.T) {
	set := tinySet(1)
	got := scored(t, set, 0, basic(), func(prompt, _ string) (*Outcome, *Outcome) {
		base := made(3, 0, false, false)
		switch prompt {
		case set.Edits[0].Prompt:
			return base, made(0.5, 0, true, true)
		case set.Edits[0].Paraphrases[0]:
			return base, made(1, 0, true, true)
		}
		return base, made(2, 0, true, false)
	})
	wantValues(t, got, Values{
		"reliability": {1, 1}, "reliability_before": {0, 1}, "rewrite_acc": {1, 1}, "target_nll": {0.5, 1},
		"generalization": {1, 2}, "generalization_before": {0, 2}, "rephrase_acc": {1.5, 2},
	})
}

func TestLocalityByHand(t *testing.T) {
	set := tinySet(3)
	got := scored(t, set, 0, locality(), func(prompt, _ string) (*Outcome, *Outcome) {
		if prompt == "who wrote it" { // right before, half right after
			return made(0, 0, true, true), made(0, 0.25, true, false)
		}
		return made(0, 0, false, true), made(0, 0.75, false, true) // half right, and stays
	})
	want := Values{
		"locality": {2.5, 3}, "loc_truth": {1.5, 3}, "loc_truth_before": {2, 3}, "drawdown": {1, 3}, "loc_known": {0, 1}, "locality_kl": {1.75, 3},
		"locality.unrelated": {0.5, 1}, "loc_truth.unrelated": {0.5, 1}, "loc_truth_before.unrelated": {1, 1},
		"drawdown.unrelated": {1, 1}, "loc_known.unrelated": {0, 1}, "locality_kl.unrelated": {0.25, 1},
	}
	for kind, n := range map[string]int{".neighborhood": 2, ".distracting": 1} {
		f := float64(n)
		want["locality"+kind], want["loc_truth"+kind], want["loc_truth_before"+kind] = Tally{f, n}, Tally{f / 2, n}, Tally{f / 2, n}
		want["drawdown"+kind], want["locality_kl"+kind] = Tally{0, n}, Tally{0.75 * f, n}
	}
	wantValues(t, got, want)

	borrowed := scored(t, set, 2, locality(), func(prompt, answer string) (*Outcome, *Outcome) {
		if answer != "oslo" || prompt == set.Edits[2].Prompt {
			t.Errorf("borrowed %q with answer %q", prompt, answer)
		}
		return made(0, 0, true), made(0, 0, true)
	})
	if borrowed["locality"].N != 0 || borrowed["locality.borrowed"].N != 1 {
		t.Errorf("got %v", borrowed)
	}
}

// TestABorrowedPromptIsOfAnotherSubject: of the two other records, one is about
// the same subject in other words.
func TestABorrowedPromptIsOfAnotherSubject(t *testing.T) {
	set := tinySet(3)
	set.Edits[0].Subject = set.Edits[2].Subject
	asked := 0
	for n := range 30 {
		set.Edits[2].ID = fmt.Sprint("draw ", n)
		scored(t, set, 2, locality(), func(prompt, _ string) (*Outcome, *Outcome) {
			asked++
			if prompt != set.Edits[1].Prompt {
				t.Errorf("draw %d: borrowed %q about the same subject", n, prompt)
			}
			return made(0, 0, true), made(0, 0, true)
		})
	}
	if asked != 30 {
		t.Errorf("asked %d prompts, want one each time", asked)
	}
}

func TestCounterFactByHand(t *testing.T) {
	set := tinySet(1)
	got := scored(t, set, 0, counterFact(), func(prompt, answer string) (*Outcome, *Outcome) {
		oslo := answer == "oslo"
		nll := func(ifRome, ifOslo float64) float64 {
			if oslo {
				return ifOslo
			}
			return ifRome
		}
		base := made(nll(4, 1), 0, true, true)
		switch prompt {
		case set.Edits[0].Prompt:
			return base, made(nll(0.5, 2), 0, true, true)
		case set.Edits[0].Paraphrases[0]: // a tie is a failure
			return base, made(3, 0, true, true)
		case set.Edits[0].Paraphrases[1]:
			return base, made(nll(1, 2), 0, true, true)
		}
		return base, made(nll(2, 1), 0.125, true, true)
	})
	p := func(x float64) float64 { return math.Exp(-x) }
	wantValues(t, got, Values{
		"ES": {1, 1}, "EM": {p(0.5) - p(2), 1}, "ES_before": {0, 1},
		"PS": {1, 2}, "PM": {p(1) - p(2), 2}, "PS_before": {0, 2},
		"NS": {2, 2}, "NM": {2 * (p(1) - p(2)), 2}, "NS_before": {2, 2}, "NKL": {0.25, 2},
		"NS_plus": {1, 1}, "NM_plus": {p(1) - p(2), 1},
		"forgetting": {1, 1}, // e⁻² < e⁻¹/2
	})
	r := newReport(Record{})
	for _, v := range []Values{{"ES": {1, 1}, "PS": {1, 2}, "NS": {3, 4}}, {"ES": {0, 1}, "PS": {2, 2}, "NS": {1, 4}}} {
		r.add(&Line{ID: "x", Values: v})
	}
	r.finish(families())
	if s := r.Metrics["S"].Mean; !near(s, 3/(1/0.5+1/0.75+1/0.5)) {
		t.Errorf("S is %v", s)
	}
}

func TestPortabilityAndReverseByHand(t *testing.T) {
	set := tinySet(1)
	told := set.Edits[0].Prompt + " rome. the river there is"
	answer := func(known bool) func(prompt, _ string) (*Outcome, *Outcome) {
		return func(prompt, _ string) (*Outcome, *Outcome) {
			switch prompt {
			case told:
				return made(0, 0, known), made(0, 0, false)
			case "the river there is":
				return made(0, 0, false, false), made(0, 0, true, true)
			}
			return made(0, 0, true, true), made(0, 0, true, false)
		}
	}
	wantValues(t, scored(t, set, 0, portability(), answer(true)), Values{
		"portability.one_hop": {1, 1}, "portability_acc.one_hop": {1, 1}, "portability_coverage.one_hop": {1, 1}, "portability_known.one_hop": {1, 1},
		"portability.subject_alias": {0, 1}, "portability_acc.subject_alias": {0.5, 1},
	})
	wantValues(t, scored(t, set, 0, portability(), answer(false)), Values{
		"portability.one_hop": {1, 1}, "portability_acc.one_hop": {1, 1}, "portability_coverage.one_hop": {0, 1},
		"portability.subject_alias": {0, 1}, "portability_acc.subject_alias": {0.5, 1},
	})
	wantValues(t, scored(t, set, 0, reverse(), answer(true)), Values{"reverse": {0, 1}, "reverse_acc": {0.5, 1}})
}

func TestKnowEditIsAMeanOverTypes(t *testing.T) {
	set := tinySet(1)
	delete(set.Edits[0].Locality, data.Attribute)
	got := scored(t, set, 0, knowEdit(), func(prompt, _ string) (*Outcome, *Outcome) {
		switch prompt {
		case "the river there is": // one type: 1/2; the other: 1
			return made(0, 0, true, true), made(0, 0, true, false)
		case "the capital of norway is": // one of the type's two
			return made(0, 0, true, true), made(0, 0, false, false)
		}
		return made(0, 0, true, true), made(0, 0, true, true)
	})
	// neighbours 1/2 (99 is not kept against 1, 2), unrelated 1, distracting 1
	wantValues(t, got, Values{"ke_success": {1, 1}, "ke_portability": {0.75, 1}, "ke_locality": {(0.5 + 1 + 1) / 3, 1}})
}

func TestMultiHopByHand(t *testing.T) {
	set := tinySet(1)
	set.Edits[0].Chain = &data.Chain{
		Kind:      "multi_hop",
		Edits:     []data.Edit{{ID: "e0.1", Prompt: "the mayor of rome is", TargetNew: "ann"}},
		Questions: []string{"q1", "q2", "q3"}, NewAnswer: []string{"bob", "robert"},
		NewHops: []data.Hop{
			{Cloze: "the capital of land 0 is", Question: "h1", Answer: []string{"rome"}},
			{Cloze: "the mayor of rome is", Question: "h2", Answer: []string{"ann"}},
			{Cloze: "the son of ann is", Question: "h3", Answer: []string{"bob"}},
		},
	}
	answer := func(hop bool) func(prompt, _ string) (*Outcome, *Outcome) {
		return func(prompt, _ string) (*Outcome, *Outcome) {
			switch prompt {
			case "the son of ann is":
				return made(0, 0, hop), made(0, 0, hop)
			case "q1", "q3", "the mayor of rome is":
				return made(0, 0, false), made(0, 0, false)
			}
			return made(0, 0, false), made(0, 0, true)
		}
	}
	wantValues(t, scored(t, set, 0, multiHop(), answer(true)), Values{
		"mq_edit": {1, 2}, "mq_instance": {0, 1}, "mq_multihop": {1, 1}, "mq_coverage": {1, 1}, "mq_multihop_known": {1, 1},
	})
	wantValues(t, scored(t, set, 0, multiHop(), answer(false)), Values{
		"mq_edit": {1, 2}, "mq_instance": {0, 1}, "mq_multihop": {1, 1}, "mq_coverage": {0, 1},
	})
}

func TestTheOldMultiHopAnswersAreAskedOfTheBaseModel(t *testing.T) {
	set := tinySet(1)
	set.Edits[0].Chain = &data.Chain{
		Kind: "multi_hop", Questions: []string{"q1", "q2"}, NewAnswer: []string{"bob"},
		Answer: []string{"tim", "timothy"}, AnswerExtended: []string{"tom"},
		Hops: []data.Hop{{Cloze: "h1", Answer: []string{"ann"}}, {Question: "h2", Answer: []string{"tim"}}},
	}
	for _, known := range []string{"tim", "timothy", "tom", "bob", ""} {
		got := scored(t, set, 0, multiHop(), func(prompt, answer string) (*Outcome, *Outcome) {
			return made(0, 0, prompt == "q2" && answer == known || prompt == "h1"), made(0, 0, false)
		})
		want := indicator(known != "bob" && known != "")
		if got["mq_multihop_before"] != (Tally{want, 1}) || got["mq_instance_before"] != (Tally{0, 1}) {
			t.Errorf("the base model says %q: %v", known, got)
		}
	}
}

func TestGeneratedAnswersByHand(t *testing.T) {
	set := tinySet(1)
	m := tinyModel(t, "gpt2")
	p := &planner{model: m, set: set, families: []family{generated()}, terms: newTerms(nil)}
	c, err := p.plan(0)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range c.Probes {
		q.Base, q.Edited = made(0, 0, true), made(0, 0, true)
	}
	for i, g := range c.Generations {
		switch {
		case g.Both && i%2 == 0:
			g.Base, g.Edited = []int32{1, 2}, []int32{1, 2}
		case g.Both:
			g.Base, g.Edited = []int32{1, 2}, []int32{1, 2, 3}
		case g.Prompt == set.Edits[0].Prompt:
			g.Edited = m.Tokenizer.Encode(" Rome. And then Oslo")
		case g.Prompt == set.Edits[0].Paraphrases[0]:
			g.Edited = m.Tokenizer.Encode(" rome, the city")
		default:
			g.Edited = m.Tokenizer.Encode(" oslo. rome")
		}
	}
	v := c.score(nil).values
	wantValues(t, v, Values{
		"gen_exact": {1, 1}, "gen_contains": {1, 1}, "gen_tokens": {0, 1},
		"gen_para_exact": {0, 2}, "gen_para_contains": {1, 2}, "gen_para_tokens": {1, 2},
		"gen_locality": v["gen_locality"],
	})
	if v["gen_locality"].N != 3 {
		t.Errorf("locality %v", v["gen_locality"])
	}
}

func TestNormaliseAsSQuAD(t *testing.T) {
	for text, want := range map[string]string{
		"The  U.S. of A": "us of", "an Apple, a day": "apple day", "Then": "then", "“Café”": "“café”", "": "",
	} {
		if got := Normalise(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if !ContainsAlias("It was New York City.", "Gotham", "new york") || ContainsAlias("newyorkers", "new york") || ContainsAlias("anything", "the", "") {
		t.Error("ContainsAlias is wrong at word boundaries")
	}
	if text, ok := untilStop("a b\nc. d"); text != "a b" || !ok {
		t.Errorf("got %q, %v", text, ok)
	}
}

func TestWordsAsNLTK(t *testing.T) {
	for text, want := range map[string]string{
		"I don't know. He's here.":               "I|do|n't|know|.|He|'s|here|.",
		`She said "hello, world" (twice)`:        "She|said|``|hello|,|world|''|(|twice|)",
		"Mr. Smith paid $3.50 at 10:30, really?": "Mr.|Smith|paid|$|3.50|at|10:30|,|really|?",
		"We cannot go... wait--what":             "We|can|not|go|...|wait|--|what",
		"the dogs' bowl isn't 5% full":           "the|dogs|'|bowl|is|n't|5|%|full",
		"":                                       "",
	} {
		if got := strings.Join(Words(text), "|"); got != want {
			t.Errorf("%q:\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestEntropyAndRepetitionByHand(t *testing.T) {
	words := strings.Fields("a b a b c")
	// bigrams ab ab ba bc: 1/2, 1/4, 1/4, so 1.5 bits; trigrams aba bab abc: log2 3
	if got, want := NGramEntropy(words), 1.5/3+2*math.Log2(3)/3; !near(got, want) {
		t.Errorf("GE %v, want %v", got, want)
	}
	if NGramEntropy(nil) != 0 || NGramEntropy([]string{"a"}) != 0 {
		t.Error("a short text has an entropy")
	}
	if got := Repetition(strings.Fields("a b c d a b c d"), 4); !near(got, 0.2) { // abcd bcda cdab dabc abcd
		t.Errorf("rep-4 %v, want 0.2", got)
	}
	if Repetition([]string{"a"}, 4) != 0 {
		t.Error("a short text repeats")
	}
}

func TestConsistencyByHand(t *testing.T) {
	x := newTerms([]string{"red rose", "red car", "blue car"})
	red, rose := math.Log(4.0/3)+1, math.Log(2.0)+1
	if got := x.idf["red"]; !near(got, red) {
		t.Errorf("idf %v, want %v", got, red)
	}
	want := (2 * red * red) / (math.Sqrt(4*red*red) * math.Sqrt(red*red+rose*rose))
	if got := x.similarity("Red, red! a", "red rose"); !near(got, want) {
		t.Errorf("similarity %v, want %v", got, want)
	}
	if x.similarity("green", "red") != 0 {
		t.Error("an unknown word has a similarity")
	}
}

func TestFluencyIsRepeatable(t *testing.T) {
	m, set := tinyModel(t, "gpt2"), tinySet(3)
	refs := map[string][]string{ReferenceKey(&set.Edits[0]): {"the city of the king", "a land"}}
	o := Options{Model: m, Editor: random{}, Set: set, Metrics: []string{"fluency"}, References: refs}
	a, b := evaluate(t, o), evaluate(t, o)
	same(t, a, b)
	for _, name := range []string{"GE", "rep_4", "RS", "ke_fluency"} {
		f, ok := a.Metrics[name]
		if !ok || f.Cases != 3 || f.Record.Decode != "sampled" {
			t.Errorf("%s: %+v", name, f)
		}
	}
	o.Seed = 3
	if c := evaluate(t, o); c.Metrics["GE"].Mean == a.Metrics["GE"].Mean {
		t.Error("another seed gives the same texts")
	}
}

func TestAveragesAndBands(t *testing.T) {
	r := newReport(Record{Average: "macro", Match: "token_all"})
	for _, v := range []Values{{"generalization": {1, 1}}, {"generalization": {0, 3}}, {"reliability": {1, 1}}} {
		r.add(&Line{ID: "x", Values: v})
	}
	r.add(&Line{ID: "y", Dropped: `edit y7: target "a" is 3 tokens`})
	r.add(&Line{ID: "z", Dropped: `edit z9: target "b" is 14 tokens`})
	r.finish(families())
	g := r.Metrics["generalization"]
	if g.Mean != 0.5 || g.Micro != 0.25 || g.Cases != 2 || g.Prompts != 4 || !near(g.Band, 1.96*0.5/math.Sqrt2) {
		t.Errorf("got %+v", g)
	}
	// All families were asked for, and the lines tell of one.
	if want := []string{"attribute", "counterfact", "fluency", "generate", "knowedit", "locality", "locality_kl", "multihop", "portability", "reverse"}; !slices.Equal(r.Missing, want) {
		t.Errorf("missing %v", r.Missing)
	}
	if want := []Drop{{`edit y7: target "a" is 3 tokens`, 2}}; !reflect.DeepEqual(r.Dropped, want) {
		t.Errorf("dropped %v", r.Dropped)
	}
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{`"n":3`, `"reliability":1`, `"generalization":0.5`, `"locality":0`, `"locality_kl":0`, `"edits_per_second":0`} {
		if !strings.Contains(string(raw), key) {
			t.Errorf("the report lacks %s: %s", key, raw)
		}
	}
}

func TestFiguresWithDifferentRecordsDoNotMix(t *testing.T) {
	a := Figure{Name: "reliability", Mean: 1, Micro: 1, Cases: 1, Prompts: 1, Record: Record{Match: "token_all"}}
	b := Figure{Name: "reliability", Mean: 0.5, Micro: 0.5, Cases: 3, Prompts: 3, Record: Record{Match: "token_all"}}
	if got, err := Pool(a, b); err != nil || got.Mean != 0.625 || got.Cases != 4 {
		t.Errorf("got %+v, %v", got, err)
	}
	b.Record.Match = "token_mean"
	if _, err := Pool(a, b); err == nil || !strings.Contains(err.Error(), "match: token_mean and token_all") {
		t.Errorf("got %v", err)
	}
	x := &Report{Editor: "x", Metrics: map[string]Figure{"reliability": a}}
	y := &Report{Editor: "y", Metrics: map[string]Figure{"reliability": b}}
	if got := Mixed(x, y); len(got) != 1 || !strings.Contains(got[0], "reliability of x and y: match") {
		t.Errorf("got %v", got)
	}
	if got := Mixed(x, x); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestEveryFigureHasADescription(t *testing.T) {
	names := map[string]bool{}
	for _, m := range Metrics() {
		if names[m.Name] || m.About == "" {
			t.Errorf("%s is there twice or undescribed", m.Name)
		}
		names[m.Name] = true
	}
	var all []string
	for _, f := range Families() {
		all = append(all, f[0])
	}
	set := tinySet(3)
	set.Edits[0].Chain = &data.Chain{Kind: "multi_hop", Questions: []string{"q"}, Answer: []string{"b"}, NewAnswer: []string{"a"}, Hops: []data.Hop{{Question: "h", Answer: []string{"b"}}}}
	r, err := Run(context.Background(), Options{Model: tinyModel(t, "gpt2"), Engine: testEngine(t), Editor: none{}, Set: set, Metrics: all})
	if err != nil {
		t.Fatal(err)
	}
	for name := range r.Metrics {
		if _, ok := metricNamed(name); !ok {
			t.Errorf("figure %s has no description", name)
		}
	}
	for name := range names {
		found := false
		for have := range r.Metrics {
			found = found || have == name || strings.HasPrefix(have, name+".")
		}
		if !found && !slices.Contains([]string{"RS", "mq_instance", "loc_known", "portability_known"}, name) {
			t.Errorf("%s was never computed", name)
		}
	}
}

func TestLongPromptsAreCutAndCounted(t *testing.T) {
	set := tinySet(2)
	set.Edits[0].Paraphrases[0] = strings.Repeat("xyz ", 40) + "is"
	for maxLen, want := range map[int]int{0: 0, -1: 0, 32: 1} {
		r := evaluate(t, Options{Model: tinyModel(t, "gpt2"), Editor: none{}, Set: set, Metrics: []string{}, MaxLen: maxLen})
		if r.Cut != want {
			t.Errorf("max_len %d: %d prompts were cut, want %d", maxLen, r.Cut, want)
		}
	}
	set.Edits[0].Paraphrases[0] = strings.Repeat("xyz ", 400)
	r := evaluate(t, Options{Model: tinyModel(t, "gpt2"), Editor: none{}, Set: set, Metrics: []string{}, MaxLen: -1})
	if len(r.Skipped) != 1 || !strings.Contains(r.Skipped[0].Reason, "longer than the context") || r.Cut != 0 {
		t.Errorf("skipped %v, cut %d", r.Skipped, r.Cut)
	}
	set.Edits[0].Prompt = strings.Repeat("xyz ", 400)
	r = evaluate(t, Options{Model: tinyModel(t, "gpt2"), Editor: none{}, Set: set, Metrics: []string{}, MaxLen: -1})
	if r.N != 1 || len(r.Dropped) != 1 {
		t.Errorf("n %d, dropped %v", r.N, r.Dropped)
	}
}
