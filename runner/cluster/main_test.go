package cluster

import (
	"testing"

	"go.uber.org/goleak"
)

// No test leaves a goroutine behind: pollers, heartbeats, runs that are opened.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
