package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// yardstick writes a stand-in for Python: asked for products it prints those,
// asked for the benchmark the edits per second of its threads.
func yardstick(t *testing.T, gflops string) peer {
	t.Helper()
	dir := t.TempDir()
	script := fmt.Sprintf(`#!/bin/sh
if [ "$1" = -c ]; then echo '{"gemm_gflops": %s, "library": "mkl of torch 2", "threads": '"$3"'}'; exit; fi
while [ "$1" != --threads ]; do shift; done
case $2 in 1) speed=2;; 2) speed=5;; *) speed=3;; esac
echo "noise"; echo '{"edits_per_second": '$speed', "peak_rss_mib": 9}'
`, gflops)
	for name, content := range map[string]string{"python": script, "mend_torch.py": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	p, err := findPeer(dir, filepath.Join(dir, "python"), 1)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPeer_finds_its_fastest_number_of_threads(t *testing.T) {
	for cores, want := range map[int]int{1: 1, 2: 2, 3: 2, 8: 2} {
		tried := 0
		got, err := yardstick(t, "1").bestThreads(context.Background(), Workload{Edits: 30, Batch: 10}, "model", cores, func(string, ...any) { tried++ })
		if err != nil || got != want {
			t.Errorf("%d cores: %d threads, %v; want %d", cores, got, err, want)
		}
		if wantTried := map[int]int{1: 1, 2: 2, 3: 3, 8: 4}[cores]; tried != wantTried {
			t.Errorf("%d cores: %d numbers tried, want %d", cores, tried, wantTried)
		}
	}
}

func TestPeer_products_are_measured_and_slow_ones_refused(t *testing.T) {
	p := yardstick(t, "49")
	p.threads = 2
	s, err := p.products(context.Background())
	if err != nil || s.GFlops != 49 || s.Threads != 2 || !strings.Contains(s.String(), "mkl of torch 2") {
		t.Fatalf("%v, %v", s, err)
	}
	ours := Side{GFlops: 100, Library: "keyhole, avx2", Threads: 2}
	err = worthComparing(ours, s)
	if err == nil || !strings.Contains(err.Error(), "49 GFLOP/s") || !strings.Contains(err.Error(), "100 GFLOP/s") || !strings.Contains(err.Error(), "PyPI") {
		t.Errorf("%v", err)
	}
	s.GFlops = 50
	if err := worthComparing(ours, s); err != nil {
		t.Error(err)
	}
	own, err := ownProducts()
	if err != nil || !(own.GFlops > 0) || own.Library == "" || own.Threads < 1 {
		t.Errorf("our own: %v, %v", own, err)
	}
}

func TestFindPeer_says_what_is_missing(t *testing.T) {
	if _, err := findPeer(t.TempDir(), "python3", 1); err == nil || !strings.Contains(err.Error(), "mend_torch.py") {
		t.Errorf("%v", err)
	}
}
