package doctor

import (
	"bytes"
	"strings"
	"testing"
)

func TestDoctorTakesTenLines(t *testing.T) {
	d := &Diagnosis{CPU: "a processor", BLAS: "products", Features: []string{"AVX2"}, Products: []Product{{What: "one token"}}, OpenBLAS: "not used"}
	for range 12 {
		var short, long bytes.Buffer
		if err := d.Print(&short, false); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(short.String(), "\n"); n > 10 {
			t.Errorf("%d lines with %d pieces of advice:\n%s", n, len(d.Advice), short.String())
		}
		if err := d.Print(&long, true); err != nil {
			t.Fatal(err)
		}
		for _, want := range append([]string{"OpenBLAS: not used", "AVX2", "one token"}, d.Advice...) {
			if !strings.Contains(long.String(), want) {
				t.Errorf("-v lacks %q", want)
			}
		}
		d.Advice = append(d.Advice, strings.Repeat("do this ", len(d.Advice)+1))
	}
}

func TestAdviceNamesWhatSlows(t *testing.T) {
	d := &Diagnosis{Threads: 2, GFLOPS: 10, GFLOPS1: 9, Governor: "powersave", Load: 7, Bandwidth: 3}
	all := strings.Join(d.advice(), "\n")
	for _, want := range []string{"hardly faster than one", `"powersave"`, "7.0 processes", "3.0 GB/s"} {
		if !strings.Contains(all, want) {
			t.Errorf("advice lacks %q:\n%s", want, all)
		}
	}
}
