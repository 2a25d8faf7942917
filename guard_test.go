package stargate_test

import (
	"testing"

	"stargate"
	"stargate/lm"
)

func TestCheckQuestion(t *testing.T) {
	pair := stargate.Pair{
		Task:    stargate.Task{Text: "Plan a dinner for me."},
		Persona: stargate.Persona{Name: "Iris", Text: "I grow prize orchids in an old glass house by the sea. I am a nurse."},
	}
	said := []stargate.Turn{{Question: "What do you do at home?", Answer: "I grow prize orchids in an old glass house by the sea."}}
	for _, c := range []struct {
		name, text string
		finish     lm.FinishReason
		so         []stargate.Turn
		want       stargate.Flaw
	}{
		{"good", "What do you like to eat?", "", nil, ""},
		{"good with a remark", "Dinner can be many things. What do you like to eat?", "", nil, ""},
		{"good with courtesy after", "What do you like to eat? Take your time.", "", nil, ""},
		{"doubled mark", "What do you like to eat??", "", nil, ""},
		{"quoted mark", `When you say "dinner", do you mean at home?`, "", nil, ""},
		{"empty", " \n", "", nil, stargate.Empty},
		{"truncated", "What do you like to", lm.FinishLength, nil, stargate.Truncated},
		{"reasoning", "<think>hm</think> What do you like?", "", nil, stargate.ReasoningTags},
		{"speaks as the user", "User: I like fish. What else?", "", nil, stargate.RoleFlip},
		{"speaks as the persona", "Iris: I like fish. Do you?", "", nil, stargate.RoleFlip},
		{"no question", "Have a nice dinner.", "", nil, stargate.NoQuestion},
		{"two questions", "What do you like? Who comes?", "", nil, stargate.SeveralQuestions},
		{"a list", "Sure!\n1. Soup\n2. Fish\nIs that good?", "", nil, stargate.AnswerLeak},
		{"an essay", "Start with soup. Then fish. Then cake. Then tea. Is that good?", "", nil, stargate.AnswerLeak},
		{"an answer after the question", "Shall we begin? I would cook a large pot of soup and then serve fish with lemon and rice and finally cake", "", nil, stargate.AnswerLeak},
		{"leak", "Since you grow prize orchids in an old glass house, do you like salad?", "", nil, stargate.PersonaLeak},
		{"told, so no leak", "Since you grow prize orchids in an old glass house, do you like salad?", "", said, ""},
	} {
		if c.finish == "" {
			c.finish = lm.FinishStop
		}
		if got := stargate.CheckQuestion(lm.Completion{Text: c.text, Finish: c.finish}, pair, c.so); got != c.want {
			t.Errorf("%s: %q is %q, want %q", c.name, c.text, got, c.want)
		}
	}
}

func TestCheckAnswer(t *testing.T) {
	pair := stargate.Pair{Persona: stargate.Persona{Name: "Iris"}}
	for text, want := range map[string]stargate.Flaw{
		"I like fish.": "", "": stargate.Empty, "Iris: I like fish.": stargate.RoleFlip, "Assistant: you like fish": stargate.RoleFlip,
	} {
		if got := stargate.CheckAnswer(lm.Completion{Text: text, Finish: lm.FinishStop}, pair); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// A guard reads whatever a model writes: it must stand anything.
func FuzzCheckQuestion(f *testing.F) {
	f.Add("What?", "I am.")
	f.Add("1. a\n2. b", "")
	f.Fuzz(func(t *testing.T, text, persona string) {
		p := stargate.Pair{Persona: stargate.Persona{Name: "N", Text: persona}}
		stargate.CheckQuestion(lm.Completion{Text: text, Finish: lm.FinishStop}, p, nil)
	})
}
