package mend

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/meta"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/eager"
	"keyhole.example/keyhole/text"
)

// solver is tiny with rows that are solved for under a moment.
func solver(t *testing.T, negatives int) (*lm.Model, *kernel.Engine, *Editor) {
	t.Helper()
	m, k, e := tinyWith(t, "mend", func(c *hypernet.Config) {
		c.Update.Rule, c.Update.Prior, c.Update.Ridge, c.Update.Shrink = hypernet.Solve, hypernet.Moment, 0.01, 0.05
	}, func(e *Editor) {
		var texts []text.Text
		for _, r := range set(4).Edits {
			x, err := text.Kept(e.tok, r.Prompt, r.TargetNew, r.Join, e.text)
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, x)
		}
		if err := e.o.TakePrior(texts); err != nil {
			t.Fatal(err)
		}
		e.o.Others = meta.Others{Names: []string{"lake", "town", "river", "old hill"}, Count: negatives, Rows: hypernet.AllRows}
	})
	return m, k, e
}

// siteValues are copies of the edited weights.
func siteValues(t *testing.T, m *lm.Model, e *Editor) [][]float32 {
	t.Helper()
	var out [][]float32
	for _, s := range e.o.Net.Sites {
		p, _ := m.Param(s.Name)
		v, err := p.Values()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, slices.Clone(v))
	}
	return out
}

// with are the edited weights in a model that has d.
func with(t *testing.T, m *lm.Model, k *kernel.Engine, e *Editor, d *edit.Edited) [][]float32 {
	t.Helper()
	undo, err := d.Install(m, k)
	if err != nil {
		t.Fatal(err)
	}
	defer undo()
	return siteValues(t, m, e)
}

// sameMoves fails unless got are want up to a share of how far these are from base.
func sameMoves(t *testing.T, what string, e *Editor, base, want, got [][]float32, share float64) {
	t.Helper()
	for i := range want {
		moved, gap := 0.0, 0.0
		for j := range want[i] {
			moved = math.Max(moved, math.Abs(float64(want[i][j]-base[i][j])))
			gap = math.Max(gap, math.Abs(float64(got[i][j]-want[i][j])))
		}
		if moved == 0 || gap > share*moved {
			t.Errorf("%s: %s differs by %.2g, and was moved by %.2g", what, e.o.Net.Sites[i].Name, gap, moved)
		}
	}
}

// inSequence makes the requests' edits one after the other, with the memory
// packed and opened by another editor behind edit reopen, and returns the
// weights that they leave.
func inSequence(t *testing.T, m *lm.Model, k *kernel.Engine, e *Editor, requests []edit.Request, reopen int) [][]float32 {
	t.Helper()
	var last *edit.Edited
	for i := range requests {
		next, err := e.Continue(context.Background(), m, last, requests[i:i+1])
		if err != nil {
			t.Fatal(err)
		}
		undo, err := next.Install(m, k)
		if err != nil {
			t.Fatal(err)
		}
		defer undo()
		last = next
		if i == reopen {
			p, err := last.Memory.Pack()
			if err != nil {
				t.Fatal(err)
			}
			e = New(e.o, e.name, e.text, e.tok)
			if last.Memory, err = e.Open(context.Background(), m, p); err != nil {
				t.Fatal(err)
			}
		}
	}
	return siteValues(t, m, e)
}

// TestASequenceEndsWhereOneSolveDoes: edits made one after the other, in another
// order, and by an editor that goes on with the memory from a file, all leave the
// weights of one edit of all of them.
func TestASequenceEndsWhereOneSolveDoes(t *testing.T) {
	for _, negatives := range []int{0, 3} {
		t.Run(fmt.Sprintf("%d negatives", negatives), func(t *testing.T) { sequenceIsOneSolve(t, negatives) })
	}
}

func sequenceIsOneSolve(t *testing.T, negatives int) {
	m, k, e := solver(t, negatives)
	requests := requests(4)
	base := siteValues(t, m, e)
	whole, err := e.Apply(context.Background(), m, requests)
	if err != nil {
		t.Fatal(err)
	}
	want := with(t, m, k, e, whole)
	backwards := slices.Clone(requests)
	slices.Reverse(backwards)
	for name, got := range map[string][][]float32{
		"in a row":  inSequence(t, m, k, e, requests, -1),
		"backwards": inSequence(t, m, k, e, backwards, -1),
		"from file": inSequence(t, m, k, e, requests, 1),
	} {
		sameMoves(t, name, e, base, want, got, 5e-3)
	}
	for i, v := range siteValues(t, m, e) {
		if !slices.Equal(v, base[i]) {
			t.Errorf("%s is not put back", e.o.Net.Sites[i].Name)
		}
	}
}

// TestScaledEditsAreThoseAlone: with a probability that is out of reach, values
// are scaled up; edits made together have the values that each has alone.
func TestScaledEditsAreThoseAlone(t *testing.T) {
	m, _, e := solver(t, 0)
	scales := func() float64 {
		rows, err := e.rows(context.Background(), m, singles(requests(2)), e.o.Net.Config.Update.Reach)
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for i := range rows[0] {
			if rows[0][i].Scale == 0 {
				t.Fatal("a scale of 0")
			}
			sum += math.Abs(float64(rows[0][i].Scale))
		}
		return sum
	}
	without := scales()
	e.o.Net.Config.Update.Reach = 0.999
	with := scales()
	if !(with > without) {
		t.Errorf("the scales add up to %g, without a probability to reach to %g", with, without)
	}
	one, err := e.Apply(context.Background(), m, requests(1))
	if err != nil {
		t.Fatal(err)
	}
	two, err := e.Apply(context.Background(), m, requests(2))
	if err != nil {
		t.Fatal(err)
	}
	for i := range e.o.Net.Sites {
		alone, together := one.Memory.(*memory).values[i], two.Memory.(*memory).values[i]
		if !slices.Equal(alone.Data, together.Data[:len(alone.Data)]) {
			t.Errorf("site %d: the values of an edit depend on the one beside it", i)
		}
	}
}

// TestTheMiddleOfASequenceCanGo: with one look, what is kept of an edit is to the byte
// what it is in a sequence that never had the edit before it, and so is what the rest
// composes to. A second look saw that edit, and its values keep that.
func TestTheMiddleOfASequenceCanGo(t *testing.T) {
	for looks := 1; looks <= 2; looks++ {
		m, k, e := tinyWith(t, "mend", func(c *hypernet.Config) {
			c.Update.Rule, c.Update.Ridge, c.Update.Steps, c.EditLR = hypernet.Solve, 0.01, looks, 0.5
		}, func(*Editor) {})
		sequence := func(list ...edit.Request) (kept []*edit.Kept) {
			t.Helper()
			var last *edit.Edited
			for i := range list {
				next, err := e.Continue(context.Background(), m, last, list[i:i+1])
				if err != nil {
					t.Fatal(err)
				}
				undo, err := next.Install(m, k)
				if err != nil {
					t.Fatal(err)
				}
				defer undo()
				last = next
				kept = append(kept, &edit.Kept{Edited: next})
			}
			return kept
		}
		list := requests(3)
		whole, without := sequence(list...), sequence(list[0], list[2])
		a, err := edit.Compose(whole[0], whole[2])
		if err != nil {
			t.Fatal(err)
		}
		b, err := edit.Compose(without...)
		if err != nil {
			t.Fatal(err)
		}
		same := true
		for i := range a.Changes {
			x, y := a.Changes[i].Delta, b.Changes[i].Delta
			same = same && slices.Equal(x.U.Data, y.U.Data) && slices.Equal(x.D.Data, y.D.Data)
		}
		if whole[2].Edited.Sees() != (looks == 2) {
			t.Errorf("%d looks: the last edit says that it saw earlier ones: %v", looks, whole[2].Edited.Sees())
		}
		if same != (looks == 1) {
			t.Errorf("%d looks: the same bytes without the edit in the middle: %v", looks, same)
		}
	}
}

// TestTheOrderOfEditsMadeTogetherDoesNotMatter, up to rounding.
func TestTheOrderOfEditsMadeTogetherDoesNotMatter(t *testing.T) {
	m, k, e := solver(t, 0)
	list := requests(4)
	weights := func() [][]float32 {
		t.Helper()
		d, err := e.Apply(context.Background(), m, list)
		if err != nil {
			t.Fatal(err)
		}
		return with(t, m, k, e, d)
	}
	want := weights()
	slices.Reverse(list)
	sameMoves(t, "another order", e, siteValues(t, m, e), want, weights(), 1e-4)
}

// TestReachHoldsForAllOfAGroup: with a second look, values of edits made together, and
// of one in a row, are scaled up in the model with all of them.
func TestReachHoldsForAllOfAGroup(t *testing.T) {
	m, k, e := tinyWith(t, "mend", func(c *hypernet.Config) {
		c.Update.Rule, c.Update.Ridge, c.Update.Steps = hypernet.Solve, 0.01, 2
		c.EditLR = 0.5
	}, func(*Editor) {})
	list := requests(4)
	asked := func(d *edit.Edited, list []edit.Request) []float64 {
		t.Helper()
		undo, err := d.Install(m, k)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(undo)
		if _, err := e.begin(context.Background(), m, list); err != nil { // lays their texts out
			t.Fatal(err)
		}
		prob, _, err := e.o.Answers()
		if err != nil {
			t.Fatal(err)
		}
		return prob
	}
	base := siteValues(t, m, e)
	probs := func() (first, second []float64) {
		t.Helper()
		for i, s := range e.o.Net.Sites {
			p, _ := m.Param(s.Name)
			undo, err := p.Replace(base[i])
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(undo)
		}
		whole, err := e.Apply(context.Background(), m, list[:3])
		if err != nil {
			t.Fatal(err)
		}
		first = asked(whole, list[:3])
		next, err := e.Continue(context.Background(), m, whole, list[3:])
		if err != nil {
			t.Fatal(err)
		}
		return first, asked(next, list[3:])
	}
	first, second := probs()
	e.o.Net.Config.Update.Reach = 0.9
	scaled, next := probs()
	mean := func(x []float64) (sum float64) {
		for _, v := range x {
			sum += v / float64(len(x))
		}
		return sum
	}
	if len(first) != 3 || len(second) != 1 {
		t.Fatalf("%d and %d answers", len(first), len(second))
	}
	if !(mean(scaled) > mean(first)) {
		t.Errorf("the group's targets have %v, without a probability to reach %v", scaled, first)
	}
	if !(next[0] >= second[0]) {
		t.Errorf("the next one's target has %v, without a probability to reach %v", next, second)
	}
}

// TestComposedEditsAreSolvedForTogether: files of edits that were each made in
// the base model compose to one edit of all of them.
func TestComposedEditsAreSolvedForTogether(t *testing.T) {
	for _, negatives := range []int{0, 3} {
		t.Run(fmt.Sprintf("%d negatives", negatives), func(t *testing.T) { composedIsOneSolve(t, negatives) })
	}
}

func composedIsOneSolve(t *testing.T, negatives int) {
	m, k, e := solver(t, negatives)
	all := requests(3)
	whole, err := e.Apply(context.Background(), m, all)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var kept []*edit.Kept
	for i := range all {
		one, err := e.Apply(context.Background(), m, all[i:i+1])
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, all[i].ID+edit.FileExt)
		if err := edit.WriteFile(path, one, "model"); err != nil {
			t.Fatal(err)
		}
		f, err := edit.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, f)
	}
	composed, err := edit.Compose(kept...)
	if err != nil {
		t.Fatal(err)
	}
	if len(composed.Changes) != len(whole.Changes) {
		t.Fatalf("%d changes, want %d", len(composed.Changes), len(whole.Changes))
	}
	sameMoves(t, "composed", e, siteValues(t, m, e), with(t, m, k, e, whole), with(t, m, k, e, composed), 1e-3)
}

// TestNegativesAreSpared: the more an edit's negatives weigh, the less the layers'
// outputs for them change, beside what they change for the edit itself.
func TestNegativesAreSpared(t *testing.T) {
	m, _, e := solver(t, 3)
	last := math.Inf(1)
	for _, weight := range []float64{1e-6, 1, 1e3} {
		e.o.Net.Config.Update.Weight = weight
		one, err := e.Apply(context.Background(), m, requests(1))
		if err != nil {
			t.Fatal(err)
		}
		spared, own := 0.0, 0.0
		for i, c := range one.Changes {
			keys, n := one.Memory.(*memory).keys[i], c.Delta.U.Rows
			if keys.Rows == n {
				t.Fatal("no negatives")
			}
			for r := range keys.Rows {
				x := kernel.Mat(keys.Data[r*keys.Cols:(r+1)*keys.Cols], 1, keys.Cols)
				moved := movedBy(*c.Delta, x)
				if r < n {
					own += moved
				} else {
					spared += moved / weight
				}
			}
		}
		if share := spared / own; share >= last {
			t.Errorf("weight %g: negatives get %g of what the edit gets, with less weight %g", weight, share, last)
		} else {
			last = share
		}
	}
	if last > 1e-2 {
		t.Errorf("negatives still get %g of the edit", last)
	}
}

// movedBy is how far a change moves the output for x, [1, in], squared.
func movedBy(d nn.Delta, x kernel.Matrix) float64 {
	out := make([]float64, d.D.Cols)
	for i := range d.U.Rows {
		a := 0.0
		for j, v := range d.U.Data[i*d.U.Stride : i*d.U.Stride+d.U.Cols] {
			a += float64(v) * float64(x.Data[j])
		}
		for j := range out {
			out[j] += a * float64(d.D.Data[i*d.D.Stride+j])
		}
	}
	sum := 0.0
	for _, v := range out {
		sum += v * v
	}
	return sum
}

// TestALaterLookSeesTheWholeGroup: with two looks, edits made together have other
// values than each alone; those that do not meet have their own.
func TestALaterLookSeesTheWholeGroup(t *testing.T) {
	m, _, e := tinyWith(t, "mend", func(c *hypernet.Config) {
		c.Update.Rule, c.Update.Ridge, c.Update.Steps = hypernet.Solve, 0.01, 2
	}, func(*Editor) {})
	list := requests(3)
	each, err := e.ApplyEach(context.Background(), m, list)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := e.Apply(context.Background(), m, list)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole.Changes {
		one, all := each[0].Memory.(*memory).values[i], whole.Memory.(*memory).values[i]
		if all.Rows <= one.Rows || len(all.Data) != all.Rows*all.Cols {
			t.Fatalf("%d rows of values for three edits, %d for the first", all.Rows, one.Rows)
		}
		if slices.Equal(one.Data, all.Data[:len(one.Data)]) {
			t.Errorf("%s: the second look saw nothing of the other edits", whole.Changes[i].Weight)
		}
	}
	again, err := e.Apply(context.Background(), m, list[:1])
	if err != nil {
		t.Fatal(err)
	}
	for i := range again.Changes {
		if !slices.Equal(again.Memory.(*memory).values[i].Data, each[0].Memory.(*memory).values[i].Data) {
			t.Errorf("%s: an edit alone depends on those beside it in a run", again.Changes[i].Weight)
		}
	}
}

// TestTheLookInTheEditedModelIsThatOfTheGraph: the second look at an edit, taken in
// the model with what the first one made of it, adds what it adds in one graph.
func TestTheLookInTheEditedModelIsThatOfTheGraph(t *testing.T) {
	m, _, e := tinyWith(t, "mend", func(c *hypernet.Config) {
		c.Update.Rule, c.Update.Ridge, c.Update.Steps = hypernet.Solve, 0.01, 2
	}, func(*Editor) {})
	list := requests(1)
	want, err := e.rows(context.Background(), m, singles(list), e.o.Net.Config.Update.Reach)
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.begin(context.Background(), m, list)
	if err != nil {
		t.Fatal(err)
	}
	first := siteRows(got[0])
	if err := e.lookAgain(m, e.edited(list, got[0]), got, 1); err != nil {
		t.Fatal(err)
	}
	last, whole := siteRows(got[0]), siteRows(want[0])
	for i := range whole {
		moved, gap := 0.0, 0.0
		for j := range whole[i] {
			moved = math.Max(moved, math.Abs(float64(whole[i][j]-first[i][j])))
			gap = math.Max(gap, math.Abs(float64(whole[i][j]-last[i][j])))
		}
		if moved == 0 || gap > 1e-3*moved {
			t.Errorf("%s: the second look adds up to %g in the graph; outside it differs by %g", e.o.Net.Sites[i].Name, moved, gap)
		}
	}
}

// siteRows are the values of an edit's rows by site.
func siteRows(rows []meta.Rows) [][]float32 {
	var out [][]float32
	for _, r := range rows {
		out = append(out, scaled(r.D, r.Scale).Data)
	}
	return out
}

// TestFurtherLooksAreTakenWhileTheTargetIsNotReached: where the target is the most
// probable one already, nothing changes; elsewhere it does not get less likely.
func TestFurtherLooksAreTakenWhileTheTargetIsNotReached(t *testing.T) {
	there, likelier := 0, 0
	for _, rate := range []float64{0.02, 0.5} {
		m, k, e := tinyWith(t, "mend", func(c *hypernet.Config) {
			c.Update.Rule, c.Update.Ridge, c.Update.Steps, c.EditLR = hypernet.Solve, 0.01, 2, rate
		}, func(*Editor) {})
		list := requests(4)
		said, err := m.Generate(eager.New(k), text.Prompt(m.Tokenizer, list[0].Prompt), lm.GenerateOptions{Tokens: 1})
		if err != nil {
			t.Fatal(err)
		}
		list[0].Target = strings.TrimSpace(m.Tokenizer.Decode(said))
		for _, r := range list {
			likelihood := func(ed edit.Editor) (p float64, right bool, weights [][]float32) {
				d, err := ed.Apply(t.Context(), m, []edit.Request{r})
				if err != nil {
					t.Fatal(err)
				}
				undo, err := d.Install(m, k)
				if err != nil {
					t.Fatal(err)
				}
				defer undo()
				prob, hit, err := e.o.Answers()
				if err != nil {
					t.Fatal(err)
				}
				return prob[0], hit[0], siteValues(t, m, e)
			}
			p, right, plain := likelihood(e)
			q, hit, weights := likelihood(e.Insisting(4))
			switch {
			case right:
				there++
				for i := range plain {
					sameMoves(t, "an edit that was right", e, siteValues(t, m, e), plain[i:i+1], weights[i:i+1], 1e-5)
				}
			case hit:
				likelier++
			case q < p*(1-1e-6):
				t.Errorf("step size %v, edit %s: %v with further looks, %v without", rate, r.ID, q, p)
			case q > p:
				likelier++
			}
		}
	}
	if there == 0 || likelier == 0 {
		t.Errorf("%d edits were right, %d became likelier by further looks", there, likelier)
	}
	_, _, once := tinyWith(t, "mend", func(c *hypernet.Config) { c.Update.Rule = hypernet.Solve }, func(*Editor) {})
	if once.Insisting(1) != edit.Editor(once) {
		t.Error("an editor of one look became another")
	}
}
