package build

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"stargate"
	"stargate/lm"
)

func goldPairs(tasks, personas int) []stargate.Pair {
	var out []stargate.Pair
	for j := range personas {
		for i := range tasks {
			out = append(out, stargate.Pair{Task: stargate.Task{ID: fmt.Sprintf("t%d", i), Text: fmt.Sprintf("Task %d.", i)},
				Persona: stargate.Persona{ID: fmt.Sprintf("p%d", j), Name: "N", Text: fmt.Sprintf("Person %d.", j)}})
		}
	}
	return out
}

// Golds come in the order of the pairs whoever answers first; a flawed one is drawn again,
// warmer; a pair whose draws are used up is excluded and listed.
func TestGoldResponses(t *testing.T) {
	oracle := &scripted{answer: func(text string, s lm.Sampling) (lm.Completion, error) {
		time.Sleep(time.Duration(rand.N(200)) * time.Microsecond)
		switch {
		case strings.Contains(text, "Task 0.") && strings.Contains(text, "Person 1."):
			return says("I can't help with that.")
		case strings.Contains(text, "Task 3.") && s.Temperature == 0:
			return lm.Completion{Text: "Half of a", Finish: lm.FinishLength}, nil
		case strings.Contains(text, "Task 4.") && s.Temperature == 0:
			return says(" ")
		case strings.Contains(text, "Task 5.") && s.Temperature == 0:
			return lm.Completion{}, lm.ErrRefused
		}
		return says(fmt.Sprintf(" Well, %s ", text[:20]))
	}}
	pairs := goldPairs(6, 3)
	in := PaperGold()
	in.Oracle, in.Prompts, in.Pairs = oracle, prompts(t), pairs
	var got []Gold
	in.Emit = func(g Gold) error { got = append(got, g); return nil }
	report, err := GoldResponses(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range got {
		if g.Task+"/"+g.Persona != pairs[i].Key() {
			t.Errorf("result %d is of %s/%s, want %s", i, g.Task, g.Persona, pairs[i].Key())
		}
		if (g.Text == "") != (g.Excluded != "") || g.Text != strings.TrimSpace(g.Text) {
			t.Errorf("%+v", g)
		}
	}
	if len(got) != 18 || report.Made != 17 || len(report.Excluded) != 1 || len(report.Excluded[0].Flaws) != 4 || report.Redrawn != 9 {
		t.Errorf("%d golds, %+v", len(got), report)
	}
	if want := map[Flaw]int{stargate.Refused: 7, stargate.Truncated: 3, stargate.Empty: 3}; !reflect.DeepEqual(report.Flaws, want) {
		t.Errorf("flaws %v, want %v", report.Flaws, want)
	}
	// Asked ahead in waves, it is the same, and each wave holds only what is still open.
	first := got
	got = nil
	var waves []int
	in.Ahead = func(_ context.Context, asks []Ask) error { waves = append(waves, len(asks)); return nil }
	if _, err := GoldResponses(t.Context(), in); err != nil || !reflect.DeepEqual(got, first) {
		t.Errorf("asked ahead: %v", err)
	}
	if want := []int{18, 10, 1, 1}; !reflect.DeepEqual(waves, want) {
		t.Errorf("waves of %v, want %v", waves, want)
	}
}

func TestGoldResponsesStopAtAnError(t *testing.T) {
	down := errors.New("the server is down")
	in := PaperGold()
	in.Prompts, in.Pairs = prompts(t), goldPairs(40, 2)
	in.Oracle = &scripted{answer: func(text string, _ lm.Sampling) (lm.Completion, error) {
		if strings.Contains(text, "Task 30.") {
			return lm.Completion{}, down
		}
		return says("Well.")
	}}
	n := 0
	in.Emit = func(Gold) error { n++; return nil }
	if _, err := GoldResponses(t.Context(), in); !errors.Is(err, down) || !strings.Contains(err.Error(), "t30/p") || n > 30 {
		t.Errorf("%v after %d golds", err, n)
	}
	full := errors.New("the disk is full")
	in.Pairs, in.Emit = goldPairs(5, 1), func(Gold) error { return full }
	if _, err := GoldResponses(t.Context(), in); !errors.Is(err, full) {
		t.Errorf("an error of Emit: %v", err)
	}
	in.Again.Temperature = 0
	if _, err := GoldResponses(t.Context(), in); err == nil || !strings.Contains(err.Error(), "temperature 0") {
		t.Errorf("greedy redraws: %v", err)
	}
}

// What helpful answers begin with is no refusal.
func TestDeclines(t *testing.T) {
	for text, want := range map[string]Flaw{
		"I'm sorry to hear that your plants died. Water them less.": "",
		"I can help with that! First, choose a pot.":                "",
		"I’m sorry, but I can't help with this request.":            stargate.Refused,
		"Unfortunately, I am unable to assist with that.":           stargate.Refused,
		"As an AI language model, I do not have opinions.":          stargate.Refused,
		"Sorry, but I cannot continue.":                             stargate.Refused,
		"I won't sugarcoat it: the marathon is hard.":               "",
	} {
		if got := flawOf(lm.Completion{Text: text, Finish: lm.FinishStop}); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
