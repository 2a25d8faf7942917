package jinja

// An expression computes a value; a statement writes text or changes variables.
type (
	expression interface{ eval(*rendering) any }
	statement  interface{ exec(*rendering) flow }
)

// flow is what a statement says about the loop it is in.
type flow uint8

const (
	goOn flow = iota
	breakLoop
	continueLoop
)

type (
	constant struct{ value any }
	variable struct{ name string }
	sequence struct { // a list or a tuple
		items []expression
		tuple bool
	}
	dictionary struct{ keys, values []expression }
	attribute  struct {
		of   expression
		name string
	}
	item  struct{ of, key expression }
	slice struct{ of, start, stop, step expression } // nil where nothing is said
	call  struct {
		function expression
		args     arguments
	}
	filtered struct {
		of     expression
		name   string
		filter filter
		args   arguments
	}
	tested struct {
		of   expression
		test test
		args arguments
	}
	negation struct{ of expression }
	signed   struct {
		of       expression
		negative bool
	}
	logical struct { // first and rest… or first or rest…
		first expression
		rest  []expression
		or    bool
	}
	operation struct { // left-associative, of one precedence
		first expression
		rest  []operand
	}
	comparison struct { // a < b < c is a < b and b < c
		first expression
		rest  []operand
	}
	concatenation struct{ parts []expression }
	conditional   struct{ condition, then, otherwise expression } // otherwise may be nil
)

type operand struct {
	operator string
	value    expression
}

// arguments of a call, a filter or a test.
type arguments struct {
	positional []expression
	names      []string // of the named ones
	named      []expression
}

type (
	verbatim struct{ text string }
	output   struct {
		line  int
		value expression
	}
	branch struct {
		line      int
		condition expression
		then      []statement
		otherwise []statement // a branch again, for elif
	}
	loop struct {
		line      int
		names     []string // more than one: each element is unpacked
		over      expression
		condition expression // nil: every element
		body      []statement
		otherwise []statement
	}
	assignment struct {
		line      int
		names     []string
		attribute string     // of a namespace with the one name
		value     expression // nil: the text of body
		body      []statement
	}
	macro struct {
		line     int
		name     string
		names    []string
		defaults []expression // of the last names
		body     []statement
	}
	generation struct {
		line int
		body []statement
	}
	jump flow
)
