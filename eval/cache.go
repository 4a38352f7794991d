package eval

// baseEntry is what the base model computed for a text.
type baseEntry struct {
	first   int       // the block that states enter
	states  []float32 // [tokens, width]
	final   []float32 // [answer tokens, width], after the last norm
	outcome *Outcome  // nil until somebody asks
}

func (b *baseEntry) bytes() int64 { return 4 * int64(len(b.states)+len(b.final)+32) }

// baseCache keeps entries by text, the youngest ones, up to a number of bytes.
type baseCache struct {
	limit, used int64
	entries     map[string]*baseEntry
	order       []string // oldest first
}

func newBaseCache(limit int64) *baseCache {
	return &baseCache{limit: limit, entries: map[string]*baseEntry{}}
}

// find returns the entry of a text whose states enter block first.
func (c *baseCache) find(key string, first int) *baseEntry {
	if e := c.entries[key]; e != nil && e.first == first {
		return e
	}
	return nil
}

// put keeps e, and forgets the oldest entries that do not fit beside it.
func (c *baseCache) put(key string, e *baseEntry) {
	if old := c.entries[key]; old != nil { // of another first block; its place in the order stays
		c.used += e.bytes() - old.bytes()
		e.outcome = old.outcome
		c.entries[key] = e
		return
	}
	c.entries[key] = e
	c.order = append(c.order, key)
	c.used += e.bytes()
	for c.used > c.limit && len(c.order) > 0 {
		oldest := c.order[0]
		c.order = c.order[1:]
		c.used -= c.entries[oldest].bytes()
		delete(c.entries, oldest)
	}
}
