//go:build !amd64

package kernel

func (a arch) available() bool { return a == archGo }

func (arch) tile(rows, cols, k int, pa, pb, c *float32, ldc int, add bool) {
	tileGo(rows, cols, k, pa, pb, c, ldc, add)
}

func (arch) packTrans(dst *float32, stride int, src *float32, ld, rows, k int, _ uintptr) {
	packTransGo(dst, stride, src, ld, rows, k)
}

func (arch) packRows(dst *float32, stride int, src *float32, ld, cols, k int) {
	packRowsGo(dst, stride, src, ld, cols, k)
}

func relax() {}
