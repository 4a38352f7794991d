package eager

// arena hands out float32 slices from chunks that it keeps.
type arena struct {
	chunks [][]float32
	lent   bool // the first chunk is someone else's, and keeps its size
	at     mark
}

// mark is a position in an arena: everything behind it is free.
type mark struct{ chunk, off int }

const chunkSize = 1 << 21

func (a *arena) mark() mark   { return a.at }
func (a *arena) reset(m mark) { a.at = m }

// lend makes chunk the first one, in place of what was lent before; nil takes
// that back. Nothing of the arena may be in use. With the first loan its own
// chunks go: the loan is meant to suffice.
func (a *arena) lend(chunk []float32) {
	a.at = mark{}
	switch {
	case len(chunk) == 0 && a.lent:
		a.chunks, a.lent = append([][]float32(nil), a.chunks[1:]...), false
	case len(chunk) == 0:
	case a.lent:
		a.chunks[0] = chunk
	default:
		a.chunks, a.lent = [][]float32{chunk}, true
	}
}

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
		if a.at.off == 0 && !(a.lent && a.at.chunk == 0) { // a chunk too small for this value: replace it
			a.chunks[a.at.chunk] = make([]float32, n)
			continue
		}
		a.at = mark{chunk: a.at.chunk + 1}
	}
}
