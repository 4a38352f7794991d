package kernel

import "github.com/klauspost/cpuid/v2"

//go:generate go -C asm run . -out ../gemm_amd64.s -stubs ../gemm_stubs_amd64.go -pkg kernel

func (a arch) available() bool {
	switch a {
	case archAVX512:
		return cpuid.CPU.Supports(cpuid.AVX512F, cpuid.FMA3)
	case archAVX2:
		return cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3)
	}
	return true
}

// The methods choose by a switch, not through function values, so that the
// compiler sees that no pointer escapes.

func (a arch) tile(rows, cols, k int, pa, pb, c *float32, ldc int, add bool) {
	switch a {
	case archAVX512:
		tileAVX512(rows, cols, k, pa, pb, c, ldc, add)
	case archAVX2:
		tileAVX2(rows, cols, k, pa, pb, c, ldc, add)
	default:
		tileGo(rows, cols, k, pa, pb, c, ldc, add)
	}
}

func (a arch) packTrans(dst *float32, stride int, src *float32, ld, rows, k int, ahead uintptr) {
	switch a {
	case archAVX512:
		packTransAVX512(dst, stride, src, ld, rows, k, ahead)
	case archAVX2:
		packTransAVX2(dst, stride, src, ld, rows, k, ahead)
	default:
		packTransGo(dst, stride, src, ld, rows, k)
	}
}

func (a arch) packRows(dst *float32, stride int, src *float32, ld, cols, k int) {
	switch a {
	case archAVX512:
		packRowsAVX512(dst, stride, src, ld, cols, k)
	case archAVX2:
		packRowsAVX2(dst, stride, src, ld, cols, k)
	default:
		packRowsGo(dst, stride, src, ld, cols, k)
	}
}
