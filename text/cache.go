package text

// Cache keeps values by key, within a bound.
type Cache[V any] interface {
	// Get is the value kept under key, and whether there is one.
	Get(key string) (V, bool)
	// Put keeps v, of so many bytes, under key, if the bound leaves room.
	Put(key string, v V, bytes int64)
}

// Bounded is a Cache of at most Limit bytes. What does not fit beside the values
// that are kept is not kept, which is best for texts that come round and round;
// with Evict the oldest values make room, which is best for texts that are asked
// about several times and then never again.
type Bounded[V any] struct {
	Limit int64
	Evict bool

	used    int64
	entries map[string]sized[V]
	order   []string // oldest first, if Evict is set
}

type sized[V any] struct {
	value V
	bytes int64
}

// Get implements Cache.
func (c *Bounded[V]) Get(key string) (V, bool) {
	e, ok := c.entries[key]
	return e.value, ok
}

// Put implements Cache. A value that takes another's place has its age.
func (c *Bounded[V]) Put(key string, v V, bytes int64) {
	old, there := c.entries[key]
	if !c.Evict && c.used-old.bytes+bytes > c.Limit {
		return
	}
	if c.entries == nil {
		c.entries = map[string]sized[V]{}
	}
	c.entries[key] = sized[V]{v, bytes}
	c.used += bytes - old.bytes
	if !c.Evict {
		return
	}
	if !there {
		c.order = append(c.order, key)
	}
	for c.used > c.Limit && len(c.order) > 0 {
		oldest := c.order[0]
		c.order = c.order[1:]
		c.used -= c.entries[oldest].bytes
		delete(c.entries, oldest)
	}
}

// Used is the number of bytes of what is kept.
func (c *Bounded[V]) Used() int64 { return c.used }
