package export_test

import (
	"math"
	"testing"

	"stargate/export"
)

func TestWeighting(t *testing.T) {
	margins := []float64{0.1, 0.3, 0, -0.2, 5}
	for _, tt := range []struct {
		w    export.Weighting
		want []float64 // before the mean is made 1
	}{
		{export.Uniform, []float64{1, 1, 1, 1, 1}},
		// In proportion to 0.1, 0.3, 0, 0, 5: mean 1.08; the last is cut at 2, the zeros raised to 0.001.
		{export.Weighting{Kind: "margin", Most: 2}, []float64{0.1 / 1.08, 0.3 / 1.08, 0.001, 0.001, 2}},
		{export.Weighting{Kind: "margin", Most: 100}, []float64{0.1 / 1.08, 0.3 / 1.08, 0.001, 0.001, 5 / 1.08}},
		{export.Weighting{Kind: "exp", Temperature: 1e12, Most: 100}, []float64{1, 1, 1, 1, 1}},
		{export.Weighting{Kind: "exp", Temperature: 2, Most: 100}, []float64{math.Exp(0.05), math.Exp(0.15), 1, math.Exp(-0.1), math.Exp(2.5)}},
	} {
		got, err := tt.w.Of(margins)
		if err != nil {
			t.Fatal(err)
		}
		mean := 0.0
		for _, x := range tt.want {
			mean += x / float64(len(tt.want))
		}
		for i, x := range tt.want {
			if math.Abs(got[i]-x/mean) > 1e-9 {
				t.Errorf("%v: weight %d is %g, want %g", tt.w, i, got[i], x/mean)
			}
		}
	}
	if got, err := (export.Weighting{Kind: "margin", Most: 10}).Of([]float64{0, 0, -1}); err != nil || got[0] != 1 || got[2] != 1 {
		t.Errorf("no margin above 0: %v, %v", got, err)
	}
	// Far from each other, nothing overflows and nothing is lost.
	if got, err := (export.Weighting{Kind: "exp", Temperature: 1e-3, Most: 10}).Of([]float64{-800, 0, 800}); err != nil || !(got[0] > 0) || math.IsInf(got[2], 0) {
		t.Errorf("far apart: %v, %v", got, err)
	}
	for _, w := range []export.Weighting{{}, {Kind: "margin"}, {Kind: "exp", Most: 2}, {Kind: "exp", Most: 0.5, Temperature: 1}} {
		if _, err := w.Of(margins); err == nil {
			t.Errorf("%+v was taken", w)
		}
	}
	if _, err := export.Uniform.Of([]float64{math.NaN()}); err == nil {
		t.Error("a margin that is no number was taken")
	}
}
