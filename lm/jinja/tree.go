package jinja

// statement is a part of a template's text.
type statement interface{}

// The statements.
type (
	textStatement struct{ text string }
	output        struct {
		line  int
		value expression
	}
	conditional struct {
		tests  []expression // one more body than tests: else
		bodies [][]statement
	}
	loop struct {
		line       int
		targets    []string
		over, test expression
		recursive  bool
		body, none []statement
	}
	assignment struct {
		line    int
		targets []target
		value   expression
		body    []statement // of a block that is taken as text
		filters []call
		block   bool
	}
	definition struct{ macro *macroNode }
	caller     struct { // {% call %}
		line  int
		macro *macroNode
		value expression
	}
	filtered struct { // {% filter %}
		line    int
		filters []call
		body    []statement
	}
	with struct {
		names  []string
		values []expression
		body   []statement
	}
	evaluation struct{ value expression } // {% do %}
	scopeless  struct{ body []statement } // {% generation %}, {% block %}
	jump       struct{ on bool }          // continue, or break
)

// target is a name, or a name's attribute in a namespace.
type target struct{ name, attribute string }

type macroNode struct {
	name     string
	names    []string
	defaults []expression // of the last names
	body     []statement
}

// expression is what has a value.
type expression interface{}

// The expressions.
type (
	constant struct{ value any }
	variable struct {
		name string
		line int
	}
	listOf struct {
		items []expression
		tuple bool
	}
	dictOf struct{ keys, values []expression }
	unary  struct {
		op string
		x  expression
	}
	binary struct {
		op   string
		x, y expression
	}
	compare struct { // a < b <= c
		x   expression
		ops []string
		ys  []expression
	}
	choice    struct{ test, yes, no expression }
	attribute struct {
		x    expression
		name string
	}
	item  struct{ x, key expression }
	slice struct{ x, from, to, step expression }
	call  struct {
		line  int
		x     expression // the function; of filters and tests, what they are put to
		name  string     // of a filter or test
		args  []expression
		names []string // of keyword arguments
		named []expression
	}
	filter struct{ call }
	test   struct {
		call
		not bool
	}
)
