package serve

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/edit/verdict"
	"keyhole.example/keyhole/text"
)

// answer is what the model says behind a prompt, and how probable the target is.
type answer struct {
	Answer      string  `json:"answer"`
	Probability float64 `json:"probability"`
}

// row is a prompt before and after an edit.
type row struct {
	Kind   string `json:"kind"` // prompt, paraphrase or neighbor
	Prompt string `json:"prompt"`
	Before answer `json:"before"`
	After  answer `json:"after"`
	Held   *bool  `json:"held"` // nil: it cannot be told
}

// trial is an edit that was made and measured, and can be kept for a while.
type trial struct {
	ID      string  `json:"id"` // "": there is no edit to be kept
	Editor  string  `json:"editor"`
	Layer   *int    `json:"layer,omitempty"` // that was chosen
	Request fact    `json:"request"`
	Seconds float64 `json:"seconds"`
	Held    bool    `json:"held"`
	Reason  string  `json:"reason,omitempty"`
	Rows    []row   `json:"rows"`
	Drift   drift   `json:"drift"`

	edited *edit.Edited
	made   time.Time
}

// Bounds of what is remembered of trials.
const (
	keptTrials = 32
	trialLife  = time.Hour
)

// trials are the latest, the oldest first.
type trials struct{ list []*trial }

func (ts *trials) add(t *trial) {
	ts.list = slices.DeleteFunc(ts.list, func(x *trial) bool { return time.Since(x.made) > trialLife })
	if len(ts.list) >= keptTrials {
		ts.list = slices.Delete(ts.list, 0, len(ts.list)-keptTrials+1)
	}
	ts.list = append(ts.list, t)
}

func (ts *trials) find(id string) *trial {
	at := slices.IndexFunc(ts.list, func(t *trial) bool { return t.ID == id && time.Since(t.made) <= trialLife })
	if at < 0 {
		return nil
	}
	return ts.list[at]
}

// maxEditors bounds the editors of one request.
const maxEditors = 8

// try makes an edit by each of some editors, and measures what the model would be
// with it, behind the edits that are on. Nothing stays.
func (s *Server) try(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		Request fact     `json:"request"`
		Editors []string `json:"editors"`
		Layer   *int     `json:"layer"` // of rome; absent: its own
	}
	if err := read(w, r, &q, false); err != nil {
		return err
	}
	if err := q.Request.check(); err != nil {
		return err
	}
	if len(q.Editors) == 0 || len(q.Editors) > maxEditors {
		return wrong("editors", "name one to %d editors", maxEditors)
	}
	for _, name := range q.Editors {
		o, err := s.desk.offered(name)
		switch {
		case err != nil:
			return err
		case o.subject && q.Request.Subject == "":
			return wrong("request.subject", "editor %s needs the subject: name the words of the prompt that the fact is about", name)
		}
	}
	if blocks := s.opts.Bench.Model.Config.Layers; q.Layer != nil && (*q.Layer < 0 || *q.Layer >= blocks) {
		return wrong("layer", "layer has to be from 0 to %d", blocks-1)
	}
	return s.launch(w, r, "trial", func(ctx context.Context, j *job) (any, error) {
		list, err := s.tryAll(ctx, j, q.Request, q.Editors, q.Layer)
		return map[string]any{"trials": list}, err
	})
}

func (s *Server) tryAll(ctx context.Context, j *job, f fact, editors []string, layer *int) ([]*trial, error) {
	total := 1 + 2*len(editors)
	j.report(0, total, "asking the model as it is")
	e, err := s.desk.with(true)
	if err != nil {
		return nil, err
	}
	m, err := s.desk.measure(ctx, []fact{f}, e)
	if err != nil {
		return nil, err
	}
	var out []*trial
	for i, name := range editors {
		j.report(1+2*i, total, name+": editing")
		t := &trial{Editor: name, Request: f, Rows: m.before()}
		if layer != nil && name == layered {
			t.Layer = layer
		}
		err := s.desk.try(ctx, t, on(s.edited()), m, func() { j.report(2+2*i, total, name+": asking the edited model") })
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			t.Reason = err.Error()
		} else {
			t.ID, t.made = secretID(), time.Now()
			s.trials.add(t)
		}
		out = append(out, t)
	}
	j.report(total, total, "")
	return out, nil
}

// layered is the editor whose layer a trial may choose.
const layered = "rome"

// measuring is a judge that has seen the model before an edit.
type measuring struct {
	judge *verdict.Judge
	kinds []string // of the judge's requests: prompt, paraphrase or neighbor
}

// measure asks the model as it is, beside whose weights stands e, for facts: each
// one's prompt, paraphrases and neighbours.
func (d *desk) measure(ctx context.Context, facts []fact, e *edit.Edited) (*measuring, error) {
	m := &measuring{}
	var requests []edit.Request
	for _, f := range facts {
		m.kinds = append(m.kinds, "prompt")
		requests = append(requests, f.request("1"))
		for _, p := range f.Paraphrases {
			m.kinds = append(m.kinds, "paraphrase")
			requests = append(requests, edit.Request{ID: "paraphrase", Prompt: p, Target: f.Target})
		}
		for _, n := range f.Neighbors {
			target, err := d.answerOf(ctx, n, e)
			if err != nil {
				return nil, err
			}
			m.kinds = append(m.kinds, "neighbor")
			requests = append(requests, edit.Request{ID: "neighbor", Prompt: n.Prompt, Target: target})
		}
	}
	for _, r := range requests {
		if _, err := text.Ask(d.bench.Model, r.Prompt, r.Target, r.Join); err != nil {
			return nil, wrong("request.prompt", "%q: %v", r.Prompt, err)
		}
	}
	var err error
	m.judge, err = verdict.Begin(ctx, d.bench.Model, d.bench.Engine, requests, verdict.Options{Last: e})
	return m, err
}

// answerOf is what has to stay behind a neighbour's prompt: its target where the
// model says it, else the first word of what it says.
func (d *desk) answerOf(ctx context.Context, n neighbor, e *edit.Edited) (string, error) {
	ids, err := d.asked(n.Prompt, false, e)
	if err != nil {
		return "", err
	}
	const tokens = 8
	w, err := d.write(ctx, ids, e, writing{Tokens: tokens})
	if err != nil {
		return "", err
	}
	switch word := firstWord(w.Text); {
	case n.Target != "" && text.Begins(w.Text, n.Target):
		return n.Target, nil
	case word != "":
		return word, nil
	case n.Target != "":
		return n.Target, nil
	}
	return "–", nil // it says nothing; that this is not said is known before, too
}

// before are the rows with what is known before the edit.
func (m *measuring) before() []row {
	var out []row
	for i, o := range m.judge.Outcomes() {
		out = append(out, row{Kind: m.kinds[i], Prompt: o.Prompt, Before: answer{o.Before, finite(o.ProbBefore)}, After: answer{}})
	}
	return out
}

// after are the rows with what the edited model says.
func (m *measuring) after(v *verdict.Verdict) []row {
	out := m.before()
	for i, r := range v.Requests {
		out[i].After = answer{r.After, finite(r.ProbAfter)}
		if m.kinds[i] != "neighbor" || r.Known {
			out[i].Held = &r.Held
		}
	}
	return out
}

// driftOf is a verdict's drift as the API tells it.
func driftOf(v *verdict.Verdict) drift {
	return drift{Same: v.Drift.Same, KL: finite(v.Drift.KL), Prompts: v.Drift.Prompts}
}

// try makes the trial's edit from the base model and measures the model that is
// the base with it and the edits of list.
func (d *desk) try(ctx context.Context, t *trial, list []*kept, m *measuring, asking func()) error {
	var set []string
	if t.Layer != nil {
		set = []string{fmt.Sprintf("layer=%d", *t.Layer)}
	}
	o, err := d.use(ctx, t.Editor, set)
	if err != nil {
		return err
	}
	requests := []edit.Request{t.Request.request("1")}
	start := time.Now()
	e, err := edit.Continue(ctx, d.bench.Editor, d.bench.Model, nil, requests)
	if err != nil {
		return err
	}
	if e.ResponderOf() != nil {
		return refused("edits by %s are answered by a model of their own, which serve cannot put beside others; make them with keyhole edit", t.Editor)
	}
	t.Seconds = time.Since(start).Seconds()
	if t.edited = e; o.Kind == contextKind {
		t.edited = nil // it is made of the requests
	}
	asking()
	whole, err := d.join(ctx, append(slices.Clone(list), &kept{ID: "new", Editor: t.Editor, Request: t.Request, edited: t.edited}))
	if err != nil {
		return err
	}
	d.base()
	undo, err := whole.Install(d.bench.Model, d.bench.Engine)
	if err != nil {
		return err
	}
	defer undo()
	v, err := m.judge.End(ctx, whole)
	if err != nil {
		return err
	}
	t.Drift, t.Rows = driftOf(v), m.after(v)
	alone := verdict.Verdict{Requests: v.Requests[:1], Held: v.Requests[0].Held, Drift: v.Drift}
	t.Held, t.Reason = alone.Passed(), alone.Problem()
	if t.edited != nil {
		t.edited.Add(verdict.HeldFigure, map[bool]int{true: 1}[v.Requests[0].Held])
		t.edited.Add("drift_kl", t.Drift.KL)
	}
	return nil
}
