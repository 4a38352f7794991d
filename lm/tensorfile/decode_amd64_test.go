package tensorfile

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

// The scales run through all half-precision numbers, infinities and NaNs too.
func TestVectorCode_decodes_as_Go_does(t *testing.T) {
	best := level
	defer func() { level = best }()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, d := range []DType{Q4_0, Q4_1, Q8_0} {
		const blocks = 1 << 16
		_, size := d.Block()
		raw := make([]byte, blocks*size)
		for i := range raw {
			raw[i] = byte(rng.Uint32())
		}
		for i := range blocks {
			binary.LittleEndian.PutUint16(raw[i*size:], uint16(i))
		}
		want, got := make([]float32, blocks*32), make([]float32, blocks*32)
		d.decodeGo(want, raw)
		for level = avx2; level <= best; level++ {
			clear(got)
			if !d.decodeVectors(got, raw) {
				t.Fatalf("%s: no vector code at level %d", d, level)
			}
			for i, w := range want {
				if g := got[i]; math.Float32bits(g) != math.Float32bits(w) && !(g != g && w != w) {
					t.Fatalf("%s, level %d: value %d is %v, want %v", d, level, i, g, w)
				}
			}
			for _, n := range []int{1, 2, 3, 7} { // no byte beyond the blocks is touched
				clear(got)
				d.decodeVectors(got[:n*32], raw[len(raw)-n*size:])
				if math.Float32bits(got[n*32]) != 0 {
					t.Errorf("%s, level %d: %d blocks write more", d, level, n)
				}
			}
		}
	}
}
