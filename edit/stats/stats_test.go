package stats

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/internal/mpi/mpitest"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/lmtest"
	"keyhole.example/keyhole/lm/safetensors"
	"keyhole.example/keyhole/lm/tokenizer"
)

// sampleText has lines enough for a few hundred tokens.
func sampleText() string {
	words := strings.Fields("the cat sat on a mat in city of old river and new bridge near town while rain fell over green hills")
	rng := rand.New(rand.NewPCG(5, 6))
	var b strings.Builder
	for range 60 {
		for range 12 {
			b.WriteString(words[rng.IntN(len(words))] + " ")
		}
		b.WriteString("\n\n")
	}
	return b.String()
}

func tinyModel(t *testing.T, seed uint64) *lm.Model {
	t.Helper()
	words, err := tokenizer.Train([]string{sampleText()}, 300, []string{"<|endoftext|>"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := lm.New(lm.Config{
		ModelType: "gpt2", Layers: 3, Width: 16, Heads: 2, KVHeads: 2, FFN: 40,
		Vocab: words.Size(), Context: 64, Eps: 1e-5, Tied: true,
	}, rand.New(rand.NewPCG(seed, 1)))
	if err != nil {
		t.Fatal(err)
	}
	m.Tokenizer = words
	return m
}

func downSites(t *testing.T, m *lm.Model) []lm.Site {
	t.Helper()
	sites, err := m.FindSites([]string{"mlp.down@0", "mlp.down@2"})
	if err != nil {
		t.Fatal(err)
	}
	return sites
}

func small() Config {
	c := Default()
	c.Tokens, c.Batch = 500, 40
	return c
}

func collect(t *testing.T, m *lm.Model, threads int, dir string) []*Moment {
	t.Helper()
	out, err := Collect(t.Context(), m, lmtest.Engine(t, threads), downSites(t, m), TextCorpus("test", sampleText()), small(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func sameMoment(t *testing.T, a, b *Moment) {
	t.Helper()
	if a.Info != b.Info {
		t.Errorf("%+v, then %+v", a.Info, b.Info)
	}
	for i := range a.Width {
		for j := i; j < a.Width; j++ {
			if math.Float64bits(a.Sum[i*a.Width+j]) != math.Float64bits(b.Sum[i*a.Width+j]) {
				t.Fatalf("%s: entry %d, %d differs", a.Site, i, j)
			}
		}
	}
}

func TestEqualRunsGiveEqualBytesOnAnyNumberOfThreads(t *testing.T) {
	m := tinyModel(t, 1)
	first := collect(t, m, 1, "")
	for _, threads := range []int{1, 2} {
		for i, again := range collect(t, m, threads, "") {
			sameMoment(t, first[i], again)
		}
	}
	if first[0].Tokens != 500 || first[1].Tokens != 500 {
		t.Errorf("%d and %d tokens, want 500", first[0].Tokens, first[1].Tokens)
	}
}

// TestStatisticsAreThoseOfTheBaseModel, whatever edits stand in it at the time,
// which stand there afterwards.
func TestStatisticsAreThoseOfTheBaseModel(t *testing.T) {
	m := tinyModel(t, 1)
	want := collect(t, m, 1, "")
	p := downSites(t, m)[0].Linear.W
	var undo []func()
	for range 2 { // one edit on top of another
		old, err := p.Values()
		if err != nil {
			t.Fatal(err)
		}
		now := make([]float32, len(old))
		for i := range now {
			now[i] = old[i] + 0.5
		}
		u, err := p.Replace(now)
		if err != nil {
			t.Fatal(err)
		}
		undo = append(undo, u)
	}
	edited, err := p.Values()
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range collect(t, m, 1, "") {
		sameMoment(t, want[i], got)
	}
	if now, err := p.Values(); err != nil || &now[0] != &edited[0] {
		t.Error("the edits are gone")
	}
	undo[1]()
	undo[0]()
	undo[0]() // once more changes nothing
	for i, got := range collect(t, m, 1, "") {
		sameMoment(t, want[i], got)
	}
}

func TestAnInterruptedRunGoesOnToTheSameBytes(t *testing.T) {
	m, dir := tinyModel(t, 1), t.TempDir()
	want := collect(t, m, 2, "")
	stops := 0
	for {
		ctx, cancel := context.WithCancel(t.Context())
		seen := 0
		got, err := Collect(ctx, m, lmtest.Engine(t, 2), downSites(t, m), TextCorpus("test", sampleText()), small(), Options{
			Dir: dir, Progress: func(done, _ int) {
				if seen++; seen == 3 {
					cancel()
				}
			},
		})
		cancel()
		if err == nil {
			for i := range got {
				sameMoment(t, want[i], got[i])
			}
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if stops++; stops > 100 {
			t.Fatal("the runs get nowhere")
		}
	}
	if stops < 2 {
		t.Errorf("the run was stopped %d times", stops)
	}
	if parts, err := filepath.Glob(filepath.Join(dir, "part-*")); err != nil || len(parts) > 0 {
		t.Errorf("partial sums are left: %v, %v", parts, err)
	}
	for i, site := range downSites(t, m) {
		found, err := Find(dir, m, site)
		if err != nil {
			t.Fatal(err)
		}
		sameMoment(t, want[i], found)
	}
	for i, again := range collect(t, m, 2, dir) { // from the files
		sameMoment(t, want[i], again)
	}
}

// TestProcessesGiveTheSameBytes: alone, together, and one after the other.
func TestProcessesGiveTheSameBytes(t *testing.T) {
	want := collect(t, tinyModel(t, 1), 1, "")
	for _, n := range []int{2, 3} {
		dir := t.TempDir()
		models, engines := make([]*lm.Model, n), make([]*kernel.Engine, n)
		for i := range n {
			models[i], engines[i] = tinyModel(t, 1), lmtest.Engine(t, 1)
		}
		together := func(ctx context.Context, o Options) ([]*Moment, []error) {
			var lead []*Moment
			errs := mpitest.Together(n, func(m *mpitest.Member) error {
				o, r := o, m.Rank()
				o.Team, o.Dir = m, dir
				out, err := Collect(ctx, models[r], engines[r], downSites(t, models[r]), TextCorpus("test", sampleText()), small(), o)
				if r == 0 {
					lead = out
				}
				return err
			})
			return lead, errs
		}
		ctx, cancel := context.WithCancel(t.Context())
		_, errs := together(ctx, Options{Progress: func(int, int) { cancel() }})
		for r, err := range errs {
			if !errors.Is(err, context.Canceled) && !errors.Is(err, mpi.ErrStopped) {
				t.Fatalf("process %d of %d, cancelled: %v", r, n, err)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "part-"+want[0].fileName())); err != nil {
			t.Fatalf("nothing is saved in part: %v", err)
		}
		for range 2 { // the second time all of it is there
			got, errs := together(t.Context(), Options{})
			for r, err := range errs {
				if err != nil {
					t.Fatalf("process %d of %d: %v", r, n, err)
				}
			}
			for i := range want {
				sameMoment(t, want[i], got[i])
			}
		}
		for i, m := range collect(t, tinyModel(t, 1), 1, dir) { // what they wrote
			sameMoment(t, want[i], m)
		}
	}
}

func TestStatisticsOfAnotherModelAreRefused(t *testing.T) {
	m, dir := tinyModel(t, 1), t.TempDir()
	moments := collect(t, m, 2, dir)
	other := tinyModel(t, 2)
	sites := downSites(t, other)
	if err := moments[0].Check(other, sites[0]); err == nil || !strings.Contains(err.Error(), "another model") {
		t.Errorf("error %v", err)
	}
	if err := moments[0].Check(m, sites[1]); err == nil {
		t.Error("statistics of another layer were taken")
	}
	if _, err := Find(dir, other, sites[0]); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "another model") {
		t.Errorf("error %v", err)
	}
	if _, err := Find(t.TempDir(), m, sites[0]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestTooFewTokensAreAnErrorThatSaysHowManyAreNeeded(t *testing.T) {
	m := tinyModel(t, 1)
	for name, run := range map[string]func() error{
		"budget": func() error {
			c := small()
			c.Tokens = 39
			_, err := Collect(t.Context(), m, lmtest.Engine(t, 1), downSites(t, m), TextCorpus("test", sampleText()), c, Options{})
			return err
		},
		"corpus": func() error {
			_, err := Collect(t.Context(), m, lmtest.Engine(t, 1), downSites(t, m), TextCorpus("test", "the cat sat\n"), small(), Options{Dir: t.TempDir()})
			return err
		},
		"factor": func() error {
			few := &Moment{Info: Info{Site: "x", Width: 40, Tokens: 39}, Sum: make([]float64, 1600)}
			_, err := few.Factor(0)
			return err
		},
	} {
		if err := run(); err == nil || !strings.Contains(err.Error(), "at least 40 are needed") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestARidgeIsAddedOnlyWhereItMustBe(t *testing.T) {
	const width = 6
	k := lmtest.Engine(t, 1)
	moment := func(dead bool) *Moment {
		m := &Moment{Info: Info{Width: width}, Sum: make([]float64, width*width)}
		rng := rand.New(rand.NewPCG(1, 2))
		x := make([]float32, 50*width)
		for i := range x {
			if x[i] = float32(rng.NormFloat64()); dead && i%width == 3 {
				x[i] = 0
			}
		}
		m.Add(k, kernel.Mat(x, 50, width))
		return m
	}
	f, err := moment(false).Factor(0)
	if err != nil || f.Ridge != 0 {
		t.Errorf("ridge %v, error %v; want none", f, err)
	}
	key := []float64{1, 2, 3, 4, 5, 6}
	x, err := f.Solve(key)
	if err != nil {
		t.Fatal(err)
	}
	c := moment(false).C()
	for i := range width {
		sum := 0.0
		for j := range width {
			sum += c.At(i, j) * x[j]
		}
		if math.Abs(sum-key[i]) > 1e-9 {
			t.Errorf("C·x is %v at %d, want %v", sum, i, key[i])
		}
	}
	if f, err = moment(true).Factor(0); err != nil || f.Ridge <= 0 {
		t.Errorf("a dead unit: ridge %v, error %v; want a ridge", f, err)
	}
	if _, err := (&Moment{Info: Info{Width: width, Tokens: 9}, Sum: make([]float64, width*width)}).Factor(0); err == nil {
		t.Error("a moment of nothing but zeros was factorised")
	}
}

func TestCorporaMayBeCompressed(t *testing.T) {
	dir := t.TempDir()
	plain, packed := filepath.Join(dir, "a.txt"), filepath.Join(dir, "a.txt.gz")
	if err := os.WriteFile(plain, []byte(sampleText()), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(packed)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	if _, err := z.Write([]byte(sampleText())); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	var seen []measured
	for _, c := range []Corpus{FileCorpus(plain), FileCorpus(packed), TextCorpus("x", sampleText())} {
		m, err := c.measure()
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, m)
	}
	if seen[0] != seen[1] || seen[0] != seen[2] {
		t.Error("one text in three forms was measured differently")
	}
	for name, c := range map[string]Corpus{
		"empty": TextCorpus("x", " \n\n"), "UTF-8": TextCorpus("x", "ab\n\xff\n"), "no such file": FileCorpus(filepath.Join(dir, "b")),
	} {
		if _, err := c.measure(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one with %q", err, name)
		}
	}
}

func TestASampleHasEachLineOnce(t *testing.T) {
	var lines strings.Builder
	for i := range 200 {
		fmt.Fprintf(&lines, "line %d\n", i)
	}
	seen := map[string]int{}
	var order []string
	for line, err := range TextCorpus("x", lines.String()).sample(3, 0.3) {
		if err != nil {
			t.Fatal(err)
		}
		seen[line]++
		order = append(order, line)
	}
	if len(seen) != 200 || len(order) != 200 {
		t.Errorf("%d lines, %d different ones, want 200", len(order), len(seen))
	}
	if order[0] == "line 0" && order[1] == "line 1" && order[2] == "line 2" {
		t.Error("the sample begins like the text")
	}
}

func TestDamagedFilesAreRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.safetensors")
	m := &Moment{Info: Info{Site: "x", Width: 3, Tokens: 7}, Sum: make([]float64, 9)}
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func(m *Moment){
		"tokens": func(m *Moment) { m.Tokens = 0 },
		"NaN":    func(m *Moment) { m.Sum[0] = math.NaN() },
	} {
		bad := &Moment{Info: m.Info, Sum: make([]float64, 9)}
		damage(bad)
		if err := bad.Save(path); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one with %q", err, name)
		}
	}
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range raw {
		bit := 8*at + at%8
		bad := bytes.Clone(raw)
		bad[bit/8] ^= 1 << (bit % 8)
		if err := os.WriteFile(path, bad, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil {
			t.Errorf("bit %d of byte %d flipped: accepted", bit%8, bit/8)
		}
	}
	// A width that the tensor does not have, in an otherwise sound file.
	wide := &Moment{Info: m.Info, Sum: m.Sum}
	meta := wide.metadata(format)
	meta["width"] = "9"
	if err := safetensors.Write(path, []safetensors.Entry{wide.entry("sum")}, meta); err != nil { // without a sum, as the first version wrote it
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "no tensor sum") {
		t.Errorf("error %v", err)
	}
}
