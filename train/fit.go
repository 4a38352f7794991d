package train

import (
	"fmt"
	"strings"
)

// knob is a key of the config that a run's memory depends on.
type knob struct {
	key    string
	values func(c Config, over int64) []any // to try, the smallest change first; over: bytes too many
	apply  func(c *Config, value any)
}

// leastRank is the smallest rank that is proposed.
const leastRank = 8

// knobs are in the order in which they harm: first those that change no result,
// then those that change the last digits, then those that make the network
// smaller, and a step's edits fewer.
func (l *Loop) knobs() []knob {
	if l.SERAC != nil {
		return seracKnobs()
	}
	return []knob{
		{"memory.stream", func(c Config, _ int64) []any {
			if c.Memory.Stream {
				return nil
			}
			return []any{true}
		}, func(c *Config, v any) { c.Memory.Stream = v.(bool) }},
		{"memory.cache", func(c Config, over int64) []any {
			if c.Memory.Cache == 0 {
				return nil
			}
			used := l.estimate(c, l.Sites).Cache
			return []any{max(0, int((used-over)>>20)-1)}
		}, func(c *Config, v any) { c.Memory.Cache = v.(int) }},
		{"train.batch", func(c Config, _ int64) []any {
			batch := c.Train.Batch
			if batch == 0 {
				batch = c.Train.Accumulate
			}
			return halves(batch, 1)
		}, func(c *Config, v any) { c.Train.Batch = v.(int) }},
		{"hypernet.rank", func(c Config, _ int64) []any { return halves(c.Hypernet.Rank, leastRank) },
			func(c *Config, v any) { c.Hypernet.Rank = v.(int) }},
		{"train.accumulate", func(c Config, _ int64) []any { return halves(c.Train.Accumulate, 1) },
			func(c *Config, v any) { c.Train.Accumulate = v.(int) }},
		{"model.blocks", func(c Config, _ int64) []any {
			var out []any
			for b := min(c.Model.Blocks, l.Model.Config.Layers) - 1; b > 0 && len(c.Model.Sites) == 0; b-- {
				out = append(out, b)
			}
			return out
		}, func(c *Config, v any) { c.Model.Blocks = v.(int) }},
	}
}

func halves(n, least int) []any {
	var out []any
	for n > least {
		n = max(least, n/2)
		out = append(out, n)
	}
	return out
}

// fitting is the smallest change of the config that makes the run fit into so
// many bytes, as flags: one key where one is enough, else several. "" if nothing
// does.
func (l *Loop) fitting(have int64) string {
	over := func(c Config) int64 {
		sites := l.Sites
		if c.Model.Blocks != l.Config.Model.Blocks {
			sites = l.Model.DefaultSites(c.Model.Blocks)
		}
		return l.estimate(c, sites).Total() - have
	}
	flag := func(key string, v any) string { return fmt.Sprintf("--set %s=%v", key, v) }
	for _, k := range l.knobs() {
		for _, v := range k.values(l.Config, over(l.Config)) {
			c := l.Config
			if k.apply(&c, v); over(c) <= 0 {
				return flag(k.key, v)
			}
		}
	}
	c := l.Config
	var set []string
	for _, k := range l.knobs() {
		values := k.values(c, over(c))
		for _, v := range values {
			if k.apply(&c, v); over(c) <= 0 {
				return strings.Join(append(set, flag(k.key, v)), " ")
			}
		}
		if len(values) > 0 {
			set = append(set, flag(k.key, values[len(values)-1]))
		}
	}
	return ""
}
