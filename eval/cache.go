package eval

import "keyhole.example/keyhole/text"

// baseEntry is what the base model computed for a text.
type baseEntry struct {
	first   int       // the block that states enter
	states  []float32 // [tokens, width]
	final   []float32 // [answer tokens, width], after the last norm
	outcome *Outcome  // nil until somebody asks
}

func (b *baseEntry) bytes() int64 { return 4 * int64(len(b.states)+len(b.final)+32) }

// baseCache keeps entries by text.
type baseCache struct{ text.Cache[*baseEntry] }

func newBaseCache(limit int64) baseCache {
	return baseCache{&text.Bounded[*baseEntry]{Limit: limit, Evict: true}}
}

// find returns the entry of a text whose states enter block first.
func (c baseCache) find(key string, first int) *baseEntry {
	if e, ok := c.Get(key); ok && e.first == first {
		return e
	}
	return nil
}

// put keeps e; one of another first block has the same outcome.
func (c baseCache) put(key string, e *baseEntry) {
	if old, ok := c.Get(key); ok {
		e.outcome = old.outcome
	}
	c.Put(key, e, e.bytes())
}
