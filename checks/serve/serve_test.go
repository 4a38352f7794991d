package main

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	var list []time.Duration
	for i := range 200 {
		list = append(list, time.Duration(i+1))
	}
	for _, c := range []struct {
		q    float64
		want time.Duration
	}{{0, 1}, {.5, 100}, {.9, 180}, {.99, 198}, {1, 200}} {
		if got := quantile(list, c.q); got != c.want {
			t.Errorf("quantile %v is %d, want %d", c.q, got, c.want)
		}
	}
	if quantile(list[:1], .99) != 1 {
		t.Error("of one")
	}
}

func TestChanges(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	list := []item{{"1", true}, {"2", false}, {"3", true}}
	seen := map[string]int{}
	for range 200 {
		c := next(rng, list, "t")
		got := c.make(slices.Clone(list))
		seen[c.method+" "+c.path[:len("/api/v1/edits")]]++
		if alike(got, list) && c.path != "/api/v1/edits/order" {
			t.Fatalf("%s %s changes nothing", c.method, c.path)
		}
	}
	if len(seen) != 3 {
		t.Errorf("%v", seen)
	}
	if alike([]item{{"4", true}}, []item{{"5", true}}) || !alike([]item{{"4", true}}, []item{{unknown, true}}) {
		t.Error("an edit is another")
	}
}
