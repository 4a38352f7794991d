package meta

import (
	"fmt"
	"slices"

	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/nn"
	"keyhole.example/keyhole/nn/graph"
	"keyhole.example/keyhole/text"
)

// pack lays the tasks out and computes their prefix.
func (o *Objective) pack(tasks []Task, withRest bool) error {
	d := o.model.Config.Width
	o.inner.Reset()
	o.rest.Reset()
	o.innerLabels = graph.Labels{Weight: o.innerLabels.Weight[:0]}
	o.outerLabels = graph.Labels{IDs: o.outerLabels.IDs[:0], Weight: o.outerLabels.Weight[:0]}
	o.locLabels = graph.Labels{IDs: o.locLabels.IDs[:0], Weight: o.locLabels.Weight[:0]}
	o.outerRows.V, o.locRows.V, o.marginRows.V = o.outerRows.V[:0], o.locRows.V[:0], o.marginRows.V[:0]
	o.rivals = graph.Rivals{Least: float32(o.cfg.Margin), IDs: o.rivals.IDs[:0], Than: o.rivals.Than[:0], Weight: o.rivals.Weight[:0]}
	o.keep, o.keepWanted = o.keep[:0], o.keepWanted[:0]
	o.parts, o.partsWanted, o.Mode.Unread = o.parts[:0], o.partsWanted[:0], o.Mode.Unread[:0]
	o.bare, o.bareWanted = o.bare[:0], o.bareWanted[:0]
	o.allRows, o.allWanted = 0, 0
	o.Mode.Texts = o.Mode.Texts[:0]
	o.divide(tasks, withRest)
	for i, t := range tasks {
		if err := t.check(o.model); err != nil {
			return err
		}
		o.Mode.Texts = append(o.Mode.Texts, t.condition())
		for _, x := range t.Inner {
			o.allRows += len(x.IDs)
			o.allWanted += x.Wanted()
		}
		if !o.Share.Mine(i) {
			t = Task{ID: t.ID} // another process has its texts
		}
		rows, wanted := o.inner.Add(t.Inner...)
		o.inner.Tasks, o.inner.Want.Tasks = append(o.inner.Tasks, rows), append(o.inner.Want.Tasks, wanted)
		o.keep, o.keepWanted = keep(o.keep, o.keepWanted, t.Inner)
		o.weighInner(&t, rows.Lo)
		if !withRest {
			continue
		}
		first := o.rest.Rows()
		_, outer := o.rest.Add(t.Outer...)
		_, loc := o.rest.Add(t.Loc...)
		o.rest.Tasks = append(o.rest.Tasks, nn.Range{Lo: first, Hi: o.rest.Rows()})
		o.rest.Want.Tasks = append(o.rest.Want.Tasks, nn.Range{Lo: outer.Lo, Hi: loc.Hi})
		o.outerRows.V = appendRange(o.outerRows.V, outer)
		o.locRows.V = appendRange(o.locRows.V, loc)
		o.outerLabels.IDs = append(o.outerLabels.IDs, o.rest.Labels[outer.Lo:outer.Hi]...)
		o.locLabels.IDs = append(o.locLabels.IDs, o.rest.Labels[loc.Lo:loc.Hi]...)
		o.weighRest(&t)
		o.addRivals(&t, loc.Lo)
		if o.cfg.Late {
			o.bare, o.bareWanted = o.spare(&t, outer, loc)
		}
	}
	o.innerLabels.IDs = o.inner.Labels
	o.hIn, o.hRest = grow(o.hIn, o.inner.Rows()*d), grow(o.hRest, o.rest.Rows()*d)
	o.base = grow(o.base, len(o.locRows.V)*d)
	if err := o.runPrefix(tasks, withRest); err != nil {
		return err
	}
	return o.takeStay(o.mine(tasks))
}

// weighInner appends the weights of a task's labelled inner rows, and where its
// parts lie; row is its first.
func (o *Objective) weighInner(t *Task, row int) {
	texts, wanted, parts := t.Inner, len(o.innerLabels.Weight), t.parts()
	for _, p := range parts {
		r, w := nn.Range{Lo: row}, nn.Range{Lo: wanted}
		total := text.Wanted(texts[:p.Inner])
		for i := range texts[:p.Inner] {
			n := texts[i].Wanted()
			weight := 1 / float32(total)
			if o.cfg.DeltaScale == "per_edit" {
				weight = 1 / float32(n)
			}
			o.innerLabels.Weight = appendWeight(o.innerLabels.Weight, n, weight)
			row += len(texts[i].IDs)
		}
		wanted = len(o.innerLabels.Weight)
		r.Hi, w.Hi = row, wanted
		if p.Inner > 0 {
			o.parts, o.partsWanted = append(o.parts, r), append(o.partsWanted, w)
			o.Mode.Unread = append(o.Mode.Unread, o.cfg.Short && p.Inner < parts[0].Inner)
		}
		texts = texts[p.Inner:]
	}
}

// spare is bare and bareWanted with those of a task's rows, whose wanted ones are
// given.
func (o *Objective) spare(t *Task, outer, loc nn.Range) (all, wanted []bool) {
	all, wanted = o.bare, o.bareWanted
	for _, x := range t.Outer {
		all = append(all, make([]bool, len(x.IDs))...)
	}
	for _, x := range t.Loc {
		all = append(all, slices.Repeat([]bool{true}, len(x.IDs))...)
	}
	wanted = append(wanted, make([]bool, outer.Hi-outer.Lo)...)
	return all, append(wanted, slices.Repeat([]bool{true}, loc.Hi-loc.Lo)...)
}

// weighRest appends the weights of a task's labelled rows of rephrasings and
// locality texts.
func (o *Objective) weighRest(t *Task) {
	outer, loc := t.Outer, t.Loc
	for _, p := range t.parts() {
		n := text.Wanted(outer[:p.Outer])
		o.outerLabels.Weight = appendWeight(o.outerLabels.Weight, n, p.Weight*float32(o.cfg.CEdit)/float32(n))
		n = text.Wanted(loc[:p.Loc])
		o.locLabels.Weight = appendWeight(o.locLabels.Weight, n, p.Weight*float32(o.cfg.CLoc)/float32(n))
		outer, loc = outer[p.Outer:], loc[p.Loc:]
	}
}

func (o *Objective) runPrefix(tasks []Task, withRest bool) error {
	d := o.model.Config.Width
	o.items = o.items[:0]
	inner, rest, base := o.hIn, o.hRest, o.base
	take := func(from *[]float32, t text.Text) []float32 {
		n := len(t.IDs) * d
		s := (*from)[:n]
		*from = (*from)[n:]
		return s
	}
	for i, t := range tasks {
		if !o.Share.Mine(i) {
			continue
		}
		for _, x := range t.Inner {
			o.items = append(o.items, text.Item{Text: x, States: take(&inner, x)})
		}
		if !withRest {
			continue
		}
		for _, x := range t.Outer {
			o.items = append(o.items, text.Item{Text: x, States: take(&rest, x)})
		}
		for _, x := range t.Loc {
			n := x.Wanted() * d
			o.items = append(o.items, text.Item{Text: x, States: take(&rest, x), Final: base[:n:n]})
			base = base[n:]
		}
	}
	return o.Prefix.Run(o.items)
}

// check refuses tasks that ask for nothing or that do not fit the model.
func (t Task) check(m *lm.Model) error {
	for _, p := range []struct {
		name  string
		texts []text.Text
	}{{"edit", t.Inner}, {"rephrasing", t.Outer}, {"locality text", t.Loc}} {
		for _, x := range p.texts {
			if len(x.IDs) == 0 || x.Wanted() == 0 {
				return fmt.Errorf("edit %s: its %s asks for no token; check that the target does not tokenise to nothing", t.ID, p.name)
			}
			if err := m.CheckLength(len(x.IDs)); err != nil {
				return fmt.Errorf("edit %s: its %s: %w; shorten it or set data.max_len", t.ID, p.name, err)
			}
		}
	}
	var sum Part
	for _, p := range t.parts() {
		sum.Inner, sum.Outer, sum.Loc = sum.Inner+p.Inner, sum.Outer+p.Outer, sum.Loc+p.Loc
	}
	if sum != (Part{len(t.Inner), len(t.Outer), len(t.Loc), 0}) {
		return fmt.Errorf("edit %s: its parts have %d, %d and %d texts of %d, %d and %d", t.ID, sum.Inner, sum.Outer, sum.Loc, len(t.Inner), len(t.Outer), len(t.Loc))
	}
	if len(t.Inner) == 0 {
		return fmt.Errorf("edit %s: there is nothing to edit", t.ID)
	}
	return nil
}

func appendWeight(w []float32, n int, x float32) []float32 {
	for range n {
		w = append(w, x)
	}
	return w
}

func appendRange(v []int32, r nn.Range) []int32 {
	for i := r.Lo; i < r.Hi; i++ {
		v = append(v, int32(i))
	}
	return v
}

func grow(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}
