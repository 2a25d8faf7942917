package stats

import (
	"math"
	"slices"
	"testing"
)

// Krippendorff's own example ("Computing Krippendorff's Alpha-Reliability", 2011, section
// E): four observers, twelve units, some not judged. α is 0.743 nominal, 0.815 ordinal and
// 0.849 interval.
func TestKrippendorffPublished(t *testing.T) {
	const x = 0 // not judged
	observers := [4][12]int{
		{1, 2, 3, 3, 2, 1, 4, 1, 2, x, x, x},
		{1, 2, 3, 3, 2, 2, 4, 1, 2, 5, x, 3},
		{x, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, x},
		{1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, x},
	}
	r := make(Ratings, 12)
	for u := range r {
		for _, o := range observers {
			r[u] = append(r[u], o[u]-1) // "not judged" becomes Missing
		}
	}
	for name, c := range map[string]struct {
		d    Distance
		want float64
	}{"nominal": {Nominal, 0.743}, "ordinal": {Ordinal, 0.815}, "interval": {Squared, 0.849}} {
		a, ok := r.Krippendorff(c.d, nil)
		if !ok || math.Abs(a.Value-c.want) > 5e-4 || a.Items != 11 {
			t.Errorf("%s: %+v, want %g over 11 units", name, a, c.want)
		}
	}
	twice := make([]float64, len(r)) // counting an item twice is having it twice
	for i := range twice {
		twice[i] = 2
	}
	a, _ := r.Krippendorff(Nominal, twice)
	b, _ := append(slices.Clone(r), r...).Krippendorff(Nominal, nil)
	if math.Abs(a.Value-b.Value) > 1e-12 {
		t.Errorf("weights of two: %g, items twice: %g", a.Value, b.Value)
	}
}

// Fleiss' example as it is worked in the literature: ten subjects, fourteen raters, five
// categories; κ = 0.210.
func TestFleissPublished(t *testing.T) {
	counts := [][5]int{
		{0, 0, 0, 0, 14}, {0, 2, 6, 4, 2}, {0, 0, 3, 5, 6}, {0, 3, 9, 2, 0}, {2, 2, 8, 1, 1},
		{7, 7, 0, 0, 0}, {3, 2, 6, 3, 0}, {2, 5, 3, 2, 2}, {6, 5, 2, 1, 0}, {0, 2, 2, 3, 7},
	}
	var r Ratings
	for _, row := range counts {
		var item []int
		for c, n := range row {
			item = append(item, slices.Repeat([]int{c}, n)...)
		}
		r = append(r, item)
	}
	a, ok := r.Fleiss()
	if !ok || math.Abs(a.Value-0.210) > 5e-4 || math.Abs(a.Observed-0.378) > 5e-4 {
		t.Errorf("%+v, want 0.210 with observed agreement 0.378", a)
	}
}

// The usual example of Cohen's κ: 50 proposals, both yes 20, both no 15, the first alone 5,
// the second alone 10; observed 0.7, by chance 0.5, κ = 0.4.
func TestCohenPublished(t *testing.T) {
	var r Ratings
	for _, c := range []struct{ a, b, n int }{{1, 1, 20}, {1, 0, 5}, {0, 1, 10}, {0, 0, 15}, {1, Missing, 7}} {
		r = append(r, slices.Repeat([][]int{{c.a, c.b}}, c.n)...)
	}
	a, ok := r.Cohen(0, 1)
	if !ok || math.Abs(a.Value-0.4) > 1e-12 || a.Observed != 0.7 || a.Items != 50 {
		t.Errorf("%+v", a)
	}
}

// With two raters and nothing missing Fleiss' κ is Scott's π, and Krippendorff's α comes
// near it as items grow: 1-α = (1-π)(1 - 1/2n).
func TestAlphaAndFleissAgree(t *testing.T) {
	var r Ratings
	for i := range 200 {
		a := i % 3
		b := a
		if i%5 == 0 {
			b = (a + 1) % 3
		}
		r = append(r, []int{a, b})
	}
	pi, _ := r.Fleiss()
	alpha, _ := r.Krippendorff(Nominal, nil)
	if want := 1 - (1-pi.Value)*(1-1/400.0); math.Abs(alpha.Value-want) > 1e-12 {
		t.Errorf("α %g, want %g from π %g", alpha.Value, want, pi.Value)
	}
}

// What chance always gives cannot be agreed on beyond chance: no number, not 1 and not NaN.
func TestAgreementUndefined(t *testing.T) {
	same := Ratings{{1, 1}, {1, 1}}
	if a, ok := same.Cohen(0, 1); ok {
		t.Errorf("κ of one category: %+v", a)
	}
	if a, ok := same.Fleiss(); ok {
		t.Errorf("Fleiss of one category: %+v", a)
	}
	if a, ok := same.Krippendorff(Nominal, nil); ok || math.IsNaN(a.Value) {
		t.Errorf("α of one category: %+v", a)
	}
	alone := Ratings{{1, Missing}, {Missing, 0}}
	if a, ok := alone.Krippendorff(Nominal, nil); ok || a.Items != 0 {
		t.Errorf("α of single ratings: %+v", a)
	}
	if a, ok := alone.Cohen(0, 1); ok || math.IsNaN(a.Value) {
		t.Errorf("κ of single ratings: %+v", a)
	}
	if _, ok := (Ratings{}).Fleiss(); ok {
		t.Error("Fleiss of nothing")
	}
}
