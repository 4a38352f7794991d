// Package doctor measures the machine that it runs on, and says what would make it
// faster.
package doctor

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/klauspost/cpuid/v2"

	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/internal/resident"
	"keyhole.example/keyhole/report"
)

// Diagnosis is what was measured, and what follows from it.
type Diagnosis struct {
	BLAS      string    `json:"blas"` // what computes matrix products
	GFLOPS    float64   `json:"gflops"`
	GFLOPS1   float64   `json:"gflops_one_thread"`
	Peak      float64   `json:"gflops_cycle_bound"` // what threads, frequency and vector width allow; 0: unknown
	Products  []Product `json:"products"`
	Bandwidth float64   `json:"gb_per_second"`
	CPU       string    `json:"cpu"`
	Threads   int       `json:"threads"`
	Cores     int       `json:"physical_cores"`
	Features  []string  `json:"features"`
	OpenBLAS  string    `json:"openblas"` // its speed, or why it is not there
	Memory    int64     `json:"memory_bytes"`
	Governor  string    `json:"governor,omitempty"`
	Load      float64   `json:"load"` // processes that wanted to run in the last minute
	Advice    []string  `json:"advice"`
}

// Product is a measured shape: [M, K]·[K, N].
type Product struct {
	What   string  `json:"what"`
	M      int     `json:"m"`
	K      int     `json:"k"`
	N      int     `json:"n"`
	GFLOPS float64 `json:"gflops"`
}

// Diagnose measures for a few seconds, on all threads.
func Diagnose() (*Diagnosis, error) {
	k, err := kernel.New(kernel.Options{})
	if err != nil {
		return nil, err
	}
	defer k.Close()
	one, err := kernel.New(kernel.Options{Threads: 1})
	if err != nil {
		return nil, err
	}
	defer one.Close()
	const side = 768
	d := &Diagnosis{
		BLAS: backendText(k.Backend()), CPU: cpuid.CPU.BrandName, Threads: k.Threads(), Cores: cpuid.CPU.PhysicalCores,
		GFLOPS: k.MeasureGemm(side, side, side, false), GFLOPS1: one.MeasureGemm(side, side, side, false),
		Bandwidth: k.MeasureBandwidth() / 1e9, Memory: resident.Machine(), Governor: governor(), Load: load(), OpenBLAS: measureOpenBLAS(side),
	}
	for _, p := range []Product{
		{What: "GPT-2 small, MLP up", M: 256, K: 768, N: 3072}, {What: "GPT-2 small, MLP down", M: 256, K: 3072, N: 768},
		{What: "embedded model, MLP up", M: 256, K: 128, N: 512}, {What: "one token", M: 1, K: 768, N: 3072},
	} {
		p.GFLOPS = k.MeasureGemm(p.M, p.K, p.N, false)
		d.Products = append(d.Products, p)
	}
	for _, f := range []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512BF16, cpuid.AMXBF16} {
		if cpuid.CPU.Supports(f) {
			d.Features = append(d.Features, f.String())
		}
	}
	d.Peak = cycleBound(d.Threads)
	d.Advice = d.advice()
	return d, nil
}

func backendText(backend string) string {
	switch backend {
	case "avx512":
		return "keyhole's own product, AVX-512"
	case "avx2":
		return "keyhole's own product, AVX2 and FMA"
	case "go":
		return "keyhole's own product, plain Go"
	}
	return backend
}

// cycleBound is what the frequency allows if every cycle ended two vector
// multiply-adds on every thread, in GFLOP/s.
func cycleBound(threads int) float64 {
	hz := cpuid.CPU.BoostFreq
	if hz == 0 {
		hz = cpuid.CPU.Hz
	}
	lanes := 0
	switch {
	case cpuid.CPU.Supports(cpuid.AVX512F):
		lanes = 16
	case cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3):
		lanes = 8
	}
	return float64(hz) * float64(2*2*lanes) * float64(threads) / 1e9
}

func measureOpenBLAS(side int) string {
	k, err := kernel.New(kernel.Options{Backend: "openblas"})
	if err != nil {
		return "not used: " + err.Error()
	}
	defer k.Close()
	return fmt.Sprintf("%.1f GFLOP/s", k.MeasureGemm(side, side, side, false))
}

// advice says what would make the machine faster.
func (d *Diagnosis) advice() []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if d.Threads < runtime.NumCPU() {
		say("only %d of %d threads are used; leave out --threads", d.Threads, runtime.NumCPU())
	}
	if n := onlineCPUs(); n > runtime.NumCPU() {
		say("this process may run on %d of the machine's %d processors (taskset, cgroup); give it more", runtime.NumCPU(), n)
	}
	switch {
	case runtime.GOARCH != "amd64":
		say("on %s products are computed in plain Go; an amd64 machine with AVX2 or AVX-512 is several times as fast", runtime.GOARCH)
	case !cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3):
		say("this processor has no AVX2 with FMA, so products are computed in plain Go; one that has them is about ten times as fast")
	case !cpuid.CPU.Supports(cpuid.AVX512F):
		say("a processor with AVX-512 would be up to twice as fast in matrix products")
	}
	if d.GFLOPS > 0 && d.Threads > 1 && d.GFLOPS < 1.3*d.GFLOPS1 {
		say("%d threads are hardly faster than one (%.0f and %.0f GFLOP/s): other processes run, or the threads share a core; stop them, or use --threads 1", d.Threads, d.GFLOPS, d.GFLOPS1)
	}
	if d.Governor != "" && d.Governor != "performance" {
		say("the frequency governor is %q; as root: echo performance | tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor", d.Governor)
	}
	if d.Load > float64(d.Threads)+0.5 {
		say("%.1f processes wanted to run in the last minute on %d threads; the measurements and training are slower for it", d.Load, d.Threads)
	}
	if d.Bandwidth > 0 && d.Bandwidth < 8 {
		say("memory gives %.1f GB/s, which bounds generation and the optimiser; more memory channels help", d.Bandwidth)
	}
	if len(out) == 0 {
		say("nothing stands out: more cores would help most")
	}
	return out
}

func governor() string {
	raw, err := os.ReadFile("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(raw))
}

func load() float64 {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(raw), " ")
	v, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return v
}

// onlineCPUs counts the machine's processors, 0 where the system does not say.
func onlineCPUs() int {
	found, err := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*/topology")
	if err != nil {
		return 0
	}
	return len(found)
}

// short is how many lines there are where not all is said.
const short = 10

// Print writes it for people, in ten lines; verbose: all of it.
func (d *Diagnosis) Print(w io.Writer, verbose bool) error {
	lines := d.summary()
	room := short - len(lines)
	advice := d.Advice
	if verbose {
		last := len(lines) - 1
		lines, room = append(append(lines[:last:last], d.details()...), lines[last]), len(advice)
	}
	if len(advice) > room {
		advice = advice[:room-1]
	}
	for _, a := range advice {
		lines = append(lines, "  - "+a)
	}
	if n := len(d.Advice) - len(advice); n > 0 {
		lines = append(lines, fmt.Sprintf("  and %d more: keyhole doctor -v", n))
	}
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	return err
}

// summary is what a person can act on.
func (d *Diagnosis) summary() []string {
	return []string{
		fmt.Sprintf("processor  %s, %d threads", d.CPU, d.Threads),
		fmt.Sprintf("products   %s: %.0f GFLOP/s with all threads, %.0f with one", d.BLAS, d.GFLOPS, d.GFLOPS1),
		fmt.Sprintf("memory     %s, read at %.1f GB/s", report.Bytes(d.Memory), d.Bandwidth),
		fmt.Sprintf("load       %.1f processes in the last minute", d.Load),
		"what would make this machine faster:",
	}
}

// details are the rest.
func (d *Diagnosis) details() []string {
	out := []string{fmt.Sprintf("  cores: %d; features: %s", d.Cores, strings.Join(d.Features, " "))}
	if d.Peak > 0 {
		out = append(out, fmt.Sprintf("  two vector operations in every cycle would be %.0f GFLOP/s", d.Peak))
	}
	for _, p := range d.Products {
		out = append(out, fmt.Sprintf("  %-24s [%d×%d]·[%d×%d]  %.1f GFLOP/s", p.What, p.M, p.K, p.K, p.N, p.GFLOPS))
	}
	return append(out, "  OpenBLAS: "+d.OpenBLAS)
}
