//go:build !amd64

package tensorfile

// decodeVectors has no vector code here.
func (d DType) decodeVectors([]float32, []byte) bool { return false }
