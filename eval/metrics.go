package eval

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"keyhole.example/keyhole/data"
	"keyhole.example/keyhole/edit"
	"keyhole.example/keyhole/lm"
	"keyhole.example/keyhole/lm/tokenizer"
	"keyhole.example/keyhole/text"
)

// families lists every metric family: the one place to add another.
func families() []family {
	return []family{
		basic(), locality(), counterFact(), reverse(), portability(), knowEdit(),
		multiHop(), generated(), fluency(), attributes(),
	}
}

// Metric describes a figure.
type Metric struct {
	Name   string // a figure per kind is named Name.kind
	About  string
	Better int    // 1: more is better; -1: less is; 0: neither
	Range  string // of possible values; "" until Metrics gives "0 to 1"
	Source string // who defined it; "" until Metrics gives the family's
	// What differs from the evaluation's record; "" means nothing does.
	Decode, Match, Locality string
}

// family is a group of metrics that are asked for together.
type family struct {
	name, about string
	source      string // who defined the metrics that do not say
	metrics     []Metric
	// fits tells whether the family is in the default list for a set; nil: only
	// when it is asked for.
	fits func(s *data.Set) bool
	// plan adds what has to be asked to the case.
	plan func(p *planner, c *Case) scoring
	// derive adds figures that follow from other figures; may be nil.
	derive func(r *Report)
}

// scoring turns a case's outcomes into values.
type scoring func(v *scores)

// Tally is a sum over prompts and their number. In a results file it is
// [sum, n].
type Tally struct {
	Sum float64
	N   int
}

// Values are one case's tallies by metric.
type Values map[string]Tally

// Metrics describes every figure that there is, in the order of tables.
func Metrics() []Metric {
	var out []Metric
	for _, f := range families() {
		for _, m := range f.metrics {
			m.Range, m.Source = cmp.Or(m.Range, "0 to 1"), cmp.Or(m.Source, f.source)
			out = append(out, m)
		}
	}
	return out
}

// Described finds the description of a figure. That of one kind, called Name.kind,
// says so.
func Described(name string) (Metric, bool) {
	m, ok := metricNamed(name)
	if base := baseOf(name); ok && base != name {
		m.Name, m.About = name, m.About+"; prompts of the kind "+name[len(base)+1:]
	}
	return m, ok
}

// ours is the source of what no paper defines.
const ours = "Keyhole"

// Families lists the names of the metric families with what each is about.
func Families() [][2]string {
	var out [][2]string
	for _, f := range families() {
		out = append(out, [2]string{f.name, f.about})
	}
	return out
}

// FamilyNames are the names of the metric families, as Options.Metrics has them.
func FamilyNames() []string {
	var out []string
	for _, f := range families() {
		out = append(out, f.name)
	}
	return out
}

// baseOf is a figure's name without its kind.
func baseOf(name string) string {
	base, _, _ := strings.Cut(name, ".")
	return base
}

// metricNamed finds the description of a figure, that of its kind left out.
func metricNamed(name string) (Metric, bool) {
	base := baseOf(name)
	for _, m := range Metrics() {
		if m.Name == base {
			return m, true
		}
	}
	return Metric{}, false
}

// CheckFamilies fails for a name that is none of Families.
func CheckFamilies(names []string) error {
	have := FamilyNames()
	for _, n := range names {
		if !slices.Contains(have, n) {
			return fmt.Errorf("metrics: there is no family %q; use %s", n, strings.Join(have, ", "))
		}
	}
	return nil
}

// choose resolves names of families; nil: those that fit the set. "basic" and
// "locality" are always among them.
func choose(names []string, s *data.Set) ([]family, error) {
	if err := CheckFamilies(names); err != nil {
		return nil, err
	}
	var out []family
	for _, f := range families() {
		always := f.name == "basic" || f.name == "locality"
		if always || slices.Contains(names, f.name) || names == nil && f.fits != nil && f.fits(s) {
			out = append(out, f)
		}
	}
	return out, nil
}

// Case is one record with what is asked about it.
type Case struct {
	Record      *data.Edit
	Requests    []edit.Request
	Probes      []*Probe
	Generations []*Generation

	scorings []scoring
	skipped  []string // reasons for prompts that were left out
	cut      int      // prompts and answers that were cut
}

func (c *Case) generate(g Generation) *Generation {
	for _, old := range c.Generations {
		if old.Prompt == g.Prompt && old.Sampled == g.Sampled && old.Seed == g.Seed && old.Least >= g.Least && old.Both == g.Both {
			return old
		}
	}
	c.Generations = append(c.Generations, &g)
	return &g
}

// score scores the case after both models were asked. It keeps what was asked and
// answered, unless tok is nil.
func (c *Case) score(tok tokenizer.Tokenizer) *scores {
	v := &scores{values: Values{}, tok: tok, of: map[answered]*Said{}}
	for _, s := range c.scorings {
		s(v)
	}
	return v
}

// finite tells whether the edited model computed numbers everywhere.
func (c *Case) finite() bool {
	for _, p := range c.Probes {
		if !p.finite() {
			return false
		}
	}
	return true
}

// planner makes cases of records.
type planner struct {
	model    *lm.Model
	set      *data.Set
	families []family
	short    text.Shortener
	style    string
	seed     uint64
	terms    *terms
	refs     map[string][]string
}

// plan is the case of record i, or the reason why it cannot be evaluated.
func (p *planner) plan(i int) (*Case, error) {
	r := &p.set.Edits[i]
	c := &Case{Record: r, Requests: p.requests(r)}
	if _, err := p.probe(r.Prompt, r.TargetNew, r.Join); err != nil {
		return nil, err
	}
	for _, f := range p.families {
		c.scorings = append(c.scorings, f.plan(p, c))
	}
	return c, nil
}

// requests are the edits of a record, made on the very texts that are asked.
func (p *planner) requests(r *data.Edit) []edit.Request {
	out := edit.Requests(r)
	for i := range out {
		q := &out[i]
		q.Target, _ = p.short.Answer(q.Prompt, q.Target, q.Join)
		prompt, cut := p.short.Prompt(q.Prompt)
		if cut && strings.HasPrefix(string(q.Occurrence), "@") {
			q.Occurrence = text.Last // the end stays
		}
		q.Prompt = prompt
	}
	return out
}

func (p *planner) probe(prompt, answer string, join data.Join) (*Probe, error) {
	a, cutAnswer := p.short.Answer(prompt, answer, join)
	q, cutPrompt := p.short.Prompt(prompt)
	out, err := newProbe(p.model, styled(p.style, q), a, join)
	if err != nil {
		return nil, err
	}
	out.cut = cutAnswer || cutPrompt
	return out, nil
}

// ask adds a probe to the case, or returns the one that is there. It returns
// nil, and notes the reason, if the model cannot be asked.
func (p *planner) ask(c *Case, prompt, answer string) *Probe {
	return c.add(p.probe(prompt, answer, c.Record.Join))
}

func (c *Case) add(q *Probe, err error) *Probe {
	if err != nil {
		c.skipped = append(c.skipped, err.Error())
		return nil
	}
	key := q.key()
	for _, old := range c.Probes {
		if old.Prompt == q.Prompt && old.key() == key {
			return old
		}
	}
	if q.cut {
		c.cut++
	}
	c.Probes = append(c.Probes, q)
	return q
}

// styled puts a prompt into the evaluation's style.
func styled(style, prompt string) string {
	if style == "qa_instruction" {
		return "Please answer the question:\n\nQ: " + prompt + "\nA:"
	}
	return prompt
}

// alias is the name by which a prompt's first answer is scored.
func alias(q data.Prompt) string { return q.Answers[0][0] }
