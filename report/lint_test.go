package report

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	tag       = regexp.MustCompile(`<(/?)([a-zA-Z][a-zA-Z0-9]*)((?:\s+[^<>"]*(?:"[^"]*")?)*?)\s*(/?)>`)
	idAttr    = regexp.MustCompile(`\sid="([^"]*)"`)
	refAttr   = regexp.MustCompile(`\s(?:aria-labelledby|for)="([^"]*)"`)
	linkAttr  = regexp.MustCompile(`\shref="#([^"]*)"`)
	rawText   = regexp.MustCompile(`(?s)<(style|script)>.*?</(?:style|script)>`)
	voidNames = []string{"meta", "link", "input", "br"}
)

// lint checks a page well enough for one that this package writes: elements nest, ids are
// unique, references hold, tables have captions and headers have scopes.
func lint(page string) []string {
	var out, open []string
	ids := map[string]int{}
	page = rawText.ReplaceAllString(page, "<$1></$1>")
	for _, m := range tag.FindAllStringSubmatch(page, -1) {
		closing, name, attrs, alone := m[1] != "", m[2], m[3], m[4] != ""
		if id := idAttr.FindStringSubmatch(attrs); id != nil {
			ids[id[1]]++
		}
		if name == "th" && !closing && !strings.Contains(attrs, "scope=") {
			out = append(out, "a header cell without scope: "+m[0])
		}
		switch {
		case alone || slices.Contains(voidNames, name):
		case !closing:
			open = append(open, name)
		case len(open) == 0 || open[len(open)-1] != name:
			return append(out, fmt.Sprintf("</%s> closes %v", name, open))
		default:
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		out = append(out, fmt.Sprintf("never closed: %v", open))
	}
	for id, n := range ids {
		if n > 1 {
			out = append(out, fmt.Sprintf("id %q is there %d times", id, n))
		}
	}
	for _, m := range refAttr.FindAllStringSubmatch(page, -1) {
		for _, id := range strings.Fields(m[1]) {
			if ids[id] == 0 {
				out = append(out, fmt.Sprintf("reference to id %q, which is not there", id))
			}
		}
	}
	for _, m := range linkAttr.FindAllStringSubmatch(page, -1) {
		if ids[m[1]] == 0 {
			out = append(out, fmt.Sprintf("link to #%s, which is not there", m[1]))
		}
	}
	if a, b := strings.Count(page, "<table"), strings.Count(page, "<caption>"); a != b {
		out = append(out, fmt.Sprintf("%d tables, %d captions", a, b))
	}
	if a, b := strings.Count(page, `<svg class="chart"`), strings.Count(page, "<desc "); a != b {
		out = append(out, fmt.Sprintf("%d figures, %d descriptions", a, b))
	}
	return out
}
