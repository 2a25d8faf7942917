package eval

import "math"

// selfBLEU is the mean BLEU-4 of each text with all others as references.
func selfBLEU(texts [][]string) float64 {
	if len(texts) < 2 {
		return 0
	}
	counts := make([][4]map[string]int, len(texts))
	for i, t := range texts {
		for n := range 4 {
			counts[i][n] = map[string]int{}
			for _, g := range ngrams(t, n+1) {
				counts[i][n][g]++
			}
		}
	}
	// The most often that any text has an n-gram, and the most often any other text has it.
	type top struct{ first, second, owner int }
	var most [4]map[string]top
	for n := range 4 {
		most[n] = map[string]top{}
		for i := range texts {
			for g, c := range counts[i][n] {
				t, ok := most[n][g]
				switch {
				case !ok:
					t = top{c, 0, i}
				case c > t.first:
					t = top{c, t.first, i}
				case c > t.second:
					t.second = c
				}
				most[n][g] = t
			}
		}
	}
	sum := 0.0
	for i, t := range texts {
		sum += bleu(t, counts[i], func(n int, g string) int {
			m := most[n][g]
			if m.owner == i {
				return m.second
			}
			return m.first
		}, nearest(texts, i))
	}
	return sum / float64(len(texts))
}

// bleu is BLEU with n-grams up to four (Papineni et al., 2002). reference is how often an
// n-gram is in the reference that has it most; length that of the reference nearest in
// length. Precisions of n-grams that are longer than the text are left out; one without a
// match counts as half a match (smoothing 2 of Chen and Cherry, 2014, halved).
func bleu(words []string, counts [4]map[string]int, reference func(n int, gram string) int, length int) float64 {
	if len(words) == 0 {
		return 0
	}
	logs, orders := 0.0, 0
	for n := range 4 {
		total, matched := 0, 0
		for g, c := range counts[n] {
			total += c
			matched += min(c, reference(n, g))
		}
		if total == 0 {
			continue
		}
		orders++
		p := float64(matched) / float64(total)
		if matched == 0 {
			if n == 0 {
				return 0
			}
			p = 0.5 / float64(total)
		}
		logs += math.Log(p)
	}
	score := math.Exp(logs / float64(orders))
	if c, r := float64(len(words)), float64(length); c < r {
		score *= math.Exp(1 - r/c)
	}
	return score
}

// nearest is the length of the other text nearest in length, the shorter of two.
func nearest(texts [][]string, i int) int {
	best, distance := 0, math.MaxInt
	for j, t := range texts {
		if j == i {
			continue
		}
		d := len(t) - len(texts[i])
		if d < 0 {
			d = -d
		}
		if d < distance || d == distance && len(t) < best {
			best, distance = len(t), d
		}
	}
	return best
}
