package pretrain

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"keyhole.example/keyhole/data"
)

// splits are the edits made from facts that the model knows. No two share a
// subject, and the prompts of training edits name no subject of the others.
type splits struct{ train, val, test []data.Edit }

// editMaker makes edits from known facts.
type editMaker struct {
	c        *Config
	facts    []Fact
	rng      *rand.Rand
	objects  [][]string     // of each relation, in the order of facts
	part     map[string]int // of a subject: 0 training, 1 validation, 2 held out
	bySame   map[string][]int
	byPerson map[string][]int // facts of a subject
}

// makeEdits cuts the subjects of facts, all of them known, into three parts and
// makes edits.
func makeEdits(c *Config, facts []Fact) (splits, error) {
	m := &editMaker{
		c: c, facts: facts, rng: rand.New(rand.NewPCG(c.Seed, 4)),
		objects: make([][]string, len(c.Relations)), part: map[string]int{},
		bySame: map[string][]int{}, byPerson: map[string][]int{},
	}
	seen := map[string]bool{}
	var subjects []string
	for i := range facts {
		f := &facts[i]
		if key := fmt.Sprint(f.Relation, "\x00", f.Object); !seen[key] {
			seen[key] = true
			m.objects[f.Relation] = append(m.objects[f.Relation], f.Object)
		}
		s := subjectKey(f.Subject)
		if len(m.byPerson[s]) == 0 {
			subjects = append(subjects, s)
		}
		m.byPerson[s] = append(m.byPerson[s], i)
		m.bySame[sameKey(f)] = append(m.bySame[sameKey(f)], i)
	}
	if need := 2 * (c.Edits.Test + c.Edits.Val); len(subjects) < need {
		return splits{}, fmt.Errorf("the model knows facts about %d subjects, too few for edits.test and edits.val (want %d); train for longer", len(subjects), need)
	}
	m.rng.Shuffle(len(subjects), func(i, j int) { subjects[i], subjects[j] = subjects[j], subjects[i] })
	m.choose(subjects, c.Edits.Test, 2)
	m.choose(subjects, c.Edits.Val, 1)
	var out splits
	for _, s := range subjects {
		of := m.byPerson[s]
		switch m.part[s] {
		case 2:
			out.test = append(out.test, m.edit(of[m.rng.IntN(len(of))], 0, nil))
		case 1:
			out.val = append(out.val, m.edit(of[m.rng.IntN(len(of))], 0, nil))
		default:
			for _, i := range of {
				var targets []string
				for n := range min(c.Edits.PerFact, len(m.objects[facts[i].Relation])-1) {
					e := m.edit(i, n, targets)
					targets = append(targets, e.TargetNew)
					out.train = append(out.train, e)
				}
			}
		}
	}
	return out, nil
}

// choose puts n more subjects into a part: ones whose facts all have
// neighbours and rival objects.
func (m *editMaker) choose(subjects []string, n, part int) {
	for _, s := range subjects {
		if n == 0 {
			return
		}
		ok := m.part[s] == 0
		for _, i := range m.byPerson[s] {
			ok = ok && len(m.bySame[sameKey(&m.facts[i])]) > 2 && len(m.objects[m.facts[i].Relation]) > 1
		}
		if ok {
			m.part[s] = part
			n--
		}
	}
}

// edit makes edit n of a fact, with a target that is not among used.
func (m *editMaker) edit(i, n int, used []string) data.Edit {
	f, c := &m.facts[i], m.c
	patterns := m.rng.Perm(len(c.Relations[f.Relation].Patterns))
	e := data.Edit{
		ID: fmt.Sprintf("%s-%04d-%d", c.Relations[f.Relation].ID, i, n), RelationID: c.Relations[f.Relation].ID,
		Subject: f.Subject, Prompt: f.Prompt(c, patterns[0]), TargetNew: m.target(f, used), TargetTrue: []string{f.Object},
		Locality: map[string][]data.Prompt{},
	}
	for _, k := range patterns[1:min(len(patterns), c.Edits.Paraphrases+1)] {
		e.Paraphrases = append(e.Paraphrases, f.Prompt(c, k))
	}
	add := func(kind string, j int) {
		g := &m.facts[j]
		k := m.rng.IntN(len(c.Relations[g.Relation].Patterns))
		e.Locality[kind] = append(e.Locality[kind], data.Prompt{Prompt: g.Prompt(c, k), Answers: [][]string{{g.Object}}})
	}
	for _, j := range m.draw(m.bySame[sameKey(f)], c.Edits.Neighborhood, f, func(*Fact) bool { return true }) {
		add(data.Neighborhood, j)
	}
	for _, j := range m.draw(nil, c.Edits.Unrelated, f, func(g *Fact) bool { return g.Relation != f.Relation }) {
		add(data.Unrelated, j)
	}
	same := 0
	for _, j := range m.byPerson[subjectKey(f.Subject)] {
		if j != i && same < c.Edits.SameSubject {
			add(data.RelationSpecificity, j)
			same++
		}
	}
	return e
}

// target draws another object of the relation.
func (m *editMaker) target(f *Fact, used []string) string {
	for {
		o := m.objects[f.Relation][m.rng.IntN(len(m.objects[f.Relation]))]
		again := false
		for _, u := range used {
			again = again || u == o
		}
		if o != f.Object && !again {
			return o
		}
	}
}

// draw picks up to n of the facts from (all of them if nil) about other
// subjects, which are those of the training part if f's is.
func (m *editMaker) draw(from []int, n int, f *Fact, ok func(*Fact) bool) []int {
	size := len(from)
	if from == nil {
		size = len(m.facts)
	}
	self := subjectKey(f.Subject)
	var out []int
	taken := map[int]bool{}
	for try := 0; try < 50*n && len(out) < n; try++ {
		j := m.rng.IntN(size)
		if from != nil {
			j = from[j]
		}
		other := subjectKey(m.facts[j].Subject)
		if taken[j] || other == self || !ok(&m.facts[j]) || m.part[self] == 0 && m.part[other] != 0 {
			continue
		}
		taken[j] = true
		out = append(out, j)
	}
	return out
}

func sameKey(f *Fact) string { return fmt.Sprint(f.Relation, "\x00", f.Object) }

func subjectKey(s string) string { return strings.Join(strings.Fields(strings.ToLower(s)), " ") }
