package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"keyhole.example/keyhole/bench"
)

func benchCommand(o *options) *cobra.Command {
	var worker, start, against, python, scaling string
	var rounds, edits, peerThreads, threads int
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure kernels, steps and whole runs, also side by side with PyTorch",
		Long: `Without flags: the speed of the matrix products that training is made of, next
to OpenBLAS where that is installed.

With --against: meta-training end to end, taking turns with the PyTorch
yardstick in folder DIR (data and models lie beside it), each run in a process
of its own; minimum, median and maximum over the rounds. Two rows are the learned
editor's step and edit beside those of our own MEND, with the share of a step that its
ridge regressions take. Both sides' matrix
products are measured first; a yardstick whose products run below half of ours
(torch without a good BLAS) is refused.

With --scaling: edits per second and memory against batch size, text length,
edited blocks, model size and threads, as a table and plots in folder DIR.`,
		Example: `  keyhole bench
  keyhole bench --against yardstick --json
  keyhole bench --against yardstick --python venv/bin/python --rounds 5 --edits 100
  keyhole bench --scaling docs/results/scaling`,
		Args: exactly(0),
		RunE: func(c *cobra.Command, _ []string) error {
			out := c.OutOrStdout()
			say := func(format string, args ...any) { fmt.Fprintf(c.ErrOrStderr(), format+"\n", args...) }
			self, err := os.Executable()
			if err != nil {
				return err
			}
			switch {
			case worker != "":
				var w bench.Workload
				if err := json.Unmarshal([]byte(worker), &w); err != nil {
					return &usageError{fmt.Errorf("--worker: %w", err)}
				}
				m, err := bench.Run(c.Context(), w)
				if err != nil {
					return err
				}
				return printJSON(out, m)
			case start != "":
				var s bench.Beginning
				if err := json.Unmarshal([]byte(start), &s); err != nil {
					return &usageError{fmt.Errorf("--start: %w", err)}
				}
				f, err := s.Measure(c.Context())
				if err != nil {
					return err
				}
				return printJSON(out, f)
			case peerThreads < 0:
				return wrongUse("--peer-threads %d is negative; 0 means as many as make the yardstick fastest", peerThreads)
			case against != "":
				compared, err := bench.Compare(c.Context(), bench.Against{Dir: against, Python: python, Self: self, Threads: peerThreads, Rounds: rounds, Edits: edits, Say: say})
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(out, compared)
				}
				return printAgainst(out, compared)
			case scaling != "":
				points, err := bench.Scale(c.Context(), self, scaling, say)
				if err != nil {
					return err
				}
				if o.json {
					return printJSON(out, map[string]any{"points": points})
				}
				return printPoints(out, points)
			}
			rows, err := bench.Kernels(threads)
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(out, map[string]any{"rows": rows})
			}
			return printKernels(out, rows)
		},
	}
	f := c.Flags()
	f.StringVar(&against, "against", "", "compare with the PyTorch yardstick in folder `DIR`")
	f.StringVar(&python, "python", "python3", "Python with torch 2.x and transformers")
	f.IntVar(&rounds, "rounds", 3, "how often both sides take turns")
	f.IntVar(&edits, "edits", 60, "edits of one run, a multiple of 10 above 20")
	f.IntVar(&peerThreads, "peer-threads", 0, "threads of the yardstick; 0: as many as make it fastest")
	f.IntVar(&threads, "threads", 0, "our threads in the kernel table; 0: all cores")
	f.StringVar(&scaling, "scaling", "", "measure how speed and memory scale and plot it into folder `DIR`")
	f.StringVar(&worker, "worker", "", "run one workload, given as JSON, in this process")
	f.StringVar(&start, "start", "", "measure the start of an evaluation, given as JSON, in this process")
	for _, name := range []string{"worker", "start"} {
		_ = f.MarkHidden(name) // the flag exists: it was made above
	}
	return c
}

func table(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

func printAgainst(w io.Writer, c *bench.Comparison) error {
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

func orDash(format string, v float64) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf(format, v)
}

func printKernels(w io.Writer, rows []bench.KernelRow) error {
	t := table(w)
	fmt.Fprintln(t, "product\tm\tk\tn\tours GFLOP/s\tOpenBLAS\tratio")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%.1f\t%s\t%s\n", r.Shape, r.M, r.K, r.N, r.Ours, orDash("%.1f", r.OpenBLAS), orDash("%.2f", r.Ratio))
	}
	return t.Flush()
}

func printPoints(w io.Writer, points []bench.Point) error {
	t := table(w)
	fmt.Fprintln(t, "against\tvalue\tedits/s\tMiB")
	for _, p := range points {
		fmt.Fprintf(t, "%s\t%g\t%.2f\t%.0f\n", p.Axis, p.Value, p.EditsPerSecond, p.PeakMiB)
	}
	return t.Flush()
}
