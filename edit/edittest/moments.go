package edittest

import (
	"strings"
	"testing"

	"keyhole.example/keyhole/edit/stats"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/lm"
)

// Moments collects statistics of a TinyModel's layers, when they are asked for,
// from random walks through the words of Facts.
func Moments(t testing.TB, k *kernel.Engine) func(*lm.Model, lm.Site) (*stats.Moment, error) {
	t.Helper()
	words := strings.Fields(strings.Join(sentences(), " "))
	var text strings.Builder
	for line := range 200 {
		for i := range 12 {
			text.WriteString(words[(line*line*7+i*(line+3))%len(words)] + " ")
		}
		text.WriteByte('\n')
	}
	return func(m *lm.Model, s lm.Site) (*stats.Moment, error) {
		c := stats.Default()
		c.Tokens = 2000
		list, err := stats.Collect(t.Context(), m, k, []lm.Site{s}, stats.TextCorpus("words", text.String()), c, stats.Options{})
		if err != nil {
			return nil, err
		}
		return list[0], nil
	}
}
