package ft_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/edittest"
	"keyhole.example/keyhole/edit/ft"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
)

func factory(c ft.Config) edittest.Factory {
	return func(k *kernel.Engine) (edit.Editor, error) { return ft.New(c, k) }
}

// The variants as they are by default run through the suite in edit/catalog.
func TestOtherLayersAndObjectivesPassTheSuite(t *testing.T) {
	for name, change := range map[string]func(c *ft.Config){
		"last_token":       func(c *ft.Config) { c.Objective = ft.ObjectiveLastToken },
		"several sites":    func(c *ft.Config) { c.Sites = []string{"mlp@last2", "attn@first1"} },
		"batches of one":   func(c *ft.Config) { c.BatchSize = 1 },
		"the last block":   func(c *ft.Config) { c.Sites = []string{"all@last1"} },
		"without its bias": func(c *ft.Config) { c.Bias = false },
	} {
		t.Run(name, func(t *testing.T) {
			c := ft.Default("ft")
			c.Steps = 5
			change(&c)
			edittest.Run(t, edittest.TinyModel(t, "gpt2"), factory(c), edittest.Options{})
		})
	}
}

func apply(t *testing.T, m *lm.Model, c ft.Config, requests []edit.Request) *edit.Edited {
	t.Helper()
	e, err := ft.New(c, engine(t))
	if err != nil {
		t.Fatal(err)
	}
	d, err := e.Apply(t.Context(), m, requests)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func engine(t *testing.T) *kernel.Engine {
	t.Helper()
	k, err := kernel.New(kernel.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
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

func values(t *testing.T, m *lm.Model, weight string) []float32 {
	t.Helper()
	p, ok := m.Param(weight)
	if !ok {
		t.Fatalf("no weight %s", weight)
	}
	v, err := p.Values()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTheClampHoldsForEveryEntry(t *testing.T) {
	m := edittest.TinyModel(t, "gpt2")
	for steps := 1; steps <= 6; steps++ { // the clamp follows every step
		c := ft.Default("ft-l")
		c.NormConstraint, c.Steps, c.StopLoss = 1e-3, steps, 0
		d := apply(t, m, c, edittest.Requests())
		if len(d.Changes) != 2 {
			t.Fatalf("%d changes, want weight and bias", len(d.Changes))
		}
		reached := 0
		for _, change := range d.Changes {
			for i, start := range values(t, m, change.Weight) {
				lo, hi := start-1e-3, start+1e-3
				v := change.Values[i]
				if v < lo || v > hi {
					t.Fatalf("%s[%d]: %g is outside [%g, %g]", change.Weight, i, v, lo, hi)
				}
				if v == lo || v == hi {
					reached++
				}
			}
		}
		if steps >= 4 && reached == 0 {
			t.Errorf("%d steps: no entry reached the bound, so nothing was tested", steps)
		}
		if figure(t, d, "norm_constraint") != 1e-3 {
			t.Error("the report does not name the constraint")
		}
	}
}

func TestObjectivesAgreeForTargetsOfOneToken(t *testing.T) {
	m := edittest.TinyModel(t, "llama")
	var one []edit.Request
	for id := range int32(m.Tokenizer.Size()) {
		target := strings.TrimSpace(m.Tokenizer.Decode([]int32{id}))
		prompt := edittest.Facts()[len(one)].Prompt
		with, without := m.Tokenizer.EncodeSpecial(prompt+" "+target), m.Tokenizer.EncodeSpecial(prompt)
		if target != "" && len(with) == len(without)+1 && len(one) < 3 {
			one = append(one, edit.Request{ID: target, Prompt: prompt, Target: target})
		}
	}
	if len(one) == 0 {
		t.Fatal("the tokenizer has no target of one token")
	}
	c := ft.Default("ft")
	a := apply(t, m, c, one)
	c.Objective = ft.ObjectiveLastToken
	b := apply(t, m, c, one)
	for i := range a.Changes {
		if !slices.Equal(a.Changes[i].Values, b.Changes[i].Values) {
			t.Errorf("weight %s differs", a.Changes[i].Weight)
		}
	}
}

// The loss before any step is the mean over requests of the mean over target
// tokens, by the model as it is.
func TestLossIsTheMeanOverRequestsOfTheirMeanOverTokens(t *testing.T) {
	m := edittest.TinyModel(t, "gpt2")
	k := engine(t)
	c := ft.Default("ft")
	c.StopLoss = 1e6 // no step at all
	want := 0.0
	for _, r := range edittest.Requests() {
		want += edittest.NLL(t, m, k, r.Prompt, r.Target) / 2
	}
	for _, size := range []int{1, 128} {
		c.BatchSize = size
		d := apply(t, m, c, edittest.Requests())
		if got := figure(t, d, "loss").(float64); math.Abs(got-want) > 1e-5*want {
			t.Errorf("batches of %d: loss %g, want %g", size, got, want)
		}
		if figure(t, d, "steps") != 0 || figure(t, d, "update_norm") != 0.0 {
			t.Errorf("a step was taken: %v", d.Report)
		}
	}
}

// The gradient of the first step, seen through Adam, whose first step is lr
// times the gradient's sign, agrees with finite differences.
func TestFirstStepFollowsTheGradient(t *testing.T) {
	m := edittest.TinyModel(t, "llama")
	k := engine(t)
	c := ft.Default("ft-m")
	c.Steps, c.StopLoss = 1, 0
	d := apply(t, m, c, edittest.Requests())
	name := d.Changes[0].Weight
	start := values(t, m, name)
	p, _ := m.Param(name)
	loss := func(i int, by float32) float64 {
		moved := slices.Clone(start)
		moved[i] += by
		restore, err := p.Replace(moved)
		if err != nil {
			t.Fatal(err)
		}
		defer restore()
		sum := 0.0
		for _, r := range edittest.Requests() {
			sum += edittest.NLL(t, m, k, r.Prompt, r.Target)
		}
		return sum / 2
	}
	checked := 0
	for i := 0; i < len(start); i += 97 {
		const h = 1e-2
		slope := (loss(i, h) - loss(i, -h)) / (2 * h)
		if math.Abs(slope) < 1e-3 {
			continue
		}
		checked++
		if step := float64(d.Changes[0].Values[i] - start[i]); step*slope >= 0 {
			t.Errorf("element %d: step %g against slope %g", i, step, slope)
		}
	}
	if checked < 5 {
		t.Errorf("only %d elements were checked", checked)
	}
}

func TestStopsEarlyAndReports(t *testing.T) {
	m := edittest.TinyModel(t, "gpt2")
	c := ft.Default("ft")
	c.Sites = []string{"mlp@last3"}
	c.LR, c.Steps, c.StopLoss = 5e-3, 400, 0.5
	d := apply(t, m, c, edittest.Requests())
	steps, loss := figure(t, d, "steps").(int), figure(t, d, "loss").(float64)
	if steps == 0 || steps >= 400 || !(loss < c.StopLoss) {
		t.Errorf("steps %d, loss %g", steps, loss)
	}
	undo, err := d.Install(m, engine(t))
	if err != nil {
		t.Fatal(err)
	}
	defer undo()
	sum := 0.0
	for _, r := range edittest.Requests() {
		sum += edittest.NLL(t, m, engine(t), r.Prompt, r.Target)
	}
	if math.Abs(sum/2-loss) > 1e-4 {
		t.Errorf("reported loss %g, the installed edit has %g", loss, sum/2)
	}
}

// LoRA's graph and an installed LoRA edit compute the same loss, and the norm
// reported is that of the materialised change.
func TestLowRankEditIsWhatWasTrained(t *testing.T) {
	for _, arch := range edittest.Architectures() {
		m := edittest.TinyModel(t, arch)
		k := engine(t)
		c := ft.Default("lora")
		c.Steps, c.Rank = 8, 2
		d := apply(t, m, c, edittest.Requests())
		if u := d.Changes[0].Delta.U; u.Rows != 2 {
			t.Errorf("rank %d", u.Rows)
		}
		name := d.Changes[0].Weight
		before := slices.Clone(values(t, m, name))
		undo, err := d.Install(m, k)
		if err != nil {
			t.Fatal(err)
		}
		square := 0.0
		for i, v := range values(t, m, name) {
			diff := float64(v) - float64(before[i])
			square += diff * diff
		}
		sum := 0.0
		for _, r := range edittest.Requests() {
			sum += edittest.NLL(t, m, k, r.Prompt, r.Target)
		}
		undo()
		if loss := figure(t, d, "loss").(float64); math.Abs(sum/2-loss) > 1e-4 {
			t.Errorf("%s: reported loss %g, the installed edit has %g", arch, loss, sum/2)
		}
		if norm := figure(t, d, "update_norm").(float64); math.Abs(norm-math.Sqrt(square)) > 1e-4*norm {
			t.Errorf("%s: reported norm %g, the change has %g", arch, norm, math.Sqrt(square))
		}
	}
}

func TestDefaultLayersByDepth(t *testing.T) {
	for _, c := range []struct {
		variant       string
		layers, block int
	}{
		{"ft", 28, 21}, {"ft", 48, 1}, {"ft", 32, 21}, {"ft", 12, 9}, {"ft", 30, 22}, {"ft", 1, 0},
		{"ft-l", 48, 0}, {"ft-l", 12, 0}, {"ft-m", 32, 21}, {"ft-m", 28, 21}, {"ft-m", 48, 0}, {"ft-m", 12, 7}, {"lora", 30, 19},
	} {
		if got := ft.DefaultBlock(c.variant, c.layers); got != c.block {
			t.Errorf("%s in %d blocks: block %d, want %d", c.variant, c.layers, got, c.block)
		}
	}
	for width, want := range map[int]float64{768: 2e-3, 1024: 2e-3, 1280: 1e-3, 1600: 5e-4, 4096: 5e-5} {
		if got := ft.DefaultNorm(width); got != want {
			t.Errorf("width %d: ε %g, want %g", width, got, want)
		}
	}
}

func TestImpossibleConfigsAreRefused(t *testing.T) {
	for _, variant := range ft.Variants() {
		c := ft.Default(variant)
		if err := c.Validate(); err != nil {
			t.Errorf("default of %s: %v", variant, err)
		}
	}
	for _, c := range []struct {
		variant, want string
		change        func(c *ft.Config)
	}{
		{"ft", "variant", func(c *ft.Config) { c.Variant = "fft" }},
		{"ft", "objective", func(c *ft.Config) { c.Objective = "target_nwe" }},
		{"ft", "norm_constraint", func(c *ft.Config) { c.NormConstraint = -2 }},
		{"ft-l", "norm_constraint", func(c *ft.Config) { c.NormConstraint = 0 }},
		{"lora", "norm_constraint", func(c *ft.Config) { c.NormConstraint = 1 }},
		{"lora", "bias", func(c *ft.Config) { c.Bias = true }},
		{"lora", "rank", func(c *ft.Config) { c.Rank = 0 }},
		{"lora", "alpha", func(c *ft.Config) { c.Alpha = 0 }},
		{"ft", "lr", func(c *ft.Config) { c.LR = math.NaN() }},
		{"ft", "steps", func(c *ft.Config) { c.Steps = 0 }},
		{"ft", "stop_loss", func(c *ft.Config) { c.StopLoss = -1 }},
		{"ft", "batch_size", func(c *ft.Config) { c.BatchSize = 0 }},
	} {
		cfg := ft.Default(c.variant)
		c.change(&cfg)
		if _, err := ft.New(cfg, engine(t)); err == nil || !strings.Contains(err.Error(), c.want+":") {
			t.Errorf("error %v, want one about %s", err, c.want)
		}
	}
}

func TestARankBeyondTheWeightIsRefused(t *testing.T) {
	c := ft.Default("lora")
	c.Rank = 1_000_000_000 // its factors would take terabytes
	e, err := ft.New(c, engine(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Apply(t.Context(), edittest.TinyModel(t, "gpt2"), edittest.Requests()); err == nil || !strings.Contains(err.Error(), "rank: 1000000000 is more than the width") {
		t.Errorf("error %v", err)
	}
}

func TestUnknownSiteAndMissingTokenizerAreErrors(t *testing.T) {
	m := edittest.TinyModel(t, "gpt2")
	c := ft.Default("ft")
	c.Sites = []string{"mlp.dwon"}
	e, err := ft.New(c, engine(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Apply(t.Context(), m, edittest.Requests()); err == nil || !strings.Contains(err.Error(), "mlp.down") {
		t.Errorf("error %v", err)
	}
	m.Tokenizer = nil
	if _, err := e.Apply(t.Context(), m, edittest.Requests()); err == nil || !strings.Contains(err.Error(), "tokenizer") {
		t.Errorf("error %v", err)
	}
}

func TestADivergingTrainingIsAnError(t *testing.T) {
	c := ft.Default("ft")
	c.LR = 1e38
	e, err := ft.New(c, engine(t))
	if err != nil {
		t.Fatal(err)
	}
	m := edittest.TinyModel(t, "gpt2")
	if _, err := e.Apply(t.Context(), m, edittest.Requests()); err == nil || !strings.Contains(fmt.Sprint(err), "learning rate") {
		t.Errorf("error %v", err)
	}
}
