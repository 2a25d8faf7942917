package clarify

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stargate/eval/reply"
	"stargate/lm"
	"stargate/lm/lmtest"
)

func read(t *testing.T, f Format, file string) []Item {
	t.Helper()
	in, err := os.Open(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	items, err := Read(f, in)
	if err != nil {
		t.Fatal(err)
	}
	return items
}

func TestClariQ(t *testing.T) {
	want := []Item{
		{"7", "7", "4", lm.Chat{user(`Tell me about "mercury`)}, true, "do you mean the planet"}, // one item a topic; quotes are text
		{"8", "8", "1", lm.Chat{user("How high is Mont Blanc?")}, false, "in feet or metres"},
		{"9", "9", "2", lm.Chat{user("I am interested in bees")}, false, ""},
	}
	if d := cmp.Diff(want, read(t, ClariQ, "clariq.tsv")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestAbgCoQA(t *testing.T) {
	open := "Read this text. I will ask you about it.\n\nAnn has a cat and a dog. The cat is grey. The dog is brown.\n\n"
	want := []Item{
		{"s1|2|1", "s1", "own", lm.Chat{user(open + "Who has animals?"), assistant("Ann"), user("What colour is it?")}, true, "Do you mean the cat?"},
		{"s1|3|1", "s1", "own", lm.Chat{user(open + "What colour is the dog?")}, false, ""},
		{"s2|2|2", "s1", "own", lm.Chat{user(open + "What colour is the dog?"), assistant("brown"), user("And the cat?")}, false, ""}, // another id, the same story
	}
	if d := cmp.Diff(want, read(t, AbgCoQA, "abg-coqa.json")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestPACIFIC(t *testing.T) {
	first := "Here are a table and paragraphs of a financial report. I will ask you about them.\n\n | 2019 | 2018\nRent | 10 | 12\n\nRent is in thousands.\n\nWhat was the rent?"
	got := read(t, PACIFIC, "pacific.json")
	last := got[len(got)-1]
	if d := cmp.Diff(lm.Chat{assistant("-2 thousand"), user("In which years was it more than 9 thousand?"), assistant("2019, 2018"), user("How many years are that?"),
		assistant("2"), user("By how much did it fall?"), assistant("-16.67 percent"), user("Thank you. And before?")}, last.Chat[5:]); d != "" {
		t.Errorf("answers of each kind (-want +got):\n%s", d)
	}
	if !last.Ask || last.Reference != "Before what?" {
		t.Errorf("last turn: %+v", last)
	}
	want := []Item{
		{"q1", "t1", "first turn", lm.Chat{user(first)}, true, "Which year do you mean?"},
		{"q2", "t1", "later turn", lm.Chat{user(first), assistant("Which year do you mean?"), user("2019.")}, false, ""},
		{"q3", "t1", "later turn", lm.Chat{user(first), assistant("Which year do you mean?"), user("2019."), assistant("10 thousand"), user("How much less is that?")}, false, ""},
	}
	if d := cmp.Diff(want, got[:3]); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestIN3(t *testing.T) {
	want := []Item{
		{"in3-1", "Travel", "Travel", lm.Chat{user("Book me a room.")}, true, "In which city?"},
		{"in3-3", "Facts", "Facts", lm.Chat{user("How many metres are in a kilometre?")}, false, ""},
	}
	if d := cmp.Diff(want, read(t, IN3, "in3.jsonl")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestCLAMBER(t *testing.T) {
	want := []Item{
		{"clamber-1", "clamber-1", "MC/whom", lm.Chat{user("Give me a gift idea.")}, true, "For whom?"},
		{"clamber-2", "clamber-2", "LA/co-reference", lm.Chat{user("Ben asked Cara.\n\nWho asked?")}, false, ""},
	}
	if d := cmp.Diff(want, read(t, CLAMBER, "clamber.jsonl")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestOwn(t *testing.T) {
	want := []Item{
		{"a", "g", "", lm.Chat{user("Plan my trip.")}, true, "Where to?"},
		{"line 2", "line 2", "later", lm.Chat{user("Plan my trip."), assistant("Where to?"), user("Oslo, on Friday, by train.")}, false, ""},
	}
	if d := cmp.Diff(want, read(t, JSONL, "own.jsonl")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// A file that is not what it is said to be is refused with the place; a file without labels
// is never scored as answers.
func TestReadRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		f    Format
		text string
		want string
	}{
		"unknown format":      {"squad", "", "there are [clariq"},
		"empty":               {IN3, "\n", "no item"},
		"ClariQ test.tsv":     {ClariQ, "topic_id\tinitial request\n201\tx\n", "without labels cannot be scored"},
		"ClariQ label":        {ClariQ, "topic_id\tinitial_request\tclarification_need\n1\tx\t5\n", "line 2"},
		"ClariQ two labels":   {ClariQ, "topic_id\tinitial_request\tclarification_need\n1\tx\t3\n1\tx\t2\n", "line 3"},
		"PACIFIC test.json":   {PACIFIC, `[{"questions": [{"uid": "q", "question": "x"}]}]`, "take validation.json"},
		"PACIFIC answer":      {PACIFIC, `[{"questions": [{"uid": "q", "question": "x", "req_clari": false}]}]`, "question q"},
		"Abg-CoQA label":      {AbgCoQA, `{"data": [{"id": "a", "ambiguity": "maybe"}]}`, `"maybe"`},
		"Abg-CoQA no JSON":    {AbgCoQA, `{`, "not in this format"},
		"IN3 label":           {IN3, `{"task": "x"}`, `no "vague"`},
		"IN3 no JSON":         {IN3, "{}x", "line 1"},
		"CLAMBER label":       {CLAMBER, `{"question": "x"}`, "require_clarification"},
		"own label":           {JSONL, `{"text": "x"}`, `no "ask"`},
		"own text":            {JSONL, `{"ask": true}`, `"text" or "messages"`},
		"own both":            {JSONL, `{"ask": true, "text": "x", "messages": [{"role": "user", "content": "x"}]}`, `"text" or "messages"`},
		"own unknown field":   {JSONL, `{"ask": true, "txt": "x"}`, "txt"},
		"own twice":           {JSONL, "{\"id\": \"a\", \"ask\": true, \"text\": \"x\"}\n{\"id\": \"a\", \"ask\": true, \"text\": \"y\"}", "item a is there twice"},
		"ends with the model": {JSONL, `{"ask": true, "messages": [{"role": "assistant", "content": "x"}]}`, "does not end with a user's words"},
		"blank":               {IN3, `{"task": " ", "vague": true}`, "does not end with a user's words"},
	} {
		if items, err := Read(c.f, strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v; want %q", name, items, err, c.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, file := range []string{"clariq.tsv", "abg-coqa.json", "pacific.json", "in3.jsonl", "clamber.jsonl", "own.jsonl"} {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, format := range Formats() {
			items, err := Read(format, strings.NewReader(text))
			if err == nil && len(items) == 0 {
				t.Errorf("%s: %q: neither items nor an error", format, text)
			}
		}
	})
}

// decided builds decisions: asks and answers of items that need a question and that do not.
func decided(truePositive, falseNegative, falsePositive, trueNegative, refused int) []Decision {
	var out []Decision
	add := func(n int, ask bool, act reply.Act) {
		for range n {
			id := string(rune('a' + len(out)))
			out = append(out, Decision{Item: id, Group: string(rune('A' + len(out)/2)), Kind: "k", Ask: ask, Act: act})
		}
	}
	add(truePositive, true, reply.Asks)
	add(falseNegative, true, reply.Answers)
	add(falsePositive, false, reply.Asks)
	add(trueNegative, false, reply.Answers)
	add(refused, true, reply.Refuses)
	return out
}

// 6 asked rightly, 2 not asked, 1 asked wrongly, 9 answered rightly, 2 refused: precision
// 6/7, recall 6/10, F1 12/17; answering has precision 9/11 and recall 9/10, F1 18/21.
func TestScoreByHand(t *testing.T) {
	r := ReportOf(decided(6, 2, 1, 9, 2), 1)
	for name, c := range map[string][2]float64{
		"precision": {r.Precision, 6. / 7}, "recall": {r.Recall, 0.6}, "F1": {r.F1, 12. / 17}, "answer F1": {r.AnswerF1, 18. / 21}, "macro F1": {r.MacroF1, (12./17 + 18./21) / 2},
		"accuracy": {r.Accuracy, 15. / 20}, "over-ask": {r.OverAsk.Rate, 0.1}, "under-ask": {r.UnderAsk.Rate, 0.4}, "ask rate": {r.AskRate.Rate, 7. / 20},
		"always": {r.Always.MacroF1, (2. / 3) / 2}, "never": {r.Never.MacroF1, (2. / 3) / 2},
	} {
		if math.Abs(c[0]-c[1]) > 1e-12 {
			t.Errorf("%s is %g, want %g", name, c[0], c[1])
		}
	}
	if r.N != 20 || r.Needed != 10 || r.Refused != 2 || r.Low == nil || *r.Low > r.MacroF1 || *r.High < r.MacroF1 {
		t.Errorf("%+v", r)
	}
	if len(r.Kinds) != 1 || r.Kinds[0].Needed != 10 || r.Kinds[0].Ask.N != 20 {
		t.Errorf("kinds %+v", r.Kinds)
	}
	if again := ReportOf(decided(6, 2, 1, 9, 2), 1); *again.Low != *r.Low {
		t.Error("the same seed gives another interval")
	}
}

// Nothing to ask about, or everything: no rate of what there is none of, and no NaN.
func TestScoreAtTheEdges(t *testing.T) {
	clear := ReportOf(decided(0, 0, 0, 3, 0), 1)
	if clear.UnderAsk != nil || clear.OverAsk.Rate != 0 || clear.F1 != 0 || clear.AnswerF1 != 1 || math.IsNaN(clear.MacroF1) {
		t.Errorf("%+v", clear)
	}
	if none := ReportOf(nil, 1); none.N != 0 || none.AskRate != nil || math.IsNaN(none.Accuracy) {
		t.Errorf("%+v", none)
	}
}

// A sample keeps the order of the file and is the same for the same hash.
func TestSample(t *testing.T) {
	items := read(t, ClariQ, "clariq.tsv")
	hash := func(id string) uint64 { return uint64(10 - id[0]) }
	got := Sample(items, 2, hash)
	if len(got) != 2 || got[0].ID != "8" || got[1].ID != "9" {
		t.Errorf("%v", got)
	}
	if all := Sample(items, 0, hash); len(all) != 3 {
		t.Errorf("%v", all)
	}
}

// The model sees the item's conversation, with the invitation before its last words or
// without; what it refuses is a decision, any other failure ends the run, and the number in
// flight changes nothing.
func TestRun(t *testing.T) {
	items := read(t, JSONL, "own.jsonl")
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		o     Options
		reply func(lm.Chat, lm.Sampling) (string, error)
		want  []reply.Act
		fail  error
		sees  string
	}{
		"invited": {Options{}, func(chat lm.Chat, _ lm.Sampling) (string, error) {
			if len(chat) == 1 {
				return "Where to?", nil
			}
			return "Take the 9:05.", nil
		}, []reply.Act{reply.Asks, reply.Answers}, nil, "ask me one short question about it"},
		"plain":    {Options{Mode: Plain}, func(lm.Chat, lm.Sampling) (string, error) { return "", nil }, []reply.Act{reply.Nothing, reply.Nothing}, nil, ""},
		"own":      {Options{Invitation: "Ask or do."}, func(lm.Chat, lm.Sampling) (string, error) { return "Done.", nil }, []reply.Act{reply.Answers, reply.Answers}, nil, "Ask or do.\n\nPlan my trip."},
		"refused":  {Options{Concurrency: 1}, func(lm.Chat, lm.Sampling) (string, error) { return "", lm.ErrRefused }, []reply.Act{reply.Refuses, reply.Refuses}, nil, ""},
		"too long": {Options{}, func(lm.Chat, lm.Sampling) (string, error) { return "", lm.ErrContextLength }, []reply.Act{reply.Nothing, reply.Nothing}, nil, ""},
		"failure":  {Options{}, func(lm.Chat, lm.Sampling) (string, error) { return "", broken }, nil, broken, ""},
	} {
		m := &lmtest.Script{Reply: c.reply}
		got, err := Run(context.Background(), m, items, c.o)
		if !errors.Is(err, c.fail) {
			t.Errorf("%s: %v", name, err)
		}
		if c.fail != nil {
			continue
		}
		var acts []reply.Act
		for _, d := range got {
			acts = append(acts, d.Act)
		}
		if d := cmp.Diff(c.want, acts); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		seen := ""
		for _, call := range m.Calls() {
			seen += call.Chat[len(call.Chat)-1].Content + "\n"
		}
		if !strings.Contains(seen, c.sees) || name == "plain" && strings.Contains(seen, "question") {
			t.Errorf("%s: the model saw %q", name, seen)
		}
		if items[0].Chat[0].Content != "Plan my trip." {
			t.Errorf("%s: the item changed: %q", name, items[0].Chat[0].Content)
		}
	}
	if _, err := Run(context.Background(), &lmtest.Script{}, items, Options{Mode: "any"}); err == nil {
		t.Error("a mode that there is not: no error")
	}
}
