package stargate

import "testing"

func TestDroppedIsTold(t *testing.T) {
	all := []Candidates{
		{Dropped: []Conversation{{Outcome: Outcome(Empty)}, {Outcome: Outcome(NoQuestion)}}},
		{Dropped: []Conversation{{Outcome: Outcome(NoQuestion)}}},
	}
	if got, want := tellDropped(all), "2 × no-question, 1 × empty"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
