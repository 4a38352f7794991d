package bench

import (
	"keyhole.example/keyhole/internal/kernel"
)

// Shape is a matrix product that meta-training is made of: [M, K]·[K, N].
type Shape struct {
	Name    string
	M, K, N int
	TransB  bool
}

// Shapes are the products that matter, on SmolLM2-135M and GPT-2 small with
// ten edits a step.
func Shapes() []Shape {
	return []Shape{
		{"prefix q, o", 520, 576, 576, true},
		{"prefix gate, up", 520, 576, 1536, true},
		{"prefix down", 520, 1536, 576, true},
		{"head", 170, 576, 49152, true},
		{"head gradient", 170, 49152, 576, false},
		{"network V", 1000, 2112, 1920, true},
		{"network U", 1000, 1920, 2112, true},
		{"GPT-2 c_fc", 520, 768, 3072, false},
		{"GPT-2 c_proj", 520, 3072, 768, false},
		{"generation", 1, 576, 1536, true},
	}
}

// KernelRow is the speed of a product beside OpenBLAS, if that is installed.
type KernelRow struct {
	Shape    string  `json:"shape"`
	M        int     `json:"m"`
	K        int     `json:"k"`
	N        int     `json:"n"`
	Ours     float64 `json:"ours_gflops"`
	OpenBLAS float64 `json:"openblas_gflops,omitempty"`
	Ratio    float64 `json:"ratio,omitempty"`
}

// Kernels measures the products on the given number of threads.
func Kernels(threads int) ([]KernelRow, error) {
	k, err := kernel.New(kernel.Options{Threads: threads})
	if err != nil {
		return nil, err
	}
	defer k.Close()
	blas, blasErr := kernel.New(kernel.Options{Threads: threads, Backend: "openblas"})
	if blasErr == nil {
		defer blas.Close()
	}
	var rows []KernelRow
	for _, s := range Shapes() {
		r := KernelRow{Shape: s.Name, M: s.M, K: s.K, N: s.N, Ours: k.MeasureGemm(s.M, s.K, s.N, s.TransB)}
		if blasErr == nil {
			r.OpenBLAS = blas.MeasureGemm(s.M, s.K, s.N, s.TransB)
			r.Ratio = r.Ours / r.OpenBLAS
		}
		rows = append(rows, r)
	}
	return rows, nil
}
