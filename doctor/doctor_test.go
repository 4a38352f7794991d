package doctor

import (
	"fmt"
	"strings"
	"testing"
)

// Ten lines are all that is said unasked, and none of the advice is lost silently.
func TestPrintKeepsToTenLines(t *testing.T) {
	d := &Diagnosis{CPU: "a processor", OpenBLAS: "not there"}
	for i := range 9 {
		d.Advice = append(d.Advice, fmt.Sprintf("advice %d", i))
	}
	lines := func(verbose bool) []string {
		var b strings.Builder
		if err := d.Print(&b, verbose); err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	}
	few := lines(false)
	if len(few) != short || few[short-1] != "  and 5 more: keyhole doctor -v" {
		t.Errorf("%d lines: %q", len(few), few)
	}
	if all := lines(true); all[len(all)-1] != "  - advice 8" {
		t.Errorf("verbose ends with %q", all[len(all)-1])
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
