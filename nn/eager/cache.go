package eager

import "keyhole.example/keyhole/internal/kernel"

// Cache keeps the keys and values of the rows computed so far, layer by
// layer, for one text. Rows of a new call are appended.
type Cache struct {
	k, v [][]float32 // per layer: [rows, kvHeads·headDim]
	rows int         // rows that every layer holds
}

// NewCache returns an empty cache for a model of the given number of blocks.
func NewCache(layers int) *Cache {
	return &Cache{k: make([][]float32, layers), v: make([][]float32, layers)}
}

// Rows is the number of rows kept.
func (c *Cache) Rows() int { return c.rows }

// Advance says that a call of n rows is complete.
func (c *Cache) Advance(n int) { c.rows += n }

// Truncate forgets every row from n on.
func (c *Cache) Truncate(n int) {
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

// extend appends k and v to the layer's rows and returns all of them.
func (c *Cache) extend(layer int, k, v kernel.Matrix) (kd, vd []float32) {
	c.k[layer] = append(c.k[layer][:c.rows*k.Cols], k.Data...)
	c.v[layer] = append(c.v[layer][:c.rows*v.Cols], v.Data...)
	return c.k[layer], c.v[layer]
}
