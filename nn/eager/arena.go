package eager

// arena hands out float32 slices from chunks that it keeps.
type arena struct {
	chunks [][]float32
	at     mark
}

// mark is a position in an arena: everything behind it is free.
type mark struct{ chunk, off int }

const chunkSize = 1 << 21

func (a *arena) mark() mark   { return a.at }
func (a *arena) reset(m mark) { a.at = m }

// alloc returns n values of undefined content, aligned to 16 values.
func (a *arena) alloc(n int) []float32 {
	for {
		if a.at.chunk == len(a.chunks) {
			a.chunks = append(a.chunks, make([]float32, max(n, chunkSize)))
		}
		c := a.chunks[a.at.chunk]
		if a.at.off+n <= len(c) {
			s := c[a.at.off : a.at.off+n : a.at.off+n]
			a.at.off += (n + 15) &^ 15
			return s
		}
		if a.at.off == 0 { // a chunk too small for this value: replace it
			a.chunks[a.at.chunk] = make([]float32, n)
			continue
		}
		a.at = mark{chunk: a.at.chunk + 1}
	}
}
