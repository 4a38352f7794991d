package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
)

func table(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

// Print writes the comparison for people.
func (c *Comparison) Print(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "matrix products: ours %v; the yardstick's %v\n\n", c.Ours, c.Peer); err != nil {
		return err
	}
	t := table(w)
	fmt.Fprintln(t, "work\tours\tpeer\tratio\ttarget\tours min…max\tpeer min…max\t× bound\tmatrix+Adam\tsolve\tMiB\tpeer MiB\tmemory\testimate")
	for _, r := range c.Rows {
		fmt.Fprintf(t, "%s\t%.2f\t%s\t%s\t%s\t%.2f…%.2f\t%.2f…%.2f\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, r.Ours, orDash("%.2f", r.Peer), orDash("%.2f", r.Ratio), r.Target,
			r.OursSpread.Min, r.OursSpread.Max, r.PeerSpread.Min, r.PeerSpread.Max, orDash("%.2f", r.BoundRatio), orDash("%.0f %%", 100*r.MatrixShare), orDash("%.1f %%", 100*r.SolveShare),
			orDash("%.0f", r.OursMiB), orDash("%.0f", r.PeerMiB), orDash("%.2f", r.MemoryRatio), orDash("%.0f", r.EstimateMiB))
	}
	return t.Flush()
}

// orDash is a value, or a dash for one that was not measured.
func orDash(format string, v float64) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf(format, v)
}

// PrintKernels writes the kernels' speeds for people.
func PrintKernels(w io.Writer, rows []KernelRow) error {
	t := table(w)
	fmt.Fprintln(t, "product\tm\tk\tn\tours GFLOP/s\tOpenBLAS\tratio")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%.1f\t%s\t%s\n", r.Shape, r.M, r.K, r.N, r.Ours, orDash("%.1f", r.OpenBLAS), orDash("%.2f", r.Ratio))
	}
	return t.Flush()
}

// PrintPoints writes how speed and memory scale for people.
func PrintPoints(w io.Writer, points []Point) error {
	t := table(w)
	fmt.Fprintln(t, "against\tvalue\tedits/s\tMiB")
	for _, p := range points {
		fmt.Fprintf(t, "%s\t%g\t%.2f\t%.0f\n", p.Axis, p.Value, p.EditsPerSecond, p.PeakMiB)
	}
	return t.Flush()
}
