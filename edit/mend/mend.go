package mend

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"

	"keyhole.example/keyhole/configs"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/hypernet"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/tokenizer"
	"keyhole.example/keyhole/meta"
	"keyhole.example/keyhole/text"
)

// Editor turns requests into low-rank changes of the objective's weights. It
// is for one goroutine at a time, as the objective is.
type Editor struct {
	o    *meta.Objective
	name string
	text text.Options
	tok  tokenizer.Tokenizer
	more int // further looks at edits that are not right yet

	base    [][]float32 // weights of the sites where the present sequence began
	history history
}

var (
	_ edit.Continuer = (*Editor)(nil)
	_ edit.Opener    = (*Editor)(nil)
)

// New returns an editor called name that computes with o. Prompts and targets
// become tokens by tok; prompts are cut as text says, and targets that would be
// are refused.
func New(o *meta.Objective, name string, text text.Options, tok tokenizer.Tokenizer) *Editor {
	return &Editor{o: o, name: name, text: text, tok: tok}
}

// Insisting is the editor with at most so many further looks, as the last one that it
// was trained for, at edits made together of which some target is not the most probable
// one yet. An editor that looks once has no such look, and stays as it is.
func (e *Editor) Insisting(more int) edit.Editor {
	if e.o.Net.Config.Update.Steps < 2 {
		return e
	}
	out := *e
	out.more = more
	return &out
}

// OfSubject says whether an edit changes the rows of its subject alone.
func (e *Editor) OfSubject() bool { return e.o.Net.Config.Update.BySubject() }

// Name implements edit.Editor.
func (e *Editor) Name() string { return e.name }

// Apply implements edit.Editor: one update from all requests together. m must
// be the objective's model.
func (e *Editor) Apply(ctx context.Context, m *lm.Model, requests []edit.Request) (*edit.Edited, error) {
	out, err := e.run(ctx, m, [][]edit.Request{requests})
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// ApplyEach makes one independent edit of each request in one run.
func (e *Editor) ApplyEach(ctx context.Context, m *lm.Model, requests []edit.Request) ([]*edit.Edited, error) {
	return e.run(ctx, m, singles(requests))
}

// singles are groups of one request each.
func singles(requests []edit.Request) [][]edit.Request {
	groups := make([][]edit.Request, len(requests))
	for i := range requests {
		groups[i] = requests[i : i+1 : i+1]
	}
	return groups
}

// tasks are the texts of edits, one for each group.
func (e *Editor) tasks(ctx context.Context, m *lm.Model, groups [][]edit.Request) ([]meta.Task, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, s := range e.o.Net.Sites {
		l, ok := m.Linear(s.Name)
		if !ok || l.In != s.Linear.In || l.Out != s.Linear.Out {
			return nil, fmt.Errorf("editor %s: the model has no weight %s [%d → %d]; use the base model that the editor was trained for", e.name, s.Name, s.Linear.In, s.Linear.Out)
		}
	}
	tasks := make([]meta.Task, len(groups))
	for i, g := range groups {
		if len(g) == 0 {
			return nil, errors.New("edit: there is nothing to edit")
		}
		tasks[i].ID = g[0].ID
		for j := range g {
			if err := g[j].Validate(false); err != nil {
				return nil, err
			}
			t, err := text.Ask(m, g[j].Prompt, g[j].Target, g[j].Join)
			if err != nil {
				return nil, fmt.Errorf("edit %s: %w", g[j].ID, err)
			}
			if err := meta.Mark(e.tok, &t, e.o.Net.Config.Update.Rows, g[j].Prompt, g[j].Subject, cmp.Or(g[j].Occurrence, text.First)); err != nil {
				return nil, fmt.Errorf("edit %s: %w", g[j].ID, err)
			}
			tasks[i].Inner = append(tasks[i].Inner, t)
			stay, err := e.o.Others.Texts(e.tok, g[j].Prompt, g[j].Subject, cmp.Or(g[j].Occurrence, text.First), 0)
			if err != nil {
				return nil, fmt.Errorf("edit %s: %w", g[j].ID, err)
			}
			tasks[i].Stay = append(tasks[i].Stay, stay...)
		}
		e.o.Cut.Parts(&tasks[i])
	}
	return tasks, nil
}

func (e *Editor) run(ctx context.Context, m *lm.Model, groups [][]edit.Request) ([]*edit.Edited, error) {
	if e.o.Net.Config.Update.Rule == hypernet.Solve {
		return e.solved(ctx, m, groups)
	}
	rows, err := e.rows(ctx, m, groups, 0)
	if err != nil {
		return nil, err
	}
	out := make([]*edit.Edited, len(groups))
	for t, g := range groups {
		out[t] = e.edited(g, rows[t])
	}
	return out, nil
}

// solved makes an edit of each group, with the rows of its requests solved for
// together. With one look at an edit, a request's values do not depend on the
// others; a later look sees the model with the whole group's values.
func (e *Editor) solved(ctx context.Context, m *lm.Model, groups [][]edit.Request) ([]*edit.Edited, error) {
	u := e.o.Net.Config.Update
	jointly := func(g []edit.Request) bool {
		return e.more > 0 || len(g) > 1 && (u.Steps > 1 || e.o.Cut.Size > 0)
	}
	var single []edit.Request
	for _, g := range groups {
		if !jointly(g) {
			single = append(single, g...)
		}
	}
	rows, err := e.rows(ctx, m, singles(single), u.Reach)
	if err != nil {
		return nil, err
	}
	var out []*edit.Edited
	for _, g := range groups {
		if jointly(g) && (u.Reach > 0 || e.more > 0) {
			d, err := e.together(ctx, m, g)
			if err != nil {
				return nil, err
			}
			out = append(out, d)
			continue
		}
		var own [][]meta.Rows
		if jointly(g) {
			if own, err = e.rows(ctx, m, [][]edit.Request{g}, 0); err != nil {
				return nil, err
			}
		} else {
			own, rows = rows[:len(g)], rows[len(g):]
		}
		whole := e.join(own)
		one, err := e.solve(own, whole)
		if err != nil {
			return nil, err
		}
		d := e.edited(g, one)
		if err := e.keepRows(d, whole, nil); err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// edited is the edit that the sites' rows make.
func (e *Editor) edited(requests []edit.Request, rows []meta.Rows) *edit.Edited {
	d := &edit.Edited{Editor: e.name, Requests: requests}
	norm, rank := 0.0, 0
	for i, s := range e.o.Net.Sites {
		delta := rows[i].Delta
		d.Changes = append(d.Changes, edit.Change{Weight: s.Name, Delta: &delta})
		norm += delta.SquaredNorm()
		rank = max(rank, delta.U.Rows)
	}
	d.Add("rank", rank)
	d.Add("update_norm", math.Sqrt(norm))
	return d
}

// Fingerprint identifies what the editor computes: its network's values, its
// normalisers, and its options, as a SHA-256 in hexadecimal.
func (e *Editor) Fingerprint() string {
	h := sha256.New()
	type site struct {
		Name    string
		In, Out int
	}
	var sites []site
	for _, s := range e.o.Net.Sites {
		sites = append(sites, site{s.Name, s.Linear.In, s.Linear.Out})
	}
	about := struct {
		Network any
		Sites   any
		Text    text.Options
		Sign    float32
	}{e.o.Net.Config, sites, e.text, e.o.Sign()}
	head, err := configs.Identity(about)
	if err != nil {
		panic("mend: " + err.Error()) // plain structs of numbers and texts
	}
	h.Write(head)
	if e.o.Cut.Size > 0 {
		fmt.Fprintf(h, "%+v", e.o.Cut)
	}
	for _, name := range e.o.Others.Names {
		fmt.Fprintf(h, "%q", name)
	}
	var raw []byte // of a few values at a time: a network may have as many as the model
	for part := range slices.Chunk(e.o.Net.Flat, 1<<14) {
		raw = raw[:0]
		for _, x := range part {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
		}
		h.Write(raw)
	}
	_ = e.o.Net.Remembered(func(k hypernet.Kept) error {
		raw = raw[:0]
		if k.File == hypernet.NormaliserFile {
			raw = binary.LittleEndian.AppendUint64(raw, uint64(*k.Rows))
		}
		for _, t := range k.Tensors {
			for _, x := range t.F32 {
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
			}
			for _, x := range t.F64 {
				raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(x))
			}
		}
		h.Write(raw)
		return nil
	})
	return hex.EncodeToString(h.Sum(nil))
}
