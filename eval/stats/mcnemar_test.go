package stats

import (
	"math"
	"testing"
)

// 3 against 9: P(X ≤ 3) of twelve coins is 299/4096.
func TestMcNemarByHand(t *testing.T) {
	m := NewMcNemar(3, 9)
	if math.Abs(m.Exact-598.0/4096) > 1e-9 || math.Abs(m.MidP-(598.0-220)/4096) > 1e-9 {
		t.Errorf("%+v", m)
	}
	if s := NewMcNemar(9, 3); s.Exact != m.Exact || s.MidP != m.MidP {
		t.Errorf("the order changes p: %+v", s)
	}
	if none := NewMcNemar(0, 0); none.Exact != 1 || none.MidP != 1 {
		t.Errorf("no discordant pairs: %+v", none)
	}
	if even := NewMcNemar(2, 2); even.Exact != 1 || math.Abs(even.MidP-(1-6.0/32)) > 1e-9 {
		t.Errorf("even: %+v", even)
	}
	if one := NewMcNemar(0, 1); one.Exact != 1 {
		t.Errorf("one discordant pair: %+v", one)
	}
}

// Holm's example: 0.01, 0.04, 0.03 of three become 0.03, 0.06, 0.06.
func TestHolm(t *testing.T) {
	got := Holm([]float64{0.01, 0.04, 0.03})
	for i, want := range []float64{0.03, 0.06, 0.06} {
		if math.Abs(got[i]-want) > 1e-12 {
			t.Errorf("%v", got)
		}
	}
	if got := Holm([]float64{0.9, 0.8}); got[0] != 1 || got[1] != 1 {
		t.Errorf("large ones stay at most 1: %v", got)
	}
}
