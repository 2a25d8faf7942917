package stargate

import "testing"

func TestDroppedIsTold(t *testing.T) {
	counts := map[Outcome]int{Outcome(Empty): 1, Outcome(NoQuestion): 2}
	if got, want := tellDropped(counts), "2 × no-question, 1 × empty"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
