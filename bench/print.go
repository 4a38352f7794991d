package bench

import (
	"fmt"
	"io"

	"keyhole.example/keyhole/report"
)

// Print writes the comparison for people.
func (c *Comparison) Print(w io.Writer) error {
	rows := [][]string{{"work", "ours", "peer", "ratio", "target", "ours min…max", "peer min…max", "× bound", "matrix+Adam", "solve", "MiB", "peer MiB", "memory", "estimate"}}
	for _, r := range c.Rows {
		rows = append(rows, []string{r.Name, fmt.Sprintf("%.2f", r.Ours), orDash("%.2f", r.Peer), orDash("%.2f", r.Ratio), r.Target,
			r.OursSpread.String(), r.PeerSpread.String(), orDash("%.2f", r.BoundRatio), orDash("%.0f %%", 100*r.MatrixShare), orDash("%.1f %%", 100*r.SolveShare),
			orDash("%.0f", r.OursMiB), orDash("%.0f", r.PeerMiB), orDash("%.2f", r.MemoryRatio), orDash("%.0f", r.EstimateMiB)})
	}
	p := report.To(w)
	p.Say("matrix products: ours %v; the yardstick's %v\n", c.Ours, c.Peer)
	p.Table(report.Grid(rows))
	return p.Err()
}

// orDash is a value, or a dash for one that was not measured.
func orDash(format string, v float64) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf(format, v)
}

// PrintKernels writes the kernels' speeds for people.
func PrintKernels(w io.Writer, list []KernelRow) error {
	rows := [][]string{{"product", "m", "k", "n", "ours GFLOP/s", "OpenBLAS", "ratio"}}
	for _, r := range list {
		rows = append(rows, []string{r.Shape, fmt.Sprint(r.M), fmt.Sprint(r.K), fmt.Sprint(r.N), fmt.Sprintf("%.1f", r.Ours), orDash("%.1f", r.OpenBLAS), orDash("%.2f", r.Ratio)})
	}
	return grid(w, rows)
}

// PrintPoints writes how speed and memory scale for people.
func PrintPoints(w io.Writer, points []Point) error {
	rows := [][]string{{"against", "value", "edits/s", "MiB"}}
	for _, p := range points {
		rows = append(rows, []string{p.Axis, fmt.Sprintf("%g", p.Value), fmt.Sprintf("%.2f", p.EditsPerSecond), fmt.Sprintf("%.0f", p.PeakMiB)})
	}
	return grid(w, rows)
}

func grid(w io.Writer, rows [][]string) error {
	p := report.To(w)
	p.Table(report.Grid(rows))
	return p.Err()
}
