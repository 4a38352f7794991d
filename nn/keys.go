package nn

import "keyhole.example/keyhole/internal/kernel"

// Keys keeps the keys and values of rows computed earlier, block by block.
type Keys struct {
	k, v [][]float32 // by block: [rows, kvHeads·headDim]
	rows int         // rows that every block holds
}

// NewKeys returns an empty store for a model of the given number of blocks.
func NewKeys(layers int) *Keys {
	return &Keys{k: make([][]float32, layers), v: make([][]float32, layers)}
}

// Rows is the number of rows kept.
func (c *Keys) Rows() int { return c.rows }

// Advance says that a call of n rows is complete.
func (c *Keys) Advance(n int) { c.rows += n }

// Truncate forgets every row from n on.
func (c *Keys) Truncate(n int) {
	if n >= c.rows {
		return
	}
	for i := range c.k {
		if c.rows > 0 {
			w := len(c.k[i]) / c.rows
			c.k[i], c.v[i] = c.k[i][:n*w], c.v[i][:n*w]
		}
	}
	c.rows = n
}

// extend appends k and v to the block's rows and returns all of them.
func (c *Keys) extend(layer int, k, v kernel.Matrix) (kd, vd []float32) {
	c.k[layer] = append(c.k[layer][:c.rows*k.Cols], k.Data[:k.Rows*k.Cols]...)
	c.v[layer] = append(c.v[layer][:c.rows*v.Cols], v.Data[:v.Rows*v.Cols]...)
	return c.k[layer], c.v[layer]
}

// Grows reports whether a computation adds its keys and values to those kept.
func (s *Sequences) Grows() bool { return s.Past != nil && (s.Keys == nil || s.Keep) }

// Seen returns the keys and values that the segments of s count in, given those
// of the rows at hand in block layer, k and v: [rows, kvHeads·headDim]. room
// gives memory for so many numbers, where they have to be put together.
func (s *Sequences) Seen(layer int, k, v kernel.Matrix, room func(n int) []float32) (keys, values []float32) {
	switch {
	case s.Grows():
		keys, values = s.Past.extend(layer, k, v)
		if s.Keys == nil || s.consecutive(k.Rows) {
			return keys, values
		}
	case s.Keys == nil || s.Past == nil && ascending(s.Keys, k.Rows):
		return k.Data, v.Data
	}
	n := len(s.Keys) * k.Cols
	both := room(2 * n)
	keys, values = both[:n:n], both[n:2*n]
	var pastK, pastV []float32
	if s.Past != nil {
		pastK, pastV = s.Past.k[layer], s.Past.v[layer]
	}
	s.gather(keys, k.Data, pastK, k.Cols)
	s.gather(values, v.Data, pastV, v.Cols)
	return keys, values
}

// consecutive reports whether Keys are all rows of Past and, behind them, the n at
// hand, as where one text goes on.
func (s *Sequences) consecutive(n int) bool {
	past := s.Past.rows
	if len(s.Keys) != past+n {
		return false
	}
	for i, r := range s.Keys {
		want := i - past
		if i < past {
			want = ^i
		}
		if int(r) != want {
			return false
		}
	}
	return true
}

// ascending reports whether keys are the numbers 0 to n−1.
func ascending(keys []int32, n int) bool {
	if len(keys) != n {
		return false
	}
	for i, r := range keys {
		if int(r) != i {
			return false
		}
	}
	return true
}

// gather writes the rows that Keys lists, of width w.
func (s *Sequences) gather(dst, now, past []float32, w int) {
	for i, r := range s.Keys {
		from := now
		if r < 0 {
			r, from = ^r, past
		}
		copy(dst[i*w:(i+1)*w], from[int(r)*w:])
	}
}

// Return adds what Seen's rows got, all [len(Keys), w], to the rows at hand that
// they were taken from: dst, [rows, w].
func (s *Sequences) Return(k *kernel.Engine, dst, all []float32, w int) {
	clear(dst)
	for i, r := range s.Keys {
		if r >= 0 {
			k.AddTo(dst[int(r)*w:int(r+1)*w], all[i*w:(i+1)*w])
		}
	}
}
