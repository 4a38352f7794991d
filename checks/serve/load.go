package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// part is what so many clients ask, one request after the other each.
type part struct {
	name, method, path string
	body               any
	clients            int
}

func parts() []part {
	completion := map[string]any{"prompt": "Friedrich Rosen succumbed at", "max_tokens": 4}
	next := map[string]any{"prompt": "Friedrich Rosen succumbed at"}
	return []part{
		{"health", "GET", "/healthz", nil, 16},
		{"list of edits", "GET", "/api/v1/edits", nil, 16},
		{"next tokens", "POST", "/api/v1/next", next, 1},
		{"next tokens", "POST", "/api/v1/next", next, 16},
		{"completion", "POST", "/v1/completions", completion, 1},
		{"completion", "POST", "/v1/completions", completion, 4},
		{"completion", "POST", "/v1/completions", completion, 16},
		{"completion", "POST", "/v1/completions", completion, 64},
	}
}

// figures are what came of a part.
type figures struct {
	took  []time.Duration // of the requests that were answered with 200, in order
	full  int             // that were told to come again
	other int
	wall  time.Duration
}

// measure loads a server with two edits on, and reports latencies as Markdown.
func measure(program, store string, each time.Duration) (_ string, err error) {
	s, err := start(program, store)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	trial, err := s.trial("lora")
	if err != nil {
		return "", err
	}
	for range 2 {
		if err := s.must(http.StatusCreated, "POST", "/api/v1/edits", map[string]string{"trial": trial}, nil); err != nil {
			return "", err
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n## Under load\n\nThe embedded model with two edits on; each client asks again as soon as it has its\nanswer, for %v. 32 requests may wait, and more are answered with 429 at once. Latencies\nare of requests that were answered, in milliseconds. A completion is of 2 tokens.\n\n", each)
	fmt.Fprintf(&b, "| request | clients | answered a second | p50 | p90 | p99 | most | 429 |\n|---|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, p := range parts() {
		f := s.load(p, each)
		if f.other > 0 || len(f.took) == 0 {
			return "", fmt.Errorf("%s by %d clients: %d answers, %d errors", p.name, p.clients, len(f.took), f.other)
		}
		fmt.Fprintf(&b, "| %s | %d | %.1f | %s | %s | %s | %s | %d |\n", p.name, p.clients, float64(len(f.took))/f.wall.Seconds(),
			ms(quantile(f.took, .5)), ms(quantile(f.took, .9)), ms(quantile(f.took, .99)), ms(f.took[len(f.took)-1]), f.full)
	}
	return b.String(), nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()*1e3) }

// quantile of durations in order, by nearest rank.
func quantile(sorted []time.Duration, q float64) time.Duration {
	at := int(q*float64(len(sorted))+0.9999999) - 1
	return sorted[min(max(at, 0), len(sorted)-1)]
}

// load lets clients ask for some time.
func (s *server) load(p part, each time.Duration) figures {
	var mu sync.Mutex
	var f figures
	var all sync.WaitGroup
	begin := time.Now()
	for range p.clients {
		all.Add(1)
		go func() {
			defer all.Done()
			for time.Since(begin) < each {
				asked := time.Now()
				status, err := s.ask(p.method, p.path, p.body, nil)
				took := time.Since(asked)
				mu.Lock()
				switch {
				case err == nil && status == http.StatusOK:
					f.took = append(f.took, took)
				case status == http.StatusTooManyRequests:
					f.full++
				default:
					f.other++
				}
				mu.Unlock()
				if status == http.StatusTooManyRequests {
					time.Sleep(50 * time.Millisecond)
				}
			}
		}()
	}
	all.Wait()
	f.wall = time.Since(begin)
	slices.Sort(f.took)
	return f
}
