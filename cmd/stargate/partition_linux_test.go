package main

import (
	"math/rand/v2"
	"testing"
	"time"

	"stargate/internal/temporaltest"
)

// A worker on another host is cut off for longer than the run's patience, and comes back when
// others have done its work: Temporal, the object store and the model server are away for it,
// all at once.
func TestDisastersOfANetwork(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	island := temporaltest.NewIsland(t)
	s := newSiteAt(t, true, island.Host())
	s.move = island.Move
	strike(t, s, []disaster{{"a host is cut off", true, func(t *testing.T, _ *performance, _ *rand.Rand) {
		island.Cut(t)
		time.Sleep(15 * time.Second)
		island.Mend(t)
	}}}, 2)
}
