package mend

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/meta"
)

// together is the edit of requests that are looked at together, each scaled until
// its target has its probability among them.
func (e *Editor) together(ctx context.Context, m *lm.Model, requests []edit.Request) (*edit.Edited, error) {
	alone, err := e.begin(ctx, m, requests)
	if err != nil {
		return nil, err
	}
	d, whole, err := e.looks(m, alone, func(rows [][]meta.Rows) (*edit.Edited, []meta.Rows, error) {
		whole := e.join(rows)
		one, err := e.solve(rows, whole)
		if err != nil {
			return nil, nil, err
		}
		return e.edited(requests, one), whole, nil
	})
	if err != nil {
		return nil, err
	}
	return d, e.keepRows(d, whole, nil)
}

// begin is the first look at requests, [request][site].
func (e *Editor) begin(ctx context.Context, m *lm.Model, requests []edit.Request) ([][]meta.Rows, error) {
	tasks, err := e.tasks(ctx, m, singles(requests))
	if err != nil {
		return nil, err
	}
	made, err := e.o.First(tasks)
	if err != nil {
		return nil, fmt.Errorf("editor %s: %w", e.name, err)
	}
	return byGroup(made, len(tasks)), nil
}

// maker makes one edit of rows, [request][site], and says what they are together.
type maker func(rows [][]meta.Rows) (*edit.Edited, []meta.Rows, error)

// looks takes the later looks at rows, those of the first one, in the model with what
// make makes of them, and scales what came of it.
func (e *Editor) looks(m *lm.Model, rows [][]meta.Rows, make maker) (*edit.Edited, []meta.Rows, error) {
	u := e.o.Net.Config.Update
	for step := 1; step < u.Steps; step++ {
		d, _, err := make(rows)
		if err != nil {
			return nil, nil, err
		}
		if err := e.lookAgain(m, d, rows, step); err != nil {
			return nil, nil, err
		}
	}
	if e.more > 0 {
		var err error
		if rows, err = e.insist(m, rows, make); err != nil {
			return nil, nil, err
		}
	}
	if u.Steps == 1 || u.Reach == 0 { // rows of one look are scaled alone
		return make(rows)
	}
	scales, err := meta.Raise(len(rows), u.Reach, func(scales []float32) (prob []float64, right []bool, err error) {
		d, _, err := make(larger(rows, scales))
		if err != nil {
			return nil, nil, err
		}
		err = e.within(m, d, func() error {
			prob, right, err = e.o.Answers()
			return err
		})
		return prob, right, err
	})
	if err != nil {
		return nil, nil, err
	}
	return make(larger(rows, scales))
}

// insist takes further looks at rows until every target is the most probable one, at
// most e.more. Where that is not reached, it returns the rows with which the targets are
// likeliest.
func (e *Editor) insist(m *lm.Model, rows [][]meta.Rows, make maker) ([][]meta.Rows, error) {
	best, most := rows, math.Inf(-1)
	for look := 0; ; look++ {
		d, _, err := make(rows)
		if err != nil {
			return nil, err
		}
		var prob []float64
		var right []bool
		if err := e.within(m, d, func() error {
			prob, right, err = e.o.Answers()
			return err
		}); err != nil {
			return nil, err
		}
		switch p := floats.Sum(prob); {
		case !slices.Contains(right, false):
			return rows, nil
		case p > most:
			best, most = copied(rows), p
		}
		if look == e.more {
			return best, nil
		}
		if err := e.lookAgain(m, d, rows, e.o.Net.Config.Update.Steps-1); err != nil {
			return nil, err
		}
	}
}

// copied is rows with their factors shared.
func copied(rows [][]meta.Rows) [][]meta.Rows {
	out := make([][]meta.Rows, len(rows))
	for t := range rows {
		out[t] = slices.Clone(rows[t])
	}
	return out
}

// larger is rows with each request's values scaled.
func larger(rows [][]meta.Rows, scales []float32) [][]meta.Rows {
	out := copied(rows)
	for t := range out {
		for i := range out[t] {
			out[t][i].Scale *= scales[t]
		}
	}
	return out
}

// lookAgain adds to rows, [request][site], what a later look sees in the model
// with d, what the steps before made of them.
func (e *Editor) lookAgain(m *lm.Model, d *edit.Edited, rows [][]meta.Rows, step int) error {
	return e.within(m, d, func() error {
		more, err := e.o.Again(step)
		if err != nil {
			return err
		}
		for t := range rows {
			for i := range rows[t] {
				r := &rows[t][i]
				sum := scaled(r.D, r.Scale)
				e.o.Engine().Add(sum.Data, sum.Data, more[i][t].Data)
				r.D, r.Scale = sum, 1
			}
		}
		return nil
	})
}

// within calls fn while d is in the model.
func (e *Editor) within(m *lm.Model, d *edit.Edited, fn func() error) error {
	undo, err := d.Install(m, e.o.Engine())
	if err == nil {
		err = fn()
		undo()
	}
	if err != nil {
		return fmt.Errorf("editor %s: %w", e.name, err)
	}
	return nil
}
