package stats

import (
	"math"
	"slices"
)

// Ratings are what raters said of items, as numbers of categories: Ratings[item][rater],
// with Missing where a rater did not say.
type Ratings [][]int

// Missing marks a rating that was not given.
const Missing = -1

// Agreement is a coefficient of agreement beyond chance with what it rests on.
type Agreement struct {
	Value    float64 // 1 = all agree; 0 = as if by chance
	Observed float64 // share of pairs of ratings of one item that agree
	Items    int     // items with two ratings or more
}

// Cohen is Cohen's κ (1960) of raters a and b over the items both rated. ok is false where
// there are none, or where chance alone would always agree.
func (r Ratings) Cohen(a, b int) (Agreement, bool) {
	var both [][2]int
	for _, item := range r {
		if item[a] != Missing && item[b] != Missing {
			both = append(both, [2]int{item[a], item[b]})
		}
	}
	n := float64(len(both))
	first, second, same := map[int]float64{}, map[int]float64{}, 0.0
	for _, p := range both {
		first[p[0]]++
		second[p[1]]++
		if p[0] == p[1] {
			same++
		}
	}
	chance := 0.0
	for _, c := range categories(first) {
		chance += first[c] / n * second[c] / n
	}
	return kappa(same/n, chance, len(both))
}

// Fleiss is Fleiss' κ (1971) over the items that every rater rated.
func (r Ratings) Fleiss() (Agreement, bool) {
	total, same, items := map[int]float64{}, 0.0, 0
	raters := 0.0
	for _, item := range r {
		count := map[int]float64{}
		for _, v := range item {
			count[v]++
		}
		if count[Missing] > 0 || len(item) < 2 {
			continue
		}
		items++
		raters = float64(len(item))
		agree := 0.0
		for _, c := range categories(count) {
			total[c] += count[c]
			agree += count[c] * (count[c] - 1)
		}
		same += agree / (raters * (raters - 1))
	}
	n := float64(items)
	chance := 0.0
	for _, c := range categories(total) {
		share := total[c] / (n * raters)
		chance += share * share
	}
	return kappa(same/n, chance, items)
}

func kappa(observed, chance float64, items int) (Agreement, bool) {
	if items == 0 || chance >= 1 {
		return Agreement{Observed: observed, Items: items}, false
	}
	return Agreement{(observed - chance) / (1 - chance), observed, items}, true
}

// Distance tells how far apart two categories are; count[c] is how often category c was
// given in all.
type Distance func(a, b int, count []float64) float64

// Nominal counts every disagreement alike.
func Nominal(a, b int, _ []float64) float64 {
	if a == b {
		return 0
	}
	return 1
}

// Ordinal counts a disagreement by what lies between, as Krippendorff does for ranks.
func Ordinal(a, b int, count []float64) float64 {
	if a > b {
		a, b = b, a
	}
	d := -(count[a] + count[b]) / 2
	for c := a; c <= b; c++ {
		d += count[c]
	}
	return d * d
}

// Squared is the interval metric: the squared difference of the categories' numbers.
func Squared(a, b int, _ []float64) float64 { return float64((a - b) * (a - b)) }

// Krippendorff is Krippendorff's α (2011, "Computing Krippendorff's Alpha-Reliability"),
// which takes any number of raters and missing ratings. weight counts an item as often; nil
// is once each. ok is false where no item has two ratings or all ratings are the same.
func (r Ratings) Krippendorff(d Distance, weight []float64) (Agreement, bool) {
	top := 0
	for _, item := range r {
		for _, v := range item {
			top = max(top, v+1)
		}
	}
	coincidence := make([][]float64, top)
	for c := range coincidence {
		coincidence[c] = make([]float64, top)
	}
	items := 0
	for i, item := range r {
		given, w := 0, 1.0
		for _, v := range item {
			if v != Missing {
				given++
			}
		}
		if weight != nil {
			w = weight[i]
		}
		if given < 2 || w == 0 {
			continue
		}
		items++
		for a, va := range item {
			for b, vb := range item {
				if a != b && va != Missing && vb != Missing {
					coincidence[va][vb] += w / float64(given-1)
				}
			}
		}
	}
	count, n := make([]float64, top), 0.0
	for c, row := range coincidence {
		for _, v := range row {
			count[c] += v
			n += v
		}
	}
	var observed, expected, same float64
	for a := range coincidence {
		same += coincidence[a][a]
		for b := range coincidence {
			observed += coincidence[a][b] * d(a, b, count)
			expected += count[a] * count[b] * d(a, b, count)
		}
	}
	if items == 0 || n < 2 || expected == 0 {
		return Agreement{Observed: same / math.Max(n, 1), Items: items}, false
	}
	return Agreement{1 - (n-1)*observed/expected, same / n, items}, true
}

// categories are the keys of a count in order, without [Missing].
func categories(count map[int]float64) []int {
	var keys []int
	for c := range count {
		if c != Missing {
			keys = append(keys, c)
		}
	}
	slices.Sort(keys)
	return keys
}
