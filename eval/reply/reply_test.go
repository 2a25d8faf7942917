package reply

import (
	"strings"
	"testing"
)

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                           "plain",
		"<think>a</think> b":              "b",
		"a</think>b":                      "b",
		"<think>a":                        "",
		"say <think>a":                    "say",
		"[THINK]a[/THINK]b":               "b",
		"<|channel|>analysis<|message|>a": "",
		"x<|end|>":                        "x",
		"<thinking>a</thinking>\n\nb</s>": "b",
		"<think></think>\n\nWhere to?":    "Where to?",
		"<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b": "b",
	} {
		if got := Visible(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestRead(t *testing.T) {
	answer := "Boil the pasta for ten minutes. Meanwhile fry garlic in oil, add tomatoes and let it cook down. Mix both, add basil, and serve it with cheese on warm plates for everyone at the table."
	for act, texts := range map[Act][]string{
		Asks: {
			"Where do you live?",
			"Which type of contract are you asking about?",
			"Happy to help! What kind of pizza do you like?",
			"To plan this well I need to know one thing: when are you free?",
			"Clarifying question: \n- How much extra money are you referring to?",
			"What is your budget, and do you have any allergies?",
			"I can do that. Before I start:\n1. Who is it for?\n2. What is your budget?\n3. When do you need it?",
			"Please tell me which of the two contracts you mean.",
			"Could you specify the type of diabetes you are interested in.",
			"Sure, please share your size and colour.",
			"It depends on which bike you have.",
			"Do you mean before the accident",
			"<think>They did not say where.</think>Where are you now?",
			"**Which city?**",
			"您想去哪里？",
			"That is a big topic! Do you want the basics of quantum computing, its history, or the state of the hardware today?",
		},
		Answers: {
			answer,
			answer + " Would you like me to write a shopping list?",
			answer + " Does that help?",
			answer + "\n\nLet me know if you have any other questions!",
			"Paris.",
			"Yes, it was reduced by the committee in 2019.",
			"Why is the sky blue? " + strings.Repeat("Light from the sun is scattered by the air, short waves more than long ones. ", 6),
			"Here is a plan for your trip. Leave from Oslo, travel by tram and spend only ten dollars.",
			"1. Run.\n2. Swim.\n3. Read a book.\nWhat do you think?",
			"```python\nx = input('What is your name?')\nprint(x)\nprint(x)\n```",
			"Is there anything else?",
		},
		Refuses: {
			"I'm sorry, but I can't help with that.",
			"I cannot assist with this request.",
			"Unfortunately, I am unable to provide this. Try a lawyer.",
		},
		Nothing: {"", " \n", "<think>Which city?", "<think>a</think>"},
	} {
		for _, text := range texts {
			if got := Read(text); got != act {
				t.Errorf("%q %s, want %s", text, got, act)
			}
		}
	}
}

// Whatever a text is, it does one of four things, and leading or trailing space changes
// nothing.
func FuzzRead(f *testing.F) {
	for _, s := range []string{"Where?", "No.", "<think>", "Please tell me", "```a?```", "1. a?\n2. b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := Read(text)
		switch got {
		case Asks, Answers, Refuses, Nothing:
		default:
			t.Errorf("%q %s", text, got)
		}
		if again := Read("\n" + text + " \n"); again != got {
			t.Errorf("%q %s, with space around it %s", text, got, again)
		}
	})
}
