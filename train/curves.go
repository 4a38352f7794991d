package train

import (
	"path/filepath"
	"slices"
	"strings"

	"keyhole.example/keyhole/report"
)

// Curves are what a run has logged.
type Curves struct {
	Name string
	Log  []Metrics
}

// recent is over how many steps the training loss is averaged.
const recent = 20

// Plot draws the curves of runs against the edits seen, in the palette's styles:
// the training loss, averaged over twenty steps, and, for runs that validate, the
// share of validation edits whose rephrasing is answered right in every token
// (edit_acc) and the share of unrelated predictions that stay (stability).
func Plot(title string, runs []Curves, palette *report.Palette) *report.Figure {
	share := func(name string) report.Axis { return report.Axis{Name: name, Lo: 0, Hi: 1} }
	loss, right, stay := report.Panel{}, report.Panel{Y: share("edit_acc")}, report.Panel{Y: share("stability")}
	var values []float64
	for _, r := range runs {
		l, a, s := r.series()
		loss.Series, right.Series, stay.Series = append(loss.Series, l), append(right.Series, a), append(stay.Series, s)
		values = append(values, l.Y...)
	}
	loss.Y = report.Axis{Name: "training loss"}.Spanning(values)
	panels := []report.Panel{loss}
	if slices.ContainsFunc(right.Series, func(s report.Series) bool { return len(s.X) > 0 }) {
		panels = append(panels, right, stay)
	}
	return report.Panels(title, report.Axis{Name: "edits seen"}, panels, palette)
}

// series are the three curves of a run.
func (c *Curves) series() (loss, right, stay report.Series) {
	loss.Name, right.Name, stay.Name = c.Name, c.Name, c.Name
	var last []float64
	edits := 0.0
	for _, m := range c.Log {
		if m.Kind != "train" {
			right.X, right.Y = append(right.X, edits), append(right.Y, m.Right)
			stay.X, stay.Y = append(stay.X, edits), append(stay.Y, m.Stability)
			continue
		}
		edits = float64(m.Examples)
		last = append(last, m.Total)
		last = last[max(0, len(last)-recent):]
		sum := 0.0
		for _, v := range last {
			sum += v
		}
		loss.X, loss.Y = append(loss.X, edits), append(loss.Y, sum/float64(len(last)))
	}
	return loss, right, stay
}

// ReadCurves reads the logs of runs, named by the ends of their paths that tell
// them apart.
func ReadCurves(paths []string) (runs []Curves, entries int, err error) {
	for i, path := range paths {
		log, err := ReadLog(path)
		if err != nil {
			return nil, 0, err
		}
		runs = append(runs, Curves{Name: shortName(paths, i), Log: log})
		entries += len(log)
	}
	return runs, entries, nil
}

// shortName is the shortest end of a path that no other one has.
func shortName(paths []string, i int) string {
	parts := strings.Split(filepath.ToSlash(filepath.Clean(paths[i])), "/")
	for n := 1; n < len(parts); n++ {
		name := strings.Join(parts[len(parts)-n:], "/")
		unique := true
		for j, p := range paths {
			p = "/" + filepath.ToSlash(filepath.Clean(p))
			unique = unique && (j == i || !strings.HasSuffix(p, "/"+name))
		}
		if unique {
			return name
		}
	}
	return paths[i]
}
