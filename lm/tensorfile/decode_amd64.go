package tensorfile

import (
	"unsafe"

	"github.com/klauspost/cpuid/v2"
)

//go:generate go -C asm run . -out ../decode_amd64.s -stubs ../decode_stubs_amd64.go -pkg tensorfile

// vectors is an instruction set.
type vectors int

const (
	none vectors = iota
	avx2         // with F16C
	avx512
)

// level is what this process uses. All give the same bytes.
var level = detect()

func detect() vectors {
	switch {
	case cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512VL):
		return avx512
	case cpuid.CPU.Supports(cpuid.AVX2, cpuid.F16C):
		return avx2
	}
	return none
}

// decodeVectors is decode for the types that have vector code, and reports
// whether d is one.
func (d DType) decodeVectors(dst []float32, raw []byte) bool {
	n := len(dst) / 32
	if level == none || n == 0 {
		return false
	}
	to, from := unsafe.SliceData(dst), unsafe.SliceData(raw)
	switch {
	case d == Q4_0 && level == avx512:
		q4_0AVX512(to, from, n)
	case d == Q4_0:
		q4_0AVX2(to, from, n)
	case d == Q4_1 && level == avx512:
		q4_1AVX512(to, from, n)
	case d == Q4_1:
		q4_1AVX2(to, from, n)
	case d == Q8_0 && level == avx512:
		q8_0AVX512(to, from, n)
	case d == Q8_0:
		q8_0AVX2(to, from, n)
	default:
		return false
	}
	return true
}
