// Package keyvaluetest reads golden values of MEMIT and AlphaEdit, for tests.
package keyvaluetest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/golden"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/lmtest"
	"keyhole.example/keyhole/lm/tokenizer"
)

// Case is a folder of golden values.
type Case struct {
	Dir       string
	Parts     map[string]json.RawMessage // of golden.json
	Templates []string                   // but the bare one
	Probes    []string
}

// Cases lists the folders below shared/golden/NAME.
func Cases(t testing.TB, name string) []*Case {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(golden.Path(t, "golden", name), "*", "golden.json"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no cases (%v)", err)
	}
	var out []*Case
	for _, path := range found {
		c := &Case{Dir: filepath.Dir(path)}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		Read(t, text, &c.Parts)
		var nested [][]string
		Read(t, c.Parts["contexts"], &nested)
		for _, group := range nested {
			for _, template := range group {
				if template != "{}" {
					c.Templates = append(c.Templates, template)
				}
			}
		}
		Read(t, c.Parts["probes"], &c.Probes)
		out = append(out, c)
	}
	return out
}

// Read decodes JSON.
func Read(t testing.TB, text []byte, to any) {
	t.Helper()
	if err := json.Unmarshal(text, to); err != nil {
		t.Fatal(err)
	}
}

// Tensors are the case's, by a prefix of their names.
func (c *Case) Tensors(t testing.TB, prefix string) lmtest.Tensors {
	return lmtest.Open(t, filepath.Join(c.Dir, "golden.safetensors"), prefix)
}

// Model is the case's, or stories260k with the case's tokenizer.
func (c *Case) Model(t testing.TB) *lm.Model {
	t.Helper()
	dir := filepath.Join(c.Dir, "model")
	if _, err := os.Stat(filepath.Join(dir, "config.json")); err == nil {
		return lmtest.Model(t, dir)
	}
	m := lmtest.Model(t, golden.Path(t, "models", "stories260k"))
	var err error
	if m.Tokenizer, err = tokenizer.Load(dir); err != nil {
		t.Fatal(err)
	}
	return m
}

// HParams are the reference's names.
type HParams struct {
	Layers    []int
	FactToken string  `json:"fact_token"`
	Steps     int     `json:"v_num_grad_steps"`
	LR        float64 `json:"v_lr"`
	Decay     float64 `json:"v_weight_decay"`
	Clamp     float64 `json:"clamp_norm_factor"`
	KL        float64 `json:"kl_factor"`
	LossLayer int     `json:"v_loss_layer"`
	Weight    float64 `json:"mom2_update_weight"`
	Threshold float64 `json:"nullspace_threshold"`
	L2        float64 `json:"L2"`
}

// HParams are the case's with those of a run.
func (c *Case) HParams(t testing.TB, run json.RawMessage) HParams {
	t.Helper()
	var h HParams
	Read(t, c.Parts["hparams"], &h)
	Read(t, run, &h)
	return h
}

// Request is the reference's form of a request, with what it made of it.
type Request struct {
	Request struct {
		Prompt, Subject string
		Target          struct{ Str string } `json:"target_new"`
	}
	TargetIDs []int32 `json:"target_ids"`
	IDs       [][]int64
	Lookup    []int
}

// Requests are edit's form of them.
func Requests(list []Request) []edit.Request {
	var out []edit.Request
	for i, r := range list {
		q := r.Request
		out = append(out, edit.Request{
			ID: fmt.Sprint(i), Prompt: strings.Replace(q.Prompt, "{}", q.Subject, 1), Subject: q.Subject, Target: strings.TrimSpace(q.Target.Str),
		})
	}
	return out
}
