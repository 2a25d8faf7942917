package jinja

import (
	"errors"
	"strings"
	"testing"
)

// hostile are templates that would take for ever, all memory, or the stack.
var hostile = map[string]string{
	"a long loop":              `{% for i in range(1000000000000) %}{% endfor %}`,
	"loops in loops":           `{% for i in range(9999) %}{% for j in range(9999) %}{% for k in range(9999) %}{% endfor %}{% endfor %}{% endfor %}`,
	"doubling":                 `{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}`,
	"doubling by +":            `{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}`,
	"doubling lists":           `{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}`,
	"one expression":           `{% set x = s * 9000 %}{{ ` + strings.Repeat(`x ~ `, 4000) + `x }}`,
	"repetition":               `{{ 'a' * 10000000000 }}`,
	"repetition that overflow": `{{ 'abc' * 9223372036854775807 }}`,
	"lists":                    `{{ [1, 2, 3] * 9223372036854775807 }}`,
	"laughs":                   `{% set ns = namespace(x=['lol']) %}{% for i in range(40) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}`,
	"equal laughs":             `{% set ns = namespace(x=['lol'], y=['lol']) %}{% for i in range(40) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}`,
	"itself":                   `{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}`,
	"a list round itself":      `{% set ns = namespace() %}{% set ns.a = [ns] %}{{ ns.a }}`,
	"deep":                     `{% set ns = namespace(x=[]) %}{% for i in range(90000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}`,
	"deep JSON":                `{% set ns = namespace(x=[]) %}{% for i in range(90000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x | tojson }}`,
	"recursion":                `{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}`,
	"mutual recursion":         `{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}`,
	"a tree of macros":         `{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(50) }}`,
	"growing macros":           `{% macro f(x) %}{{ x }}{{ x }}{% endmacro %}{{ ` + strings.Repeat("f(", 40) + `'abc'` + strings.Repeat(")", 40) + ` }}`,
	"replacement":              `{% set x = 'a' * 900000 %}{{ x | replace('a', x) }}`,
	"replacement by a method":  `{% set x = 'a' * 900000 %}{{ x.replace('a', x) }}`,
	"joining":                  `{% set x = 'a' * 900000 %}{{ range(9999) | join(x) }}`,
	"joining by a method":      `{% set x = 'a' * 900000 %}{{ x.join((range(9999) | map('string'))) }}`,
	"indentation":              `{{ ('\n' * 9999) | indent(1000000000) }}`,
	"indentation by a text":    `{{ ('\n' * 90000) | indent('a' * 90000, blank=true) }}`,
	"JSON":                     `{{ [1] | tojson(indent=1000000000) }}`,
	"JSON with commas":         `{{ (range(90000) | list) | tojson(separators=['a' * 9999, 'b']) }}`,
	"searching lists":          `{% set l = range(16000) | list %}{% for i in l %}{% for j in l %}{% if 'x' in l %}{% endif %}{% endfor %}{% endfor %}`,
	"a long text":              `{% for i in range(16000) %}{{ 'a' * 9999 }}{% endfor %}`,
	"a long block":             `{% set x %}{% for i in range(16000) %}{{ 'a' * 9999 }}{% endfor %}{% endset %}`,
	"stripping":                `{{ ('a' * 900000).strip('b' * 900000 + 'a') }}`,
	"brackets":                 `{{ ` + strings.Repeat("(", 9999) + `1` + strings.Repeat(")", 9999) + ` }}`,
	"lists in lists":           `{{ ` + strings.Repeat("[", 3000) + `1` + strings.Repeat("]", 3000) + ` }}`,
	"not":                      `{{ ` + strings.Repeat("not ", 3000) + `1 }}`,
	"minus":                    `{{ ` + strings.Repeat("- ", 3000) + `1 }}`,
	"calls":                    `{{ a` + strings.Repeat("(a", 3000) + strings.Repeat(")", 3000) + ` }}`,
	"conditions":               `{{ 1` + strings.Repeat(" if 0 else 1", 1000) + ` }}`,
	"attributes":               `{{ d` + strings.Repeat(".b", 4000) + ` }}`,
	"filters":                  `{{ 'a'` + strings.Repeat("|upper", 4000) + ` }}`,
	"tokens":                   `{{ 1` + strings.Repeat("+1", 30000) + ` }}`,
	"blocks":                   strings.Repeat("{% if true %}", 3000) + strings.Repeat("{% endif %}", 3000),
	"set blocks":               strings.Repeat("{% set x %}", 3000) + strings.Repeat("{% endset %}", 3000),
	"size":                     strings.Repeat("a", maxSource+1),
}

func TestHostileTemplatesEnd(t *testing.T) {
	for name, source := range hostile {
		text, err := render(source, 1<<18)
		if !errors.Is(err, ErrLimit) && !(name == "itself" || name == "a list round itself") || err == nil {
			t.Errorf("%s: %d bytes, %v", name, len(text), err)
		}
	}
}

// Chains are no nesting.
func TestLongChains(t *testing.T) {
	for name, source := range map[string]string{
		"sum": `{{ 1` + strings.Repeat("+1", 4000) + ` }}`, "and": `{{ 1` + strings.Repeat(" and 1", 4000) + ` }}`, "text": `{{ 'a'` + strings.Repeat(" ~ 'a'", 4000) + ` }}`,
		"less": `{{ 1` + strings.Repeat(" <= 1", 4000) + ` }}`, "elif": `{% if 0 %}` + strings.Repeat("{% elif 0 %}", 9000) + `{% endif %}`,
		"list": `{{ [` + strings.Repeat("1,", 4000) + `]|length }}`,
	} {
		if _, err := render(source, 1<<20); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The same rendering takes the same steps, and one step less is too few.
func TestStepsAreExact(t *testing.T) {
	const source = `{% for m in messages %}{{ m.content | trim }}{% endfor %}`
	enough := 0
	for steps := 1; ; steps++ {
		if _, err := render(source, steps); err == nil {
			enough = steps
			break
		}
	}
	for range 3 {
		if _, err := render(source, enough-1); !errors.Is(err, ErrLimit) {
			t.Errorf("with %d steps: %v", enough-1, err)
		}
	}
	t.Logf("%d steps", enough)
}

func TestErrorsTellTheLine(t *testing.T) {
	for source, want := range map[string]string{
		"a\n{{ 1 }}\n{{ missing.x }}": "line 3: missing is undefined", "\n\n{% nosuch %}": `line 3: the tag "nosuch" is not supported`, "{# a\nb #}\n{{ 'x\ny' + 1 }}": "line 3: str + int cannot be computed",
		"{% if true %}\n{% raise_exception('x') %}": `line 2: the tag "raise_exception" is not supported`, "a\n{% for x in [] %}\n\n": "line 2: for has no end",
	} {
		if _, err := render(source, 1000); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", source, err, want)
		}
	}
	var raised *RaisedError
	if _, err := render(`{{ raise_exception('no') }}`, 100); !errors.As(err, &raised) || raised.Message != "no" {
		t.Errorf("raised: %v", err)
	}
}
