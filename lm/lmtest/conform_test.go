package lmtest_test

import (
	"testing"

	"stargate/lm/lmtest"
)

// The scripted model keeps the contracts too, so that code tested with it meets no other
// behaviour than a driver's.
func TestScriptConforms(t *testing.T) {
	lmtest.Conform(t, func(*testing.T) lmtest.Model { return &lmtest.Script{Context: 500} })
}
