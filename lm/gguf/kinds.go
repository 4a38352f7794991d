package gguf

import (
	"fmt"

	"keyhole.example/keyhole/lm/tensorfile"
)

// tensorType translates ggml's number of a tensor type. The error tells types
// that exist, but aren't decoded here, from numbers that mean nothing.
func tensorType(number uint32) (tensorfile.DType, error) {
	switch number {
	case 0:
		return tensorfile.F32, nil
	case 1:
		return tensorfile.F16, nil
	case 2:
		return tensorfile.Q4_0, nil
	case 3:
		return tensorfile.Q4_1, nil
	case 6:
		return tensorfile.Q5_0, nil
	case 7:
		return tensorfile.Q5_1, nil
	case 8:
		return tensorfile.Q8_0, nil
	case 10:
		return tensorfile.Q2_K, nil
	case 11:
		return tensorfile.Q3_K, nil
	case 12:
		return tensorfile.Q4_K, nil
	case 13:
		return tensorfile.Q5_K, nil
	case 14:
		return tensorfile.Q6_K, nil
	case 20:
		return tensorfile.IQ4_NL, nil
	case 23:
		return tensorfile.IQ4_XS, nil
	case 24:
		return tensorfile.I8, nil
	case 25:
		return tensorfile.I16, nil
	case 26:
		return tensorfile.I32, nil
	case 27:
		return tensorfile.I64, nil
	case 28:
		return tensorfile.F64, nil
	case 30:
		return tensorfile.BF16, nil
	case 34:
		return tensorfile.TQ1_0, nil
	case 35:
		return tensorfile.TQ2_0, nil
	}
	if name := foreignType(number); name != "" {
		return 0, fmt.Errorf("type %s is not supported; convert the file to F16, Q8_0 or a K quantisation", name)
	}
	return 0, fmt.Errorf("unknown tensor type %d", number)
}

// foreignType names the types of ggml that are not decoded here.
func foreignType(number uint32) string {
	switch number {
	case 9:
		return "Q8_1"
	case 15:
		return "Q8_K"
	case 16:
		return "IQ2_XXS"
	case 17:
		return "IQ2_XS"
	case 18:
		return "IQ3_XXS"
	case 19:
		return "IQ1_S"
	case 21:
		return "IQ3_S"
	case 22:
		return "IQ2_S"
	case 29:
		return "IQ1_M"
	case 39:
		return "MXFP4"
	}
	return ""
}
