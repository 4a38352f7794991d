package lm

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestGreedyContinuationIsTheArgmaxOfFullForwards(t *testing.T) {
	eachTiny(t, func(t *testing.T, m *Model) {
		o := testOps(t)
		text := slices.Clone(tinyTexts(m)[0])
		got, err := m.Generate(o, text, GenerateOptions{Tokens: 8})
		if err != nil {
			t.Fatal(err)
		}
		for i, id := range got {
			logits := forwardStates(t, m, o, text).logits
			last := logits[len(logits)-m.Config.Vocab:]
			if want := slices.Index(last, slices.Max(last)); int(id) != want {
				t.Fatalf("token %d is %d, want %d", i, id, want)
			}
			text = append(text, id)
		}
		if len(got) != 8 {
			t.Errorf("%d tokens", len(got))
		}
	})
}

func TestSamplingFollowsItsSeed(t *testing.T) {
	m := tinyModel(t, tinyConfigs()["gpt2"])
	sample := func(s Sampler) []int32 {
		got, err := m.Generate(testOps(t), []int32{1, 2, 3}, GenerateOptions{Tokens: 20, Sampler: s})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	hot := Sampler{Temperature: 3, Seed: 1}
	if !slices.Equal(sample(hot), sample(hot)) {
		t.Error("the same seed gives other tokens")
	}
	if slices.Equal(sample(hot), sample(Sampler{Temperature: 3, Seed: 2})) {
		t.Error("another seed gives the same tokens")
	}
	if !slices.Equal(sample(Sampler{}), sample(Sampler{Temperature: 3, TopK: 1, Seed: 9})) {
		t.Error("the best token alone is not greedy")
	}
	logits := []float32{0, 3, 1, 3, 2}
	for seed := range uint64(50) {
		id := Sampler{Temperature: 1, TopK: 3, Seed: seed}.pick(logits, rand.New(rand.NewPCG(seed, 1)))
		if id == 0 || id == 2 {
			t.Errorf("token %d is not among the best three", id)
		}
	}
}

func TestTheHighestAreThoseOfAStableSort(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		logits := make([]float32, 1+rng.IntN(60))
		order := make([]int32, len(logits))
		for i := range logits {
			logits[i], order[i] = float32(rng.IntN(12)), int32(i) // many are equal
		}
		slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(logits[b], logits[a]) })
		for k := 1; k < len(logits); k++ {
			if got := highest(logits, k); !slices.Equal(got, order[:k]) {
				t.Fatalf("%d of %v are %v, want %v", k, logits, got, order[:k])
			}
		}
	}
}

func TestTextsThatGoOnTogetherAreThoseOfEachAlone(t *testing.T) {
	eachTiny(t, func(t *testing.T, m *Model) {
		o := testOps(t)
		var prompts [][]int32
		var opts []GenerateOptions
		for i := range abreast + 5 { // more than go on at once
			text := tinyTexts(m)[i%4]
			prompts = append(prompts, text[:1+i%len(text)])
			opts = append(opts, GenerateOptions{Tokens: i % 6, Sampler: Sampler{Temperature: 1, TopK: i % 4, Seed: uint64(i)}})
		}
		opts[3].OnToken = func(int32) bool { return false }
		together, err := m.GenerateAll(o, prompts, opts)
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range together {
			alone, err := m.Generate(o, prompts[i], opts[i])
			if err != nil || !slices.Equal(got, alone) {
				t.Errorf("text %d: %v, alone %v (%v)", i, got, alone, err)
			}
			if want := opts[i].Tokens; len(got) != want && opts[i].OnToken == nil {
				t.Errorf("text %d: %d tokens, want %d", i, len(got), want)
			}
		}
	})
}

func TestGenerationEndsWhereItShould(t *testing.T) {
	m := tinyModel(t, tinyConfigs()["gpt2"])
	o := testOps(t)
	prompt := []int32{4, 5}
	free, err := m.Generate(o, prompt, GenerateOptions{Tokens: 6})
	if err != nil {
		t.Fatal(err)
	}
	m.Config.EOS = []int32{free[3]}
	first := slices.Index(free, free[3])
	got, err := m.Generate(o, prompt, GenerateOptions{Tokens: 6, StopAtEOS: true})
	if err != nil || !slices.Equal(got, free[:first]) {
		t.Errorf("stopped at the end token: %v, %v", got, err)
	}
	got, err = m.Generate(o, prompt, GenerateOptions{Tokens: 6, OnToken: func(int32) bool { return false }})
	if err != nil || !slices.Equal(got, free[:1]) {
		t.Errorf("stopped by the caller: %v, %v", got, err)
	}
	long := make([]int32, 38)
	got, err = m.Generate(o, long, GenerateOptions{Tokens: 100})
	if err != nil || len(long)+len(got) != 41 { // the last token needs no position
		t.Errorf("stopped by the context: %d tokens, %v", len(got), err)
	}
}

func TestGenerateRefuses(t *testing.T) {
	m := tinyModel(t, tinyConfigs()["llama"])
	cases := []struct {
		name   string
		prompt []int32
		opts   GenerateOptions
		want   string
	}{
		{"no prompt", nil, GenerateOptions{Tokens: 1}, "no tokens"},
		{"a long prompt", make([]int32, 41), GenerateOptions{Tokens: 1}, "prompt longer than the context: 41 tokens, limit 40"},
		{"a token outside the vocabulary", []int32{23}, GenerateOptions{Tokens: 1}, "outside"},
		{"a negative temperature", []int32{1}, GenerateOptions{Sampler: Sampler{Temperature: -1}}, "temperature"},
		{"a negative top-k", []int32{1}, GenerateOptions{Sampler: Sampler{TopK: -1}}, "top-k"},
	}
	for _, c := range cases {
		o := testOps(t)
		if _, err := m.Generate(o, c.prompt, c.opts); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", c.name, err, c.want)
		}
	}
}
