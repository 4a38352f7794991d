package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

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
				return o.show(c, compared, compared.Print)
			case scaling != "":
				points, err := bench.Scale(c.Context(), self, scaling, say)
				if err != nil {
					return err
				}
				return o.show(c, map[string]any{"points": points}, func(w io.Writer) error { return bench.PrintPoints(w, points) })
			}
			rows, err := bench.Kernels(threads)
			if err != nil {
				return err
			}
			return o.show(c, map[string]any{"rows": rows}, func(w io.Writer) error { return bench.PrintKernels(w, rows) })
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
