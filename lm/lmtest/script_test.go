package lmtest_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"stargate/lm"
	"stargate/lm/lmtest"
)

func TestScriptRepliesFromATable(t *testing.T) {
	m := &lmtest.Script{Reply: lmtest.Replies(map[string]string{
		"colour":       "Green.",
		"colour of my": "You never told me. Did you?",
	})}
	for ask, want := range map[string]string{
		"Which colour?":              "Green.",
		"What is the colour of my …": "You never told me.",
	} {
		c, err := m.Generate(t.Context(), lm.Chat{{Role: lm.User, Content: ask}}, lm.Sampling{Stop: []string{" Did"}})
		if err != nil || c.Text != want {
			t.Errorf("reply to %q is %q, %v; want %q", ask, c.Text, err, want)
		}
	}
	if _, err := m.Generate(t.Context(), lm.Chat{{Role: lm.User, Content: "Hm"}}, lm.Sampling{}); err == nil || !strings.Contains(err.Error(), `"Hm"`) {
		t.Errorf("error of an unknown message is %v; it should quote the message", err)
	}
	if n := len(m.Calls()); n != 3 {
		t.Errorf("%d calls recorded, want 3", n)
	}
}

func TestScriptTuneKeepsTheScript(t *testing.T) {
	m := &lmtest.Script{}
	chat := lm.Chat{{Role: lm.User, Content: "Hello"}, {Role: lm.Assistant, Content: "Who are you?"}}
	tuned, log, err := m.Tune(t.Context(), "m1", []lm.Example{{Key: "e", Messages: chat, Loss: []int{1}}}, lm.PaperHyper())
	if err != nil || log.Examples != 1 || log.Tokens != 4 {
		t.Fatalf("log %+v, error %v; want one example of 4 tokens", log, err)
	}
	a, errA := m.Generate(t.Context(), chat[:1], lm.Sampling{})
	b, errB := tuned.Generate(t.Context(), chat[:1], lm.Sampling{})
	if err := errors.Join(errA, errB); err != nil || a.Text == b.Text {
		t.Errorf("base and m1 both say %q (%v); want different models", a.Text, err)
	}
	if _, _, err := m.Tune(t.Context(), "m1", []lm.Example{{Key: "e", Messages: chat}}, lm.PaperHyper()); !errors.Is(err, lm.ErrNoLoss) {
		t.Errorf("all-masked example: %v, want ErrNoLoss", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.LogProb(ctx, chat[:1], "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled call: %v", err)
	}
}
