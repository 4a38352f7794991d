package hypernet

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Update says how the transformed rows of an edit become a change of a weight.
// With rule sum and any network it is MEND; with solve and the identity as
// prior it is MALMEN's ridge regression; with solve and a moment it is the
// minimiser of ‖U·X − D̃‖² + λ·m·tr(Xᵀ·A·X), where A says what must stay.
type Update struct {
	Rule       string  `yaml:"rule" absent:"sum" doc:"sum: the outer products of the rows add up (MEND); solve: each row gets its value, at the least cost under the prior"`
	Values     string  `yaml:"values" absent:"delta" doc:"what the outputs of a row are to change by. delta: its transformed delta; product: times its input's product with the transformed input (MALMEN); square: times the transformed input's square (UltraEdit)"`
	Prior      string  `yaml:"prior" absent:"identity" doc:"what a change costs. identity: alike in every direction; moment: by the second moment of the layer's inputs over the locality texts of training"`
	Ridge      float64 `yaml:"ridge" absent:"0.003" doc:"weight of the prior beside the rows' values: λ·(input width) with a moment, λ with the identity"`
	LearnRidge bool    `yaml:"learn_ridge" absent:"false" doc:"the ridge of each weight is learned, from this one on (MALMEN)"`
	Shrink     float64 `yaml:"shrink" absent:"0.003" doc:"share of the moment's mean diagonal that is added to its diagonal"`
	Rows       string  `yaml:"rows" absent:"all" doc:"rows of the edit that change the weight: all, answer (those that predict the target), subject, subject_last"`
	Reach      float64 `yaml:"reach" absent:"0" doc:"at edit time the values of each edit are scaled up, by at most 8, until its target has this probability behind its own prompt; 0: as they come"`
	Steps      int     `yaml:"steps" absent:"1" doc:"how often an edit is looked at: behind each step but the last, the gradient of the model with what was made so far goes through a network of that step's own, and the values add up"`
	Tokens     int     `yaml:"tokens" absent:"40000" doc:"tokens of locality texts that the moment is taken from, before training"`

	Negatives int     `yaml:"negatives" absent:"0" doc:"other subjects that each edit's own prompt is asked about, in training and at edit time; what the layers answer them has to stay. The names are those of training edits"`
	Weight    float64 `yaml:"negative_weight" absent:"1" doc:"how much a row of a negative weighs beside a row of the edit"`
}

// The rules, priors and choices of rows.
const (
	Sum, Solve       = "sum", "solve"
	Identity, Moment = "identity", "moment"

	Delta, Product, Square = "delta", "product", "square"

	AllRows, AnswerRows, SubjectRows, SubjectLast = "all", "answer", "subject", "subject_last"
)

// MaxSteps bounds how often an edit is looked at.
const MaxSteps = 8

// DefaultUpdate is MEND's.
func DefaultUpdate() Update {
	return Update{Rule: Sum, Values: Delta, Prior: Identity, Ridge: 3e-3, Shrink: 3e-3, Rows: AllRows, Steps: 1, Tokens: 40000, Weight: 1}
}

// Validate reports the first impossible value.
func (u *Update) Validate() error {
	for _, c := range []struct {
		key, value string
		of         []string
	}{
		{"rule", u.Rule, []string{Sum, Solve}},
		{"values", u.Values, []string{Delta, Product, Square}},
		{"prior", u.Prior, []string{Identity, Moment}},
		{"rows", u.Rows, []string{AllRows, AnswerRows, SubjectRows, SubjectLast}},
	} {
		if !slices.Contains(c.of, c.value) {
			return fmt.Errorf("%s: %q is none of %s", c.key, c.value, strings.Join(c.of, ", "))
		}
	}
	switch {
	case u.Rule == Sum && u.Prior != Identity:
		return fmt.Errorf("prior: %s needs rule: solve", u.Prior)
	case !(u.Ridge > 0) || math.IsInf(u.Ridge, 0):
		return fmt.Errorf("ridge: %g is not a positive number", u.Ridge)
	case !(u.Shrink > 0) || math.IsInf(u.Shrink, 0):
		return fmt.Errorf("shrink: %g is not a positive number", u.Shrink)
	case !(u.Reach >= 0) || u.Reach >= 1:
		return fmt.Errorf("reach: %g is no probability below 1", u.Reach)
	case u.Reach > 0 && u.Rule != Solve:
		return fmt.Errorf("reach: only rows that are solved for (rule: solve) can be scaled")
	case u.Steps < 1 || u.Steps > MaxSteps:
		return fmt.Errorf("steps: %d is not from 1 to %d", u.Steps, MaxSteps)
	case u.Steps > 1 && u.Rule != Solve:
		return fmt.Errorf("steps: only values that are solved for (rule: solve) add up over %d steps", u.Steps)
	case u.Tokens < 1:
		return fmt.Errorf("tokens: %d is below 1", u.Tokens)
	case u.Steps > 1 && u.Values != Delta:
		return fmt.Errorf("steps: values that add up over %d steps are those of values: delta", u.Steps)
	case u.Rule != Solve && (u.Values != Delta || u.LearnRidge):
		return fmt.Errorf("values and learn_ridge: they are about rows that are solved for; set rule: solve")
	case u.Negatives < 0:
		return fmt.Errorf("negatives: %d is negative; 0 means none", u.Negatives)
	case u.Negatives > 0 && u.Rule != Solve:
		return fmt.Errorf("negatives: only rows that are solved for (rule: solve) can spare others")
	case !(u.Weight > 0) || math.IsInf(u.Weight, 0):
		return fmt.Errorf("negative_weight: %g is not a positive number", u.Weight)
	}
	return nil
}

// BySubject tells whether the rows are those of the edit's subject.
func (u *Update) BySubject() bool { return u.Rows == SubjectRows || u.Rows == SubjectLast }

// FixedKeys tells whether no parameter changes what Update puts in ũ's place.
func (n *Net) FixedKeys() bool { return n.Config.Update.Rule == Solve && n.Ridges == nil }

// EveryRow tells whether rows of an edit that its loss does not reach count, too.
func (n *Net) EveryRow() bool { return n.kind.traits().pooled && n.Config.Update.Rows == AllRows }

// Reads tells whether cfg's kind of network reads the edits' texts.
func Reads(cfg Config) bool { k := kindOf(cfg.Kind); return k != nil && k.traits().reads }
