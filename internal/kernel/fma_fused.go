//go:build arm64 || ppc64le || riscv64 || s390x

package kernel

// fma32 is a*b+c rounded once: on these machines the compiler fuses the two
// operations, which the test of fma32 against fma32Exact checks.
func fma32(a, b, c float32) float32 { return a*b + c }
