package report

import (
	"math"
	"testing"
)

func TestLabelsNeverCover(t *testing.T) {
	labels := []label{{want: 50, at: 50}, {want: 51, at: 51}, {want: 50.5, at: 50.5}, {want: 200, at: 200}, {want: 12, at: 12}, {want: 12, at: 12}}
	spread(labels, 12, 220)
	for i := 1; i < len(labels); i++ {
		if gap := labels[i].at - labels[i-1].at; gap < labelGap-1 {
			t.Errorf("labels %d and %d are %.1f apart, want %.0f", i-1, i, gap, labelGap)
		}
		if labels[i].want < labels[i-1].want {
			t.Errorf("labels %d and %d changed places", i-1, i)
		}
	}
}

func TestNiceTicks(t *testing.T) {
	for _, c := range []struct{ lo, hi, first, last float64 }{{0, 1, 0, 1}, {-24.6, -5.1, -20, -10}, {0, 185, 0, 150}, {-370, -260, -360, -260}} {
		got := niceTicks(c.lo, c.hi, 5)
		if len(got) < 3 || len(got) > 7 || got[0] < c.lo || got[len(got)-1] > c.hi+1e-9 {
			t.Errorf("ticks of %g to %g: %v", c.lo, c.hi, got)
		}
	}
	if got := niceTicks(1, 1, 5); got != nil {
		t.Errorf("ticks of nothing: %v", got)
	}
}

// A value that is no number leaves a hole, not a broken drawing.
func TestDrawLeavesOutWhatIsNotFinite(t *testing.T) {
	c := chart{height: 200, format: nats, lines: []line{{"l", math.NaN(), "grey"}}, series: []series{
		{name: "s", points: []point{{0, 1, 1, 1, "a"}, {1, math.NaN(), 0, 0, "b"}, {2, 2, math.Inf(-1), 3, "c"}}}, {name: "none"}}}
	d := c.draw()
	if len(d.Series) != 1 || len(d.Series[0].Marks) != 2 || len(d.Lines) != 0 {
		t.Errorf("drawn: %+v", d)
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{nats(-359.84), "−359.8"}, {nats(-0.001), "0.00"}, {nats(-7.25), "−7.25"}, {signed(2), "+2.00"}, {signed(-2), "−2.00"}, {signed(0), "0.00"},
		{count(0), "0"}, {count(999), "999"}, {count(1000), "1,000"}, {count(-1234567), "−1,234,567"}, {percent(.826), "83\u00a0%"}, {axis(-0.30000000000000004), "−0.3"}, {plural(1, "pair"), "1 pair"}, {px(-0.01), "0"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
