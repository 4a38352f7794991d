package safetensors

import (
	"fmt"

	"keyhole.example/keyhole/lm/tensorfile"
)

// dtypes lists the element types that safetensors and we know, under the same
// names.
func dtypes() []tensorfile.DType {
	return []tensorfile.DType{
		tensorfile.F64, tensorfile.F32, tensorfile.F16, tensorfile.BF16,
		tensorfile.I64, tensorfile.I32, tensorfile.I16, tensorfile.I8,
		tensorfile.U64, tensorfile.U32, tensorfile.U16, tensorfile.U8, tensorfile.BOOL,
	}
}

// dtypeNamed finds a type by its name in a header.
func dtypeNamed(name string) (tensorfile.DType, error) {
	for _, d := range dtypes() {
		if d.String() == name {
			return d, nil
		}
	}
	switch name {
	case "F8_E4M3", "F8_E5M2", "F8_E8M0", "F6_E2M3", "F6_E3M2", "F4", "C64":
		return 0, fmt.Errorf("dtype %s is not supported; convert the file to F32, F16 or BF16", name)
	}
	return 0, fmt.Errorf("unknown dtype %q", name)
}

// writable reports whether a safetensors file can hold elements of type d.
func writable(d tensorfile.DType) bool {
	for _, known := range dtypes() {
		if d == known {
			return true
		}
	}
	return false
}
