//go:build !arm64 && !ppc64le && !riscv64 && !s390x

package kernel

// fma32 is a*b+c rounded once. Where the compiler does not fuse, it costs a
// few instructions more.
func fma32(a, b, c float32) float32 { return fma32Exact(a, b, c) }
