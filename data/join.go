package data

import "fmt"

// Join says how an answer follows its prompt. The rule itself is package
// text's.
type Join string

// The ways to join. Auto, the default, is the empty one.
const (
	JoinAuto  Join = ""      // a space where the writing system has one there
	JoinSpace Join = "space" // always a space
	JoinNone  Join = "none"  // nothing
)

// ParseJoin reads auto, space or none; "" is auto.
func ParseJoin(s string) (Join, error) {
	switch s {
	case "", "auto":
		return JoinAuto, nil
	case string(JoinSpace), string(JoinNone):
		return Join(s), nil
	}
	return "", fmt.Errorf("join: %q is none of auto, space, none", s)
}

// String is the name by which ParseJoin knows it.
func (j Join) String() string {
	if j == JoinAuto {
		return "auto"
	}
	return string(j)
}

// occurrences are the values of Edit.Occurrence.
func occurrences() []string { return []string{"", "first", "last"} }

// settle takes over what the set says where the record does not.
func (e *Edit) settle(o Options) {
	if e.Join == JoinAuto {
		e.Join, _ = ParseJoin(string(o.Join))
	}
	if e.Occurrence == "" && e.Template == "" {
		e.Occurrence = o.Occurrence
	}
	if e.Chain != nil {
		for i := range e.Chain.Edits {
			e.Chain.Edits[i].settle(Options{Join: e.Join, Occurrence: o.Occurrence})
		}
	}
}
