package eval

import (
	"math"
	"regexp"
	"slices"
	"strings"
)

// Report is the outcome of an evaluation. Figures are fractions, not per cent.
type Report struct {
	N              int     `json:"n"` // cases evaluated
	Reliability    float64 `json:"reliability"`
	Generalization float64 `json:"generalization"` // 0 and named in Missing if no record has a paraphrase
	Locality       float64 `json:"locality"`
	LocalityKL     float64 `json:"locality_kl"` // nats
	EditsPerSecond float64 `json:"edits_per_second"`

	EditSeconds float64 `json:"edit_seconds"` // of making one edit, mean
	PeakBytes   int64   `json:"peak_bytes,omitempty"`

	Editor   string            `json:"editor"`
	Model    string            `json:"model"` // hash
	Data     string            `json:"data"`
	Protocol string            `json:"protocol"`
	Record   Record            `json:"record"`
	Metrics  map[string]Figure `json:"metrics"`
	Missing  []string          `json:"missing,omitempty"` // headline figures that the data cannot give
	Notes    []string          `json:"notes,omitempty"`   // what was taken for granted, each a sentence

	Dropped   []Drop `json:"dropped,omitempty"`    // cases, by reason
	Skipped   []Drop `json:"skipped,omitempty"`    // prompts of evaluated cases, by reason
	Cut       int    `json:"cut,omitempty"`        // prompts and answers that were cut at the maximal length
	NotFinite int    `json:"not_finite,omitempty"` // cases whose edited model computed NaN or infinity

	// Texts is what was asked and answered, where Options.Texts wants it.
	Texts []EditTexts `json:"texts,omitempty"`

	// Sequence is what only edits in a row have; nil for other protocols.
	Sequence *Sequence `json:"sequence,omitempty"`

	sums map[string]*sums
	drop map[string]*Drop // by what is alike in the reasons
	skip map[string]*Drop
}

// Drop counts what was left out for one reason.
type Drop struct {
	Reason string `json:"reason"` // of the first; others may name other edits and numbers
	Count  int    `json:"count"`
}

// Figure is one metric's average.
type Figure struct {
	Name    string  `json:"name"`
	Mean    float64 `json:"mean"`  // macro: mean of the cases' means
	Micro   float64 `json:"micro"` // mean over all prompts
	Band    float64 `json:"band"`  // half the 95 % band of Mean: 1.96·s/√n
	Cases   int     `json:"cases"` // that have the metric
	Prompts int     `json:"prompts"`
	Record  Record  `json:"record"`
}

// sums are what a figure is made of.
type sums struct {
	total, squares, micro float64
	cases, prompts        int
}

func newReport(record Record) *Report {
	return &Report{
		Record: record, Protocol: record.Protocol, Metrics: map[string]Figure{},
		sums: map[string]*sums{}, drop: map[string]*Drop{}, skip: map[string]*Drop{},
	}
}

// add counts one line of a results file.
func (r *Report) add(l *Line) {
	if len(l.Texts) > 0 {
		r.Texts = append(r.Texts, EditTexts{l.ID, l.Asked, l.Texts})
	}
	if l.Asked != "" || l.Ability != nil { // the Sequence has them
		return
	}
	if l.Dropped != "" {
		count(r.drop, l.Dropped)
		return
	}
	r.N++
	for _, s := range l.Skipped {
		count(r.skip, s)
	}
	r.Cut += l.Cut
	if l.NotFinite {
		r.NotFinite++
	}
	addValues(r.sums, l.Values)
}

// addValues counts one case's values.
func addValues(to map[string]*sums, values Values) {
	for name, t := range values {
		s := to[name]
		if s == nil {
			s = &sums{}
			to[name] = s
		}
		m := t.Sum / float64(t.N)
		s.total += m
		s.squares += m * m
		s.micro += t.Sum
		s.cases++
		s.prompts += t.N
	}
}

// figure is the average that the sums make.
func (s *sums) figure(name string, record Record) Figure {
	n := float64(s.cases)
	mean := s.total / n
	return Figure{
		Name: name, Mean: mean, Micro: s.micro / float64(s.prompts),
		Band:  1.96 * math.Sqrt(max(0, s.squares/n-mean*mean)) / math.Sqrt(n),
		Cases: s.cases, Prompts: s.prompts, Record: record,
	}
}

// finish makes figures of the sums. It may be called again after more lines.
func (r *Report) finish(list []family) {
	for name, s := range r.sums {
		r.Metrics[name] = s.figure(name, r.recordOf(name))
	}
	for _, f := range list {
		if f.derive != nil {
			f.derive(r)
		}
	}
	r.Missing = nil
	for name, to := range map[string]*float64{
		"reliability": &r.Reliability, "generalization": &r.Generalization,
		"locality": &r.Locality, "locality_kl": &r.LocalityKL,
	} {
		f, ok := r.Metrics[name]
		*to = f.Mean
		if !ok {
			r.Missing = append(r.Missing, name)
		}
	}
	told := map[string]bool{}
	for name := range r.Metrics {
		told[baseOf(name)] = true
	}
	has := func(m Metric) bool { return told[m.Name] }
	for _, f := range list {
		if f.name != "basic" && f.name != "locality" && !slices.ContainsFunc(f.metrics, has) {
			r.Missing = append(r.Missing, f.name)
		}
	}
	slices.Sort(r.Missing)
	r.Dropped, r.Skipped = drops(r.drop), drops(r.skip)
}

// recordOf is the evaluation's record with what is particular to a metric.
func (r *Report) recordOf(name string) Record {
	rec := r.Record
	if m, ok := metricNamed(name); ok {
		for _, o := range []struct {
			to   *string
			from string
		}{{&rec.Decode, m.Decode}, {&rec.Match, m.Match}, {&rec.LocalityReference, m.Locality}} {
			if o.from != "" {
				*o.to = o.from
			}
		}
	}
	return rec
}

// harmonic adds the harmonic mean of figures, if all of them are there.
func (r *Report) harmonic(name string, of ...string) {
	var values, micro []float64
	out := Figure{Name: name, Record: r.recordOf(name)}
	for _, o := range of {
		f, ok := r.Metrics[o]
		if !ok {
			return
		}
		values, micro = append(values, f.Mean), append(micro, f.Micro)
		out.Cases = max(out.Cases, f.Cases)
		out.Prompts += f.Prompts
	}
	out.Mean, out.Micro = harmonic(values...), harmonic(micro...)
	r.Metrics[name] = out
}

// particular matches what differs between like reasons.
var particular = regexp.MustCompile(`"[^"]*"|\bedit \S+|\b\d+\b`)

// alike makes reasons that differ in a name or a number one.
func alike(reason string) string {
	return particular.ReplaceAllStringFunc(reason, func(s string) string {
		if strings.HasPrefix(s, "edit ") {
			return "edit …"
		}
		return "…"
	})
}

// count counts a reason among those that are like it.
func count(m map[string]*Drop, reason string) {
	key := alike(reason)
	if m[key] == nil {
		m[key] = &Drop{Reason: reason}
	}
	m[key].Count++
}

func drops(m map[string]*Drop) []Drop {
	var out []Drop
	for _, key := range sortedKeys(m) {
		out = append(out, *m[key])
	}
	return out
}
