package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/internal/kernel"
	"keyhole.example/keyhole/internal/mpi"
	"keyhole.example/keyhole/internal/resident"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/text"
)

// Protocols lists the orders in which edits are made and evaluated.
//
//   - single_restore: make one, evaluate it, take it back.
//   - batch: make Batch edits together, evaluate all of them, take them back.
//   - sequential_immediate: make Batch edits after Batch others, evaluate each
//     round at once.
//   - sequential_final: the same, evaluate all at the end.
//   - sequential_both: the same, evaluate each round at once and all at the end.
//
// A sequence takes all edits, or Rounds rounds, after which the next begins with
// the base model.
func Protocols() []string {
	return []string{"single_restore", "batch", "sequential_immediate", "sequential_final", "sequential_both"}
}

// Options say what is evaluated, and how. Model, Engine, Editor and Set are
// needed; the zero value of the others is the default.
type Options struct {
	Model  *lm.Model
	Engine *kernel.Engine
	Editor edit.Editor
	Set    *data.Set

	Limit    int      // evaluate only that many first records; 0: all
	Protocol string   // one of Protocols; "": single_restore
	Batch    int      // edits made together: for protocol batch, 0: 10, and for rounds of a sequence, 0: 1
	Rounds   int      // of a sequence; 0: as many as the edits make
	Pack     int      // single edits that share graph runs and passes; 0: 10. Results do not depend on it
	MaxLen   int      // cut prompts to their last, answers to their first so many tokens, for making and for asking edits; 0 or −1: never
	Metrics  []string // families, see Families; nil: those that fit the set
	Style    string   // of prompts: "" or plain, qa_instruction, or ChatStyle
	Seed     uint64   // of borrowed prompts and sampled texts

	// EditorConfig identifies what the editor was made of, so that results of
	// another one of the same name are not taken for its own; "": what it says
	// itself as a Fingerprinter.
	EditorConfig string

	// References are texts about new answers by ReferenceKey, for RS.
	References map[string][]string

	// Texts keeps each prompt with the answers before and after the edit, in the
	// report and the results file.
	Texts bool

	// Ability is a text on which the edited model is compared with the base at
	// the end of each sequence; nil: none.
	Ability *AbilityText

	Out      string         // results file; "": none. What it holds already is not computed again
	Progress func(Progress) // called after each edit; may be nil
	Scorer   *Scorer        // keeps what the base model computed from run to run; nil: a new one

	// Team are processes that evaluate together, each of which calls Run with the
	// same options; nil: this one alone. The results are process 0's, and do not
	// depend on how many there are.
	Team mpi.Team
}

// Progress is how far an evaluation is.
type Progress struct {
	Done, Total int
	ID          string  // of the edit just evaluated
	Reliability float64 // so far; NaN where nothing tells
	Locality    float64
}

// Fingerprinter is an editor that can identify its configuration and weights.
type Fingerprinter interface{ Fingerprint() string }

// EachApplier is an editor that makes several independent edits at once: each
// is what Apply makes of the request alone.
type EachApplier interface {
	ApplyEach(ctx context.Context, m *lm.Model, requests []edit.Request) ([]*edit.Edited, error)
}

// run is an evaluation in progress.
type run struct {
	Options
	plan   *planner
	scorer *Scorer
	file   *resultsFile
	old    []Line // that the file had
	report *Report
	n      int // records to evaluate
	lines  []slot
	done   int          // lines that are in the file, or written
	last   *edit.Edited // of the sequence in progress

	edits               int
	editTime, scoreTime time.Duration // since the last mark
	tokens              *tokenTimes   // likewise
	times               timing        // of this and earlier runs

	pending []placed // evaluated by this process, and not merged yet
	peak    int64    // memory of the processes, as far as it is known
}

// Run evaluates an editor. The model's weights are as before when it returns.
// An edit that the editor refuses is counted under its reason, not as a
// failure of the evaluation; if all are refused, that is an error. With a
// cancelled ctx, Run returns its error after the edit in progress; what is in
// the results file stays good.
func Run(ctx context.Context, o Options) (*Report, error) {
	r := &run{Options: o}
	header, err := r.prepare()
	if err != nil {
		err = fmt.Errorf("evaluate: %w", err)
	}
	if err = mpi.Agree(o.Team, err); err != nil {
		return nil, err
	}
	if err = r.compareTeam(header); err == nil {
		err = r.open(header)
	}
	if err == nil {
		err = r.resume()
	}
	if err == nil && !r.idle() {
		err = r.evaluate(ctx)
	}
	if e := r.file.close(); err == nil && e != nil {
		err = fmt.Errorf("results file: %w", e)
	}
	if r.inSequence() { // the others wait for process 0
		err = mpi.Agree(o.Team, err)
	}
	if err != nil {
		return nil, err
	}
	if r.idle() {
		return r.report, nil
	}
	return r.finish()
}

// noteModel notes that the results file is of an earlier version.
func (r *run) noteModel(h Header) {
	if lm.CompareHashes(r.file.model, h.Model) == lm.SameWeights {
		r.report.Notes = append(r.report.Notes, fmt.Sprintf("results file %s: %s", r.Out, lm.NoTokenizer))
	}
}

// ChatStyle says that the prompts of the set stand in the model's chat template;
// who makes the set puts them there (data.Edit.Asked).
const ChatStyle = "chat_template"

// prepare checks the options and fills in defaults.
func (r *run) prepare() (Header, error) {
	var h Header
	switch {
	case r.Model == nil || r.Engine == nil || r.Editor == nil || r.Set == nil:
		return h, errors.New("a model, an engine, an editor and a data set are needed")
	case r.Model.Tokenizer == nil:
		return h, fmt.Errorf("model %s has no tokenizer; put tokenizer.json beside its weights", r.Model.Path)
	case len(r.Set.Edits) == 0:
		return h, fmt.Errorf("data set %s holds no edit", r.Set.Name)
	case r.Limit < 0 || r.Batch < 0 || r.Rounds < 0 || r.Pack < 0 || r.MaxLen < -1:
		return h, errors.New("limit, batch, rounds and pack must not be negative, nor max_len below -1")
	case r.Style != "" && r.Style != "plain" && r.Style != "qa_instruction" && r.Style != ChatStyle:
		return h, fmt.Errorf("prompt style %q: use plain, qa_instruction or %s", r.Style, ChatStyle)
	}
	if r.Protocol == "" {
		r.Protocol = "single_restore"
	}
	if !slices.Contains(Protocols(), r.Protocol) {
		return h, fmt.Errorf("protocol %q: use one of %s", r.Protocol, strings.Join(Protocols(), ", "))
	}
	orDefault := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	if !r.inSequence() && (r.Rounds > 0 || r.Ability != nil) {
		return h, fmt.Errorf("protocol %s makes no sequence: rounds and a text for general ability are for sequential protocols", r.Protocol)
	}
	orDefault(&r.Batch, map[bool]int{true: 1, false: 10}[r.inSequence()])
	orDefault(&r.Pack, 10)
	r.MaxLen = max(r.MaxLen, 0)
	if r.Style == "" {
		r.Style = "plain"
	}
	list, err := choose(r.Metrics, r.Set)
	if err != nil {
		return h, err
	}
	if r.scorer = r.Scorer; r.scorer == nil {
		r.scorer = NewScorer(r.Model, r.Engine, 0)
	}
	if r.scorer.model != r.Model {
		return h, errors.New("the scorer is of another model")
	}
	r.plan = &planner{
		model: r.Model, set: r.Set, families: list, short: text.Shortener{Tok: r.Model.Tokenizer, Max: r.MaxLen}, style: r.Style, seed: r.Seed,
		refs: r.References, terms: newTerms(allTexts(r.References)),
	}
	r.n = len(r.Set.Edits)
	if r.Limit > 0 {
		r.n = min(r.n, r.Limit)
	}
	r.lines = r.schedule()
	return r.header(list)
}

func allTexts(refs map[string][]string) []string {
	var out []string
	for _, k := range sortedKeys(refs) {
		out = append(out, refs[k]...)
	}
	return out
}

// resume takes over the lines that the file has.
func (r *run) resume() error {
	for i := range r.old {
		l := &r.old[i]
		if i >= len(r.lines) {
			if i >= len(r.Set.Edits) || l.ID != r.Set.Edits[i].ID { // a smaller limit leaves lines over
				return fmt.Errorf("results file %s: line %d is of edit %s, which is not edit %d of the data; remove the file", r.Out, i+2, l.ID, i+1)
			}
			continue
		}
		if want := r.id(r.lines[i]); l.ID != want {
			return fmt.Errorf("results file %s: line %d is of edit %s, not of %s; remove the file", r.Out, i+2, l.ID, want)
		}
		r.take(l)
	}
	return nil
}

// take counts a line.
func (r *run) take(l *Line) {
	r.report.add(l)
	if q := r.report.Sequence; q != nil {
		q.add(r.lines[r.done], l)
	}
	r.done++
	if r.Progress == nil {
		return
	}
	mean := func(name string) float64 {
		s := r.report.sums[name]
		if s == nil {
			return math.NaN()
		}
		return s.total / float64(s.cases)
	}
	r.Progress(Progress{Done: r.done, Total: len(r.lines), ID: l.ID, Reliability: mean("reliability"), Locality: mean("locality")})
}

// put writes line i, or keeps it for the others to know of.
func (r *run) put(i int, l *Line) error {
	if r.divided() {
		r.pending = append(r.pending, placed{i, l})
		return nil
	}
	return r.write(i, l)
}

// write writes line i, the next one, unless the file has it.
func (r *run) write(i int, l *Line) error {
	if i < r.done {
		return nil
	}
	if err := r.file.write(l); err != nil {
		return err
	}
	r.take(l)
	return nil
}

// mark notes the time since the last mark.
func (r *run) mark() error {
	if r.edits == 0 && r.tokens == nil {
		return nil
	}
	t := timing{Edits: r.edits, Edit: r.editTime.Seconds(), Score: r.scoreTime.Seconds(), PeakBytes: max(resident.PeakBytes(), r.peak), Tokens: r.tokens}
	r.edits, r.editTime, r.scoreTime, r.tokens = 0, 0, 0, nil
	r.count(t)
	if err := r.file.sync(); err != nil || r.file == nil {
		return err
	}
	return appendTime(timesName(r.Out), t)
}

func (r *run) count(t timing) {
	r.times.Edits += t.Edits
	r.times.Edit += t.Edit
	r.times.Score += t.Score
	r.times.PeakBytes = max(r.times.PeakBytes, t.PeakBytes)
	if t.Tokens != nil {
		r.times.Tokens = t.Tokens
	}
}

func (r *run) finish() (*Report, error) {
	rep := r.report
	rep.finish(r.plan.families)
	if rep.N == 0 {
		reason := "there was none"
		if len(rep.Dropped) > 0 {
			reason = rep.Dropped[0].Reason
		}
		return nil, fmt.Errorf("evaluate %s on %s: no edit could be evaluated, for example: %s", rep.Editor, rep.Data, reason)
	}
	if r.times.Edits > 0 {
		rep.EditSeconds = r.times.Edit / float64(r.times.Edits)
		if total := r.times.Edit + r.times.Score; total > 0 {
			rep.EditsPerSecond = float64(r.times.Edits) / total
		}
	}
	rep.PeakBytes = r.times.PeakBytes
	if rep.Sequence != nil {
		rep.Sequence.finish(rep)
		if t := r.times.Tokens; t != nil {
			rep.Sequence.TokenSecondsBefore = t.Before / float64(t.BeforeTokens)
			rep.Sequence.TokenSeconds = t.After / float64(t.AfterTokens)
		}
	}
	return rep, nil
}
