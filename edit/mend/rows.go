package mend

import (
	"context"
	"fmt"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/meta"
	"keyhole.example/keyhole/nn"
)

// runRows bounds the rows of the edits that are computed in one run, however
// long they are.
const runRows = 2048

// inOnePass is how many of the first tasks share a run, at least one.
func inOnePass(tasks []meta.Task) int {
	rows := 0
	for n, t := range tasks {
		for _, x := range t.Inner {
			rows += len(x.IDs)
		}
		if n > 0 && rows > runRows {
			return n
		}
	}
	return len(tasks)
}

// rows computes the rows of each group, whose requests are looked at together,
// [group][site]; with a reach, scaled until each group's targets have it.
func (e *Editor) rows(ctx context.Context, m *lm.Model, groups [][]edit.Request, reach float64) ([][]meta.Rows, error) {
	tasks, err := e.tasks(ctx, m, groups)
	if err != nil {
		return nil, err
	}
	var out [][]meta.Rows
	for lo := 0; lo < len(tasks); {
		n := inOnePass(tasks[lo:])
		made, err := e.o.Rows(tasks[lo : lo+n])
		if err != nil {
			return nil, fmt.Errorf("editor %s: %w", e.name, err)
		}
		lo += n
		if reach > 0 {
			scales, err := e.o.Scales(made, reach)
			if err != nil {
				return nil, fmt.Errorf("editor %s: %w", e.name, err)
			}
			for i := range made {
				for t := range made[i] {
					made[i][t].Scale *= scales[t]
				}
			}
		}
		out = append(out, byGroup(made, n)...)
	}
	return out, nil
}

// byGroup are the rows of n groups, [site][group], as [group][site].
func byGroup(made [][]meta.Rows, n int) [][]meta.Rows {
	out := make([][]meta.Rows, n)
	for t := range out {
		out[t] = make([]meta.Rows, len(made))
		for i := range made {
			out[t][i] = made[i][t]
		}
	}
	return out
}

// solve makes one edit of the rows of several, [request][site], and of whole,
// what join made of them.
func (e *Editor) solve(rows [][]meta.Rows, whole []meta.Rows) ([]meta.Rows, error) {
	if len(rows) == 1 {
		return rows[0], nil
	}
	out := make([]meta.Rows, len(whole))
	for i := range out {
		k, err := e.o.Net.SolveKeys(e.o.Engine(), i, whole[i].Keys)
		if err != nil {
			return nil, fmt.Errorf("editor %s: %w", e.name, err)
		}
		own := 0 // the rows behind have no value
		for _, r := range rows {
			own += r[i].Keys.Rows
		}
		out[i].Delta = nn.Delta{U: first(k, own), D: first(whole[i].D, own), Scale: 1}
	}
	return out, nil
}

func first(x kernel.Matrix, rows int) kernel.Matrix {
	return kernel.Mat(x.Data[:rows*x.Cols], rows, x.Cols)
}

// join lays the keys and values of several edits' rows, [request][site], one
// behind the other, by site; behind them what is to stay, whose values are zero.
func (e *Editor) join(rows [][]meta.Rows) []meta.Rows {
	out := make([]meta.Rows, len(e.o.Net.Sites))
	for i, s := range e.o.Net.Sites {
		keys, values := kernel.Mat(nil, 0, s.Linear.In), kernel.Mat(nil, 0, s.Linear.Out)
		for _, r := range rows {
			keys.Data, values.Data = append(keys.Data, r[i].Keys.Data...), append(values.Data, scaled(r[i].D, r[i].Scale).Data...)
			keys.Rows, values.Rows = keys.Rows+r[i].Keys.Rows, values.Rows+r[i].D.Rows
		}
		for _, r := range rows {
			keys.Data = append(keys.Data, r[i].Stay.Data...)
			keys.Rows += r[i].Stay.Rows
		}
		values.Data = append(values.Data, make([]float32, (keys.Rows-values.Rows)*s.Linear.Out)...)
		values.Rows = keys.Rows
		out[i] = meta.Rows{Delta: nn.Delta{D: values, Scale: 1}, Keys: keys}
	}
	return out
}
