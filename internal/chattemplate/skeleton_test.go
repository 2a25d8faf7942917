package chattemplate

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"stargate/lm"
)

// Whatever a conversation holds, even pieces of the template's own code, the fast way gives
// what Jinja gives.
func TestRenderIsJinja(t *testing.T) {
	for name := range sources(t) {
		t.Run(name, func(t *testing.T) {
			tpl := load(t, name)
			rapid.Check(t, func(t *rapid.T) {
				roles := rapid.SampledFrom([]string{"u", "ua", "uau", "uaua", "su", "suau"}).Draw(t, "roles")
				content := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ \n]?[a-z .?\n]{0,12}[ \n]?`), rapid.SampledFrom(tpl.literals),
					rapid.Custom(func(t *rapid.T) string {
						return strings.Join(rapid.SliceOfN(rapid.SampledFrom(tpl.literals), 1, 4).Draw(t, "literals"), rapid.SampledFrom([]string{"", " ", "\n", "x"}).Draw(t, "between"))
					}))
				var chat []lm.Message
				for _, r := range roles {
					role := map[rune]lm.Role{'u': lm.User, 'a': lm.Assistant, 's': lm.System}[r]
					chat = append(chat, lm.Message{Role: role, Content: content.Draw(t, "content")})
				}
				prompt := rapid.Bool().Draw(t, "prompt")
				want, wantErr := tpl.jinja.render(chat, prompt)
				got, err := tpl.Render(chat, prompt)
				if got != want || (err == nil) != (wantErr == nil) {
					t.Fatalf("%q, %v; Jinja gives %q, %v", got, err, want, wantErr)
				}
			})
		})
	}
}

// The fast way is taken where it can be, and what it must leave to Jinja is known.
func TestSkeletons(t *testing.T) {
	for name, want := range map[string]struct {
		bare  bool
		avoid []string
	}{
		"nano": {bare: true}, "chatml": {bare: true}, "zephyr": {bare: true}, "llama2": {}, "mistral": {}, "llama3": {}, "gemma": {},
		"thinking": {bare: true, avoid: []string{"</think>"}},
	} {
		s := load(t, name).skeleton(chat, false)
		if s == nil {
			t.Errorf("%s: only Jinja renders it", name)
			continue
		}
		if s.bare != want.bare {
			t.Errorf("%s: white space around contents is kept: %t, want %t", name, s.bare, want.bare)
		}
		for _, a := range want.avoid {
			if !strings.Contains(strings.Join(s.avoid, " "), a) {
				t.Errorf("%s: contents with %q are not left to Jinja (only %q)", name, a, s.avoid)
			}
		}
		if len(want.avoid) == 0 && len(s.avoid) > 0 {
			t.Errorf("%s: contents with %q are left to Jinja for no reason", name, s.avoid)
		}
	}
	twice, err := New(`{% for m in messages %}{{ m['content'] + m['content'] }}{% endfor %}`, Vars{})
	if err != nil {
		t.Fatal(err)
	}
	if twice.skeleton(chat, false) != nil {
		t.Error("a template that repeats contents is not a skeleton")
	}
	upper, err := New(`{% for m in messages %}{{ m['content']|upper }}{% endfor %}`, Vars{})
	if err != nil {
		t.Fatal(err)
	}
	if upper.skeleton(chat, false) != nil {
		t.Error("a template that changes contents is not a skeleton")
	}
}

func TestLiterals(t *testing.T) {
	got := strings.Join(literalsOf(`text 'no' {{ '<|a|>\n' + x["role"] }} {% if '</think>' in y %}{# 'no' #}`), "|")
	if want := ` |<|a|>|n| + x[|role|] | if |</think>| in y `; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
