package tokenizer

// span is a stretch of bytes [lo, hi) of the text being encoded.
type span struct{ lo, hi int }

// aligned is a stretch of text, possibly rewritten, that remembers where in
// the encoded text each of its bytes came from.
type aligned struct {
	s string
	// src holds the origin of each byte of s; nil means that s stands in the
	// encoded text at base, byte for byte (or that nobody asked).
	src  []span
	base int
	// first is set if s begins where the encoded text begins.
	first bool
}

// slice returns a part of a.
func (a aligned) slice(lo, hi int) aligned {
	part := aligned{s: a.s[lo:hi], base: a.base + lo, first: a.first && lo == 0}
	if a.src != nil {
		part.src = a.src[lo:hi]
	}
	return part
}

// span returns what the bytes [lo, hi) of a stand for.
func (a aligned) span(lo, hi int) (int, int) {
	if a.src == nil || lo >= hi {
		return a.base + lo, a.base + hi
	}
	start, end := a.src[lo].lo, a.src[lo].hi
	for _, s := range a.src[lo+1 : hi] {
		start, end = min(start, s.lo), max(end, s.hi)
	}
	return start, end
}

// rewriter builds the successor of an aligned text.
type rewriter struct {
	from  aligned
	track bool
	out   []byte
	src   []span
}

func rewrite(a aligned, track bool) *rewriter {
	r := &rewriter{from: a, track: track, out: make([]byte, 0, len(a.s)+8)}
	if track {
		r.src = make([]span, 0, len(a.s)+8)
	}
	return r
}

// keep copies the bytes [lo, hi).
func (r *rewriter) keep(lo, hi int) {
	r.out = append(r.out, r.from.s[lo:hi]...)
	if !r.track {
		return
	}
	for i := lo; i < hi; i++ {
		start, end := r.from.span(i, i+1)
		r.src = append(r.src, span{start, end})
	}
}

// put writes s in place of the bytes [lo, hi), which may be none.
func (r *rewriter) put(s string, lo, hi int) {
	r.out = append(r.out, s...)
	if !r.track {
		return
	}
	start, end := r.origin(lo, hi)
	for range len(s) {
		r.src = append(r.src, span{start, end})
	}
}

// origin is span, but for an empty stretch the place just before lo.
func (r *rewriter) origin(lo, hi int) (int, int) {
	if lo < hi || r.from.src == nil {
		return r.from.span(lo, hi)
	}
	switch {
	case lo < len(r.from.src):
		at := r.from.src[lo].lo
		return at, at
	case lo > 0:
		at := r.from.src[lo-1].hi
		return at, at
	}
	return r.from.base, r.from.base
}

func (r *rewriter) done() aligned {
	return aligned{s: string(r.out), src: r.src, base: r.from.base, first: r.from.first}
}
