package ike

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/edittest"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
)

// small is a variant that fits the tiny model's context.
func small(variant string) Config {
	c := Default(variant)
	c.Demonstrations = min(c.Demonstrations, 4)
	c.QueryTokens, c.AnswerTokens, c.Threshold = 24, 8, 0.5
	return c
}

// pool is the facts that the requests don't ask for.
func pool() []data.Edit { return edittest.Facts()[2:] }

func build(t *testing.T, c Config, pool []data.Edit) *Editor {
	t.Helper()
	e, err := New(t.Context(), c, pool, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func apply(t *testing.T, e *Editor, m *lm.Model, requests ...edit.Request) *edit.Edited {
	t.Helper()
	d, err := e.Apply(t.Context(), m, requests)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func contextOf(t *testing.T, d *edit.Edited, query string) string {
	t.Helper()
	text, err := d.Context(query)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func figure(t *testing.T, d *edit.Edited, name string) any {
	t.Helper()
	for _, f := range d.Report {
		if f.Name == name {
			return f.Value
		}
	}
	t.Fatalf("no figure %q in %v", name, d.Report)
	return nil
}

func TestEveryVariantAndRetrieverPassesTheSuite(t *testing.T) {
	m := edittest.TinyModel(t, "gpt2")
	for _, variant := range Variants() {
		for _, find := range []string{AutoRetriever, BM25Retriever, RandomRetriever} {
			for _, single := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%s/single=%v", variant, find, single), func(t *testing.T) {
					c := small(variant)
					c.Retriever = find
					edittest.Run(t, m, func(*kernel.Engine) (edit.Editor, error) {
						return New(t.Context(), c, pool(), nil)
					}, edittest.Options{Single: single})
				})
			}
		}
	}
}

// The paper's strings, with their blank lines, written out.
func TestContextIsTheExactTemplate(t *testing.T) {
	records := []data.Edit{{
		ID: "1", Subject: "Ada", Prompt: "Ada lives in", TargetNew: "Rome", TargetTrue: []string{"Oslo"},
		Paraphrases: []string{"It rained. Ada, a resident of"},
		Locality:    map[string][]data.Prompt{data.Neighborhood: {{Prompt: "Bob lives in", Answers: [][]string{{"Oslo"}}}}},
	}}
	r := edit.Request{ID: "x", Prompt: "Cid lives in", Target: "Bonn"}
	m := edittest.TinyModel(t, "gpt2")
	own := "New Fact: Cid lives in Bonn\nPrompt: Cid lives in Bonn\n\n"
	end := "New Fact: Cid lives in Bonn\nPrompt: "
	copyDemo := "New Fact: Ada lives in Rome\nPrompt: Ada lives in Rome\n\n"
	updateDemo := "New Fact: Ada lives in Rome\nPrompt: Ada, a resident of Rome\n\n"
	retainDemo := "New Fact: Ada lives in Rome\nPrompt: Bob lives in Oslo\n\n"
	for _, c := range []struct {
		name, variant, want string
		ratio               Ratio
	}{
		{"copy", Paper, copyDemo + own + end, Ratio{1, 0, 0}},
		{"update", Paper, updateDemo + own + end, Ratio{0, 1, 0}},
		{"retain", Paper, retainDemo + own + end, Ratio{0, 0, 1}},
		{"prompt", Prompt, end, Ratio{1, 0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := small(c.variant)
			cfg.Ratio = c.ratio
			d := apply(t, build(t, cfg, records), m, r)
			if got := contextOf(t, d, "Where is Cid? In"); got != c.want {
				t.Errorf("context\n%q, want\n%q", got, c.want)
			}
		})
	}
	t.Run("easyedit", func(t *testing.T) {
		// all three sentences, the nearest first; the paraphrase as it is
		got := contextOf(t, apply(t, build(t, small(EasyEdit), records), m, r), "q")
		for _, part := range []string{copyDemo, "Prompt: It rained. Ada, a resident of Rome\n\n", retainDemo} {
			if strings.Count(got, part) != 1 {
				t.Errorf("%q stands %d times in %q", part, strings.Count(got, part), got)
			}
		}
		if !strings.HasSuffix(got, end) || strings.Contains(got, own) {
			t.Errorf("context %q", got)
		}
	})
}

func TestKindsAreSharedOutByRatio(t *testing.T) {
	for _, c := range []struct {
		n    int
		r    Ratio
		want [kinds]int
	}{
		{32, Ratio{1, 3, 4}, [kinds]int{4, 12, 16}}, {16, Ratio{1, 3, 4}, [kinds]int{2, 6, 8}},
		{8, Ratio{1, 3, 4}, [kinds]int{1, 3, 4}}, {3, Ratio{1, 3, 4}, [kinds]int{0, 1, 2}}, {1, Ratio{1, 1, 1}, [kinds]int{1, 0, 0}},
		{5, Ratio{0, 0, 2}, [kinds]int{0, 0, 5}}, {0, Ratio{1, 3, 4}, [kinds]int{}},
	} {
		var got [kinds]int
		for _, k := range kindList(c.n, c.r) {
			got[k]++
		}
		if got != c.want {
			t.Errorf("%d in %v: %v, want %v", c.n, c.r, got, c.want)
		}
	}
}

// many is a pool in which record i shares ever fewer words with "b c d e f g".
func many(n int) []data.Edit {
	words := strings.Fields("b c d e f g")
	var out []data.Edit
	for i := range n {
		subject := fmt.Sprintf("S%d", i)
		prompt := subject + " " + strings.Join(words[:max(1, len(words)-i)], " ")
		out = append(out, data.Edit{ID: subject, Subject: subject, Prompt: prompt, TargetNew: "T",
			Paraphrases: []string{subject + " again"}, Locality: map[string][]data.Prompt{data.Neighborhood: {{Prompt: "N", Answers: [][]string{{"A"}}}}}})
	}
	return out
}

func subjects(text string) (out []string) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "New Fact: S"); ok {
			out = append(out, "S"+rest[:strings.IndexByte(rest, ' ')])
		}
	}
	return out
}

func TestOrderOfDemonstrations(t *testing.T) {
	m := edittest.TinyModel(t, "gpt2")
	r := edit.Request{ID: "x", Prompt: "b c d e f g", Target: "T"}
	get := func(order string) []string {
		c := Default(Paper)
		c.Demonstrations, c.Order, c.OwnCopy, c.Ratio, c.QueryTokens = 3, order, false, Ratio{0, 0, 1}, 1
		c.AnswerTokens = 1
		d := apply(t, build(t, c, many(6)), m, r)
		return subjects(contextOf(t, d, "q"))
	}
	if got := get(NearestFirst); !slices.Equal(got, []string{"S0", "S1", "S2"}) {
		t.Errorf("nearest first: %v", got)
	}
	if got := get(NearestLast); !slices.Equal(got, []string{"S2", "S1", "S0"}) {
		t.Errorf("nearest last: %v", got)
	}
	got := get(RandomOrder)
	if !slices.Equal(got, get(RandomOrder)) {
		t.Error("the random order is not repeatable")
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{"S0", "S1", "S2"}) {
		t.Errorf("random: %v", got)
	}
}

func TestLeastSimilarDemonstrationsAreLeftOutFirstAndCounted(t *testing.T) {
	m := edittest.TinyModel(t, "gpt2")
	r := edit.Request{ID: "x", Prompt: "b c d e", Target: "T"}
	c := Default(Paper)
	c.Demonstrations, c.Ratio, c.QueryTokens, c.AnswerTokens = 6, Ratio{1, 0, 0}, 10, 5
	var before []string
	for limit := 250; limit > 60; limit -= 10 {
		c.MaxContext = limit
		e := build(t, c, many(6))
		d := apply(t, e, m, r)
		text := contextOf(t, d, "q")
		n := len(m.Tokenizer.EncodeSpecial(text))
		if n+15 > limit || n != int(figure(t, d, "context_tokens").(float64)) {
			t.Fatalf("limit %d: %d tokens, reported %v", limit, n, figure(t, d, "context_tokens"))
		}
		kept := subjects(text)
		for i, s := range slices.Backward(kept) { // the nearest stand last
			if want := fmt.Sprintf("S%d", ranking(t, e, r)[len(kept)-1-i]); s != want {
				t.Errorf("limit %d: kept %v", limit, kept)
			}
		}
		if got := figure(t, d, "dropped").(float64); int(got) != 7-len(kept)-ownCopies(text, r) {
			t.Errorf("limit %d: %v dropped, %d kept", limit, got, len(kept))
		}
		if before != nil && len(kept) > len(before) {
			t.Errorf("limit %d keeps more than a larger one", limit)
		}
		before = kept
	}
	if len(before) > 2 {
		t.Errorf("%d kept at the smallest limit: nothing was tested", len(before))
	}
}

func ownCopies(text string, r edit.Request) int {
	return strings.Count(text, promptStart+r.Prompt+" "+r.Target+"\n\n")
}

func ranking(t *testing.T, e *Editor, r edit.Request) []int {
	t.Helper()
	ranked, err := e.find.rank(t.Context(), []string{query(Paper, &r)}, 6, func(int, int) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	return ranked[0]
}

func TestALongQueryCostsDemonstrationsAndIsTold(t *testing.T) {
	m := edittest.TinyModel(t, "gpt2")
	e := build(t, small(Paper), pool())
	var uses []Use
	var mu sync.Mutex
	e.OnContext = func(u Use) {
		mu.Lock()
		defer mu.Unlock()
		uses = append(uses, u)
	}
	d := apply(t, e, m, edittest.Requests()[0])
	short := contextOf(t, d, "Mira Tolvan")
	query := strings.Repeat("Mira Tolvan was born. ", 8)
	long := contextOf(t, d, query)
	if len(long) >= len(short) || !strings.HasSuffix(long, promptStart) {
		t.Errorf("%d bytes for a long query, %d for a short one", len(long), len(short))
	}
	if n := len(m.Tokenizer.EncodeSpecial(long + query)); n+8 > m.Limit() {
		t.Errorf("%d tokens leave no room for the answer", n)
	}
	if len(uses) != 2 || uses[1].Dropped <= uses[0].Dropped || uses[1].ID != "a" || uses[1].Tokens >= uses[0].Tokens {
		t.Errorf("uses %+v", uses)
	}
	if _, err := d.Context(strings.Repeat(query, 10)); err == nil || !strings.Contains(err.Error(), "even without demonstrations") {
		t.Errorf("error %v for a query longer than the context", err)
	}
}

func TestAStoreAnswersWithTheNearestFactOrNone(t *testing.T) {
	m := edittest.TinyModel(t, "gpt2")
	c := small(Prompt)
	d := apply(t, build(t, c, nil), m, edittest.Requests()...)
	for query, want := range map[string]string{
		"Mira Tolvan was born in the city of":                        "New Fact: Mira Tolvan was born in the city of Rome\nPrompt: ",
		"Tell me where Hart Bridge is located, it is in the city of": "New Fact: Hart Bridge is located in the city of Paris\nPrompt: ",
		"Two and two make": "",
	} {
		if got := contextOf(t, d, query); got != want {
			t.Errorf("%q: context %q, want %q", query, got, want)
		}
	}
	if figure(t, d, "memory") != StoreMemory || figure(t, d, "threshold") != c.Threshold {
		t.Errorf("report %v", d.Report)
	}
	alone := apply(t, build(t, c, nil), m, edittest.Requests()[0])
	if contextOf(t, alone, "Two and two make") == "" || figure(t, alone, "memory") != NoMemory {
		t.Error("one edit is not in front of every query")
	}
	c.Threshold = 1
	d = apply(t, build(t, c, nil), m, edittest.Requests()...)
	if contextOf(t, d, edittest.Requests()[1].Prompt) == "" {
		t.Error("a fact's own prompt does not reach the threshold 1")
	}
	c.Memory = NoMemory
	if _, err := build(t, c, nil).Apply(t.Context(), m, edittest.Requests()); err == nil || !strings.Contains(err.Error(), "use store") {
		t.Errorf("error %v", err)
	}
}

func TestTheEditsOwnRecordNeverServes(t *testing.T) {
	m := edittest.TinyModel(t, "gpt2")
	for _, find := range []string{BM25Retriever, RandomRetriever} {
		c := small(Paper)
		c.Retriever, c.OwnCopy, c.Demonstrations = find, false, 2
		d := apply(t, build(t, c, edittest.Facts()[:3]), m, edittest.Requests()[0])
		if text := contextOf(t, d, "q"); strings.Count(text, "Mira Tolvan") != 1 {
			t.Errorf("%s: context %q", find, text)
		}
		if !strings.HasPrefix(figure(t, d, "retriever").(string), find) {
			t.Errorf("the report says %v", figure(t, d, "retriever"))
		}
	}
	d := apply(t, build(t, small(Paper), pool()), m, edittest.Requests()[0])
	if got := figure(t, d, "retriever"); got != "bm25 (no encoder is given)" {
		t.Errorf("the report says %v", got)
	}
}

func TestRecordsWithoutWhatAKindNeedsServeAsCopy(t *testing.T) {
	records := []data.Edit{{ID: "1", Prompt: "Ada lives in", TargetNew: "Rome"}, {ID: "2", Prompt: "Bob lives in", TargetNew: "Oslo"}}
	c := small(Paper)
	c.Demonstrations, c.Ratio = 2, Ratio{0, 1, 1}
	d := apply(t, build(t, c, records), edittest.TinyModel(t, "gpt2"), edit.Request{ID: "x", Prompt: "Cid lives in", Target: "Bonn"})
	if figure(t, d, "substituted") != 2.0 || figure(t, d, "copy") != 3.0 || figure(t, d, "update") != 0.0 {
		t.Errorf("report %v", d.Report)
	}
}

func TestStripParaphrase(t *testing.T) {
	for _, c := range []struct{ text, subject, want string }{
		{"Shayna does this and Yossel goes still and dies. Danielle Darrieux, a native", "Danielle Darrieux", "Danielle Darrieux, a native"},
		{"An album. It was.\nThe singer Ada, who", "Ada", "The singer Ada, who"},
		{"One\nTwo Ada is", "Ada", "Two Ada is"},
		{"Category:Albums Ada is", "Ada", "Ada is"},
		{"Ada is", "Ada", "Ada is"},
		{"Nobody. Here", "Ada", "Nobody. Here"},
		{"No. Subject", "", "No. Subject"},
	} {
		if got := StripParaphrase(c.text, c.subject); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

func TestNearestIsASortedPrefix(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		scores := make([]float64, rng.IntN(20))
		for i := range scores {
			scores[i] = float64(rng.IntN(5)) // ties
		}
		k := rng.IntN(8)
		var want []int
		for i := range scores {
			if i%3 != 1 {
				want = append(want, i)
			}
		}
		slices.SortStableFunc(want, func(a, b int) int { return int(scores[b] - scores[a]) })
		want = want[:min(k, len(want))]
		if got := nearest(scores, k, func(i int) bool { return i%3 != 1 }); !slices.Equal(got, want) {
			t.Fatalf("scores %v, k %d: %v, want %v", scores, k, got, want)
		}
	}
}

func TestImpossibleConfigsAreRefused(t *testing.T) {
	for _, variant := range Variants() {
		c := Default(variant)
		if err := c.Validate(); err != nil {
			t.Errorf("default of %s: %v", variant, err)
		}
	}
	for want, change := range map[string]func(c *Config){
		"variant":         func(c *Config) { c.Variant = "icl" },
		"order":           func(c *Config) { c.Order = "up" },
		"retriever":       func(c *Config) { c.Retriever = "bm52" },
		"memory":          func(c *Config) { c.Memory = "long" },
		"demonstrations":  func(c *Config) { c.Demonstrations = -1 },
		"ratio":           func(c *Config) { c.Ratio.Copy = -1 },
		"encoder needs":   func(c *Config) { c.Retriever = EncoderRetriever },
		"max_context":     func(c *Config) { c.MaxContext = -1 },
		"query_tokens":    func(c *Config) { c.QueryTokens = 0 },
		"answer_tokens":   func(c *Config) { c.AnswerTokens = 0 },
		"threshold":       func(c *Config) { c.Threshold = 1.5 },
		"all parts are 0": func(c *Config) { c.Ratio = Ratio{} },
		"prompt has none": func(c *Config) { c.Variant = Prompt },
		"none was loaded": func(c *Config) { c.Retriever, c.Encoder = EncoderRetriever, "x" },
		"no records":      func(c *Config) { c.Retriever = "pool of none" },
	} {
		c, records := Default(Paper), pool()
		if change(&c); want == "no records" {
			c, records = Default(Paper), nil
		}
		if _, err := New(t.Context(), c, records, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}

func TestAModelWithoutATokenizerIsAnError(t *testing.T) {
	m := edittest.TinyModel(t, "gpt2")
	m.Tokenizer = nil
	if _, err := build(t, small(Paper), pool()).Apply(t.Context(), m, edittest.Requests()); err == nil || !strings.Contains(err.Error(), "tokenizer") {
		t.Errorf("error %v", err)
	}
}
