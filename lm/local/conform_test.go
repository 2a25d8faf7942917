package local

import (
	"testing"

	"stargate/lm/lmtest"
)

func TestConforms(t *testing.T) {
	lmtest.Conform(t, func(t *testing.T) lmtest.Model { return newTestModel(t, Options{Workers: 2}) })
}
