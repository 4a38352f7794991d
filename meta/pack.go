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
		mine := o.mine(&t, i)
		texts := t.Inner[mine[0].Lo:mine[0].Hi]
		rows, wanted := o.inner.Add(texts...)
		o.inner.Tasks, o.inner.Want.Tasks = append(o.inner.Tasks, rows), append(o.inner.Want.Tasks, wanted)
		o.keep, o.keepWanted = keep(o.keep, o.keepWanted, texts)
		o.weighInner(&t, mine[0], rows.Lo)
		if !withRest {
			continue
		}
		asked, kept := t.Outer[mine[1].Lo:mine[1].Hi], t.Loc[mine[2].Lo:mine[2].Hi]
		first := o.rest.Rows()
		_, outer := o.rest.Add(asked...)
		_, loc := o.rest.Add(kept...)
		o.rest.Tasks = append(o.rest.Tasks, nn.Range{Lo: first, Hi: o.rest.Rows()})
		o.rest.Want.Tasks = append(o.rest.Want.Tasks, nn.Range{Lo: outer.Lo, Hi: loc.Hi})
		o.outerRows.V = appendRange(o.outerRows.V, outer)
		o.locRows.V = appendRange(o.locRows.V, loc)
		o.outerLabels.IDs = append(o.outerLabels.IDs, o.rest.Labels[outer.Lo:outer.Hi]...)
		o.locLabels.IDs = append(o.locLabels.IDs, o.rest.Labels[loc.Lo:loc.Hi]...)
		o.weighRest(&t, mine[1], mine[2])
		o.addRivals(&t, mine[2], loc.Lo)
		if o.cfg.Late {
			o.bare, o.bareWanted = o.spare(asked, kept, outer, loc)
		}
	}
	o.innerLabels.IDs = o.inner.Labels
	o.hIn, o.hRest = grow(o.hIn, o.inner.Rows()*d), grow(o.hRest, o.rest.Rows()*d)
	o.base = grow(o.base, len(o.locRows.V)*d)
	if err := o.runPrefix(tasks, withRest); err != nil {
		return err
	}
	return o.takeStay(o.here(tasks))
}

// weighInner appends the weights of the labelled rows of a task's inner texts that
// are mine, and where its parts lie in their rows, of which row is the first.
func (o *Objective) weighInner(t *Task, mine nn.Range, row int) {
	at, wanted, parts := 0, len(o.innerLabels.Weight), t.parts()
	for _, p := range parts {
		r, w := nn.Range{Lo: row}, nn.Range{Lo: wanted}
		total := text.Wanted(t.Inner[at : at+p.Inner])
		for end := at + p.Inner; at < end; at++ {
			if at < mine.Lo || at >= mine.Hi {
				continue
			}
			n := t.Inner[at].Wanted()
			weight := 1 / float32(total)
			if o.cfg.DeltaScale == "per_edit" {
				weight = 1 / float32(n)
			}
			o.innerLabels.Weight = appendWeight(o.innerLabels.Weight, n, weight)
			row += len(t.Inner[at].IDs)
		}
		wanted = len(o.innerLabels.Weight)
		r.Hi, w.Hi = row, wanted
		if p.Inner > 0 {
			o.parts, o.partsWanted = append(o.parts, r), append(o.partsWanted, w)
			o.Mode.Unread = append(o.Mode.Unread, o.cfg.Short && p.Inner < parts[0].Inner)
		}
	}
}

// spare is bare and bareWanted with those of the rows of rephrasings and locality
// texts, whose wanted ones are given.
func (o *Objective) spare(asked, kept []text.Text, outer, loc nn.Range) (all, wanted []bool) {
	all, wanted = o.bare, o.bareWanted
	for _, x := range asked {
		all = append(all, make([]bool, len(x.IDs))...)
	}
	for _, x := range kept {
		all = append(all, slices.Repeat([]bool{true}, len(x.IDs))...)
	}
	wanted = append(wanted, make([]bool, outer.Hi-outer.Lo)...)
	return all, append(wanted, slices.Repeat([]bool{true}, loc.Hi-loc.Lo)...)
}

// weighRest appends the weights of the labelled rows of a task's rephrasings and
// locality texts that are mine.
func (o *Objective) weighRest(t *Task, mineOuter, mineLoc nn.Range) {
	outer, loc := 0, 0
	for _, p := range t.parts() {
		o.outerLabels.Weight = weigh(o.outerLabels.Weight, t.Outer, nn.Range{Lo: outer, Hi: outer + p.Outer}, mineOuter, p.Weight*float32(o.cfg.CEdit))
		o.locLabels.Weight = weigh(o.locLabels.Weight, t.Loc, nn.Range{Lo: loc, Hi: loc + p.Loc}, mineLoc, p.Weight*float32(o.cfg.CLoc))
		outer, loc = outer+p.Outer, loc+p.Loc
	}
}

// weigh appends the weights of the wanted tokens of a part's texts that are mine:
// all of the part's have the same, and together the given one.
func weigh(list []float32, texts []text.Text, part, mine nn.Range, weight float32) []float32 {
	each := weight / float32(text.Wanted(texts[part.Lo:part.Hi]))
	for i := max(part.Lo, mine.Lo); i < min(part.Hi, mine.Hi); i++ {
		list = appendWeight(list, texts[i].Wanted(), each)
	}
	return list
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
		mine := o.mine(&t, i)
		for _, x := range t.Inner[mine[0].Lo:mine[0].Hi] {
			o.items = append(o.items, text.Item{Text: x, States: take(&inner, x)})
		}
		if !withRest {
			continue
		}
		for _, x := range t.Outer[mine[1].Lo:mine[1].Hi] {
			o.items = append(o.items, text.Item{Text: x, States: take(&rest, x)})
		}
		for _, x := range t.Loc[mine[2].Lo:mine[2].Hi] {
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
