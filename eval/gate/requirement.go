package gate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
)

var (
	// ErrSyntax: the text is no requirement.
	ErrSyntax = errors.New("not a requirement")
	// ErrUndecided: the run did not measure what the requirement names.
	ErrUndecided = errors.New("cannot be decided")
)

// Requirement is a condition over [Values].
type Requirement struct {
	text  string
	names []string // that it uses, in order of appearance
}

// functions are the only ones there are.
var functions = []string{"abs", "min", "max"}

// operators are the only ones there are.
var operators = []string{"+", "-", "*", "/", "<", "<=", ">", ">=", "==", "!=", "and", "&&", "or", "||", "not", "!"}

// longest is more than anybody writes.
const longest = 2000

// Parse reads a requirement. It fails with [ErrSyntax], in words that say what and where.
func Parse(text string) (Requirement, error) {
	r := Requirement{text: strings.TrimSpace(text)}
	if r.text == "" {
		return r, fmt.Errorf("%w: it is empty; write something like \"winrate.m2.lower > 0.5\"", ErrSyntax)
	}
	if len(r.text) > longest {
		return r, fmt.Errorf("%w: it has %d characters, at most %d make sense", ErrSyntax, len(r.text), longest)
	}
	tree, err := parser.Parse(r.text)
	if err != nil {
		return r, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	v := &visitor{}
	v.visit(tree.Node)
	if v.err != nil {
		return r, fmt.Errorf("%w: %w in %q", ErrSyntax, v.err, r.text)
	}
	r.names = v.names
	return r, nil
}

// String is the requirement as it was written.
func (r Requirement) String() string { return r.text }

// Used is the value of a name.
type Used struct {
	Name  string `json:"name"`
	Value any    `json:"value"` // float64 or bool
}

// Outcome is a requirement held against a run.
type Outcome struct {
	Requirement string `json:"requirement"`
	Met         bool   `json:"met"`
	Undecided   string `json:"undecided,omitempty"` // why, if it is; then Met is false
	Used        []Used `json:"used"`
}

// Check holds a requirement against values. The error is [ErrUndecided], or [ErrSyntax]
// where the requirement compares what cannot be compared; the outcome says so too.
func (r Requirement) Check(v Values) (Outcome, error) {
	o := Outcome{Requirement: r.text, Used: []Used{}}
	fail := func(kind, err error) (Outcome, error) {
		o.Undecided = err.Error()
		return o, fmt.Errorf("%w: %w", kind, err)
	}
	for _, name := range r.names {
		value, err := v.find(name)
		if err != nil {
			return fail(ErrUndecided, err)
		}
		o.Used = append(o.Used, Used{name, value})
	}
	options := []expr.Option{expr.Env(v.types()), expr.AsBool(), expr.DisableAllBuiltins(),
		expr.Function("quotient", quotient, new(func(float64, float64) float64)), expr.Operator("/", "quotient")}
	for _, f := range functions {
		options = append(options, expr.EnableBuiltin(f))
	}
	program, err := expr.Compile(r.text, options...)
	if err != nil {
		return fail(ErrSyntax, err)
	}
	met, err := expr.Run(program, map[string]any(v))
	if err != nil {
		return fail(ErrUndecided, err)
	}
	o.Met = met.(bool) // AsBool
	return o, nil
}

// quotient is division that does not answer for nothing.
func quotient(p ...any) (any, error) {
	a, b := p[0].(float64), p[1].(float64)
	if b == 0 {
		return nil, errors.New("division by zero")
	}
	return a / b, nil
}

// visitor refuses whatever is not in the language, and collects names.
type visitor struct {
	names []string
	err   error
}

func (v *visitor) visit(node ast.Node) {
	if v.err != nil {
		return
	}
	switch n := node.(type) {
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode:
	case *ast.IdentifierNode, *ast.MemberNode, *ast.ChainNode:
		name, err := dotted(node)
		if err != nil {
			v.err = err
		} else if !slices.Contains(v.names, name) {
			v.names = append(v.names, name)
		}
	case *ast.UnaryNode:
		v.operator(n.Operator)
		v.visit(n.Node)
	case *ast.BinaryNode:
		v.operator(n.Operator)
		if i, ok := n.Right.(*ast.IntegerNode); ok && n.Operator == "/" && i.Value == 0 {
			v.err = errors.New("division by zero")
		}
		v.visit(n.Left)
		v.visit(n.Right)
	case *ast.BuiltinNode:
		v.function(n.Name)
		for _, a := range n.Arguments {
			v.visit(a)
		}
	case *ast.CallNode:
		name, err := dotted(n.Callee)
		if err != nil {
			v.err = err
			return
		}
		v.function(name)
		for _, a := range n.Arguments {
			v.visit(a)
		}
	default:
		v.err = fmt.Errorf("%q is not in the language of requirements: numbers, names, %s, and %s(…)", node.String(), strings.Join(operators, " "), strings.Join(functions, "(…), "))
	}
}

func (v *visitor) operator(op string) {
	if !slices.Contains(operators, op) {
		v.err = fmt.Errorf("there is no operator %q; there are %s", op, strings.Join(operators, " "))
	}
}

func (v *visitor) function(name string) {
	if !slices.Contains(functions, name) {
		v.err = fmt.Errorf("there is no function %s; there are %s", name, strings.Join(functions, ", "))
	}
}

// dotted is a name written a.b.c or a["b"].c.
func dotted(node ast.Node) (string, error) {
	switch n := node.(type) {
	case *ast.IdentifierNode:
		return n.Value, nil
	case *ast.MemberNode:
		property, ok := n.Property.(*ast.StringNode)
		if !ok || n.Optional {
			break
		}
		head, err := dotted(n.Node)
		return head + "." + property.Value, err
	}
	return "", fmt.Errorf("%q is not a name; names look like winrate.m2.lower, or dropped[\"no-question\"]", node.String())
}
