package eval

import (
	"math"
)

// Sequence is what an evaluation of edits in a row tells beside its figures,
// which are those of the end where edits are asked then.
type Sequence struct {
	Batch  int `json:"batch"`            // edits of a round
	Rounds int `json:"rounds,omitempty"` // of a sequence; 0: as many as the edits make
	// AtOnce are the figures right after each edit's own round, where edits are
	// asked at the end too.
	AtOnce map[string]Figure `json:"at_once,omitempty"`
	// Retention is the share of edits that were right at once and still are at
	// the end; nil where they are not asked twice.
	Retention *float64 `json:"retention,omitempty"`
	ByAge     []Aged   `json:"by_age"`            // tenths of the sequence, the last edits first
	Ability   *Ability `json:"ability,omitempty"` // at the end, mean over sequences
	// BytesPerEdit is what an edit takes beside the model.
	BytesPerEdit float64 `json:"bytes_per_edit,omitempty"`
	// TokenSeconds is what a generated token takes; Before: in the base model.
	TokenSecondsBefore float64 `json:"token_seconds_before,omitempty"`
	TokenSeconds       float64 `json:"token_seconds,omitempty"`

	atOnce    map[string]*sums
	first     map[string]bool // edits right at once, by ID
	aged      []aged
	abilities []Ability
	bytes     int64
	edits     int
}

// Aged is figures of edits of similar age.
type Aged struct {
	Age            float64  `json:"age"` // rounds made after the edit's own, mean
	Edits          int      `json:"edits"`
	Reliability    float64  `json:"reliability"`
	Generalization *float64 `json:"generalization,omitempty"`
	Locality       *float64 `json:"locality,omitempty"`
	Retention      *float64 `json:"retention,omitempty"` // see Sequence.Retention
}

type aged struct {
	age, last int
	id        string
	values    Values
}

func (r *run) newSequence() *Sequence {
	return &Sequence{Batch: r.Batch, Rounds: r.Rounds, atOnce: map[string]*sums{}, first: map[string]bool{}}
}

// add counts a line.
func (q *Sequence) add(s slot, l *Line) {
	switch {
	case l.Ability != nil:
		q.abilities = append(q.abilities, *l.Ability)
		q.bytes += l.Bytes
	case l.Dropped != "":
	case s.asked == askedRound:
		addValues(q.atOnce, l.Values)
		q.first[l.ID] = l.Values["reliability"].right()
	default:
		q.aged = append(q.aged, aged{age: s.last - s.round, last: s.last, id: l.ID, values: l.Values})
		q.edits++
	}
}

// right tells whether every prompt was answered.
func (t Tally) right() bool { return t.N > 0 && t.Sum == float64(t.N) }

// mean is over the tally's prompts.
func (t Tally) mean() float64 { return t.Sum / float64(t.N) }

// finish makes figures of what was counted.
func (q *Sequence) finish(rep *Report) {
	if len(q.atOnce) > 0 {
		q.AtOnce = map[string]Figure{}
		for name, s := range q.atOnce {
			record := rep.recordOf(name)
			record.Protocol = "sequential_immediate"
			q.AtOnce[name] = s.figure(name, record)
		}
		q.Retention = q.retention(q.aged)
	}
	q.ByAge = nil
	const parts = 10
	groups := make([][]aged, parts)
	for _, a := range q.aged {
		part := a.age * parts / (a.last + 1)
		groups[part] = append(groups[part], a)
	}
	for _, g := range groups {
		if len(g) > 0 {
			q.ByAge = append(q.ByAge, q.group(g))
		}
	}
	if n := len(q.abilities); n > 0 {
		mean := meanAbility(q.abilities)
		q.Ability = &mean
	}
	if q.edits > 0 {
		q.BytesPerEdit = float64(q.bytes) / float64(q.edits)
	}
}

// group makes figures of edits of similar age.
func (q *Sequence) group(list []aged) Aged {
	out := Aged{Edits: len(list), Retention: q.retention(list)}
	mean := func(name string) *float64 {
		sum, n := 0.0, 0
		for _, a := range list {
			if t, ok := a.values[name]; ok {
				sum, n = sum+t.mean(), n+1
			}
		}
		if n == 0 {
			return nil
		}
		v := sum / float64(n)
		return &v
	}
	for _, a := range list {
		out.Age += float64(a.age)
	}
	out.Age /= float64(len(list)) // no list is empty: tenths without edits are left out
	if v := mean("reliability"); v != nil {
		out.Reliability = *v
	}
	out.Generalization, out.Locality = mean("generalization"), mean("locality")
	return out
}

// retention is the share of the edits that were right at once which are right at
// the end; nil where none was, or none was asked.
func (q *Sequence) retention(list []aged) *float64 {
	kept, n := 0.0, 0
	for _, a := range list {
		if q.first[a.id] {
			n++
			kept += indicator(a.values["reliability"].right())
		}
	}
	if n == 0 {
		return nil
	}
	v := kept / float64(n)
	return &v
}

// finite is x, or the largest number instead of infinity, which JSON has not.
func finite(x float64) float64 { return math.Min(x, math.MaxFloat64) }
