package ike

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"path/filepath"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/encoder"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/text"
)

// item is what is retrieved: a record, or for EasyEdit's variant one of the
// sentences that a record gives.
type item struct {
	record int
	kind   kind   // of a sentence
	text   string // what is compared with the query; a sentence's demonstration
}

// itemsOf lists what can be retrieved.
func itemsOf(variant string, pool []data.Edit, strip bool) []item {
	var out []item
	first := func(int) int { return 0 }
	for i := range pool {
		r := &pool[i]
		fact := factLine(r.Prompt, r.TargetNew, r.Join)
		if variant != EasyEdit {
			out = append(out, item{record: i, text: fact + promptStart + r.Prompt + text.Behind(r.Prompt, r.TargetNew, r.Join)})
			continue
		}
		out = append(out, item{i, copied, demonstrate(fact, r.Prompt, r.TargetNew, r.Join)})
		if x, ok := paraphrase(r, strip, first); ok {
			out = append(out, item{i, updated, demonstrate(fact, x, r.TargetNew, r.Join)})
		}
		if x, y, ok := neighbor(r, first); ok {
			out = append(out, item{i, retain, demonstrate(fact, x, y, r.Join)})
		}
	}
	return out
}

// query is the text whose neighbours are wanted.
func query(variant string, r *edit.Request) string {
	s := factLine(r.Prompt, r.Target, r.Join) + promptStart + r.Prompt
	if variant == EasyEdit {
		s += "\n\n"
	}
	return s
}

// retriever finds the texts that are nearest to queries.
type retriever interface {
	// name is what reports say, with the reason if there is one.
	name() string
	// rank gives for each query the k nearest texts that usable allows, nearest
	// first, of equally near ones that of the smaller index; fewer if there are
	// not so many.
	rank(ctx context.Context, queries []string, k int, usable func(query, text int) bool) ([][]int, error)
	// similarity gives for each text how near the query is: 0 to 1.
	similarity(query string) ([]float64, error)
}

// byEncoder compares sentence vectors by their cosine.
type byEncoder struct {
	enc     *encoder.Encoder
	vectors kernel.Matrix // [texts, width], rows of norm 1
}

// newByEncoder computes the texts' vectors, or reads them from the folder
// cache if it has a name.
func newByEncoder(ctx context.Context, enc *encoder.Encoder, cache string, texts []string) (*byEncoder, error) {
	var err error
	r := &byEncoder{enc: enc}
	if cache == "" || len(texts) == 0 {
		r.vectors, err = enc.Encode(ctx, texts)
	} else {
		r.vectors, _, err = enc.EncodeCached(ctx, cache, texts)
	}
	return r, err
}

func (r *byEncoder) name() string {
	const digits = 12
	return fmt.Sprintf("encoder %s (%s)", filepath.Base(r.enc.Path()), r.enc.Hash()[:digits])
}

func (r *byEncoder) rank(ctx context.Context, queries []string, k int, usable func(query, text int) bool) ([][]int, error) {
	vectors, err := r.enc.Encode(ctx, queries)
	if err != nil {
		return nil, err
	}
	out := make([][]int, len(queries))
	for q := range queries {
		scores := r.cosines(vectors.Data[q*vectors.Cols : (q+1)*vectors.Cols])
		out[q] = nearest(scores, k, func(i int) bool { return usable(q, i) })
	}
	return out, nil
}

func (r *byEncoder) similarity(query string) ([]float64, error) {
	v, err := r.enc.Encode(context.Background(), []string{query})
	if err != nil {
		return nil, err
	}
	return r.cosines(v.Data), nil
}

// cosines of v [width] and every text.
func (r *byEncoder) cosines(v []float32) []float64 {
	out := make([]float64, r.vectors.Rows)
	for i := range out {
		row := r.vectors.Data[i*r.vectors.Cols : (i+1)*r.vectors.Cols]
		for j, x := range v {
			out[i] += float64(x) * float64(row[j])
		}
	}
	return out
}

// byWords is BM25.
type byWords struct {
	index  *index
	reason string // why it is not the encoder
}

func (r *byWords) name() string { return "bm25" + r.reason }

func (r *byWords) rank(ctx context.Context, queries []string, k int, usable func(query, text int) bool) ([][]int, error) {
	out := make([][]int, len(queries))
	for q, text := range queries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		out[q] = nearest(r.index.scores(text), k, func(i int) bool { return usable(q, i) })
	}
	return out, nil
}

// similarity is the share of its own score that the query gives a text.
func (r *byWords) similarity(query string) ([]float64, error) {
	out := r.index.scores(query)
	for i, own := range r.index.own {
		if own > 0 {
			out[i] = min(1, out[i]/own)
		}
	}
	return out, nil
}

// byChance takes any texts, the same for the same query and seed. What a store
// recalls is then found by words.
type byChance struct {
	byWords
	seed  uint64
	texts int
}

func (r *byChance) name() string { return "random" }

func (r *byChance) rank(_ context.Context, queries []string, k int, usable func(query, text int) bool) ([][]int, error) {
	out := make([][]int, len(queries))
	for q, text := range queries {
		h := fnv.New64a()
		h.Write([]byte(text))
		rng := rand.New(rand.NewPCG(r.seed, h.Sum64()))
		for _, i := range rng.Perm(r.texts) {
			if len(out[q]) == k {
				break
			}
			if usable(q, i) {
				out[q] = append(out[q], i)
			}
		}
	}
	return out, nil
}

// nearest are the k texts of the highest scores, highest first.
func nearest(scores []float64, k int, usable func(i int) bool) []int {
	h := worstFirst{scores: scores}
	for i := range scores {
		switch {
		case k == 0 || !usable(i):
		case len(h.texts) < k:
			heap.Push(&h, i)
		case h.worse(h.texts[0], i):
			h.texts[0] = i
			heap.Fix(&h, 0)
		}
	}
	out := make([]int, len(h.texts))
	for i := len(out) - 1; i >= 0; i-- {
		out[i] = heap.Pop(&h).(int)
	}
	return out
}

// worstFirst is a heap of texts with the worst on top.
type worstFirst struct {
	scores []float64
	texts  []int
}

func (h *worstFirst) worse(i, j int) bool {
	return cmp.Or(cmp.Compare(h.scores[i], h.scores[j]), cmp.Compare(j, i)) < 0
}
func (h *worstFirst) Len() int           { return len(h.texts) }
func (h *worstFirst) Less(a, b int) bool { return h.worse(h.texts[a], h.texts[b]) }
func (h *worstFirst) Swap(a, b int)      { h.texts[a], h.texts[b] = h.texts[b], h.texts[a] }
func (h *worstFirst) Push(x any)         { h.texts = append(h.texts, x.(int)) }
func (h *worstFirst) Pop() any {
	last := h.texts[len(h.texts)-1]
	h.texts = h.texts[:len(h.texts)-1]
	return last
}
