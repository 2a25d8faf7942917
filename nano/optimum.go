package nano

// Optimum is what a Questioner of this world can reach, averaged over families.
type Optimum struct {
	Chance    float64   `json:"chance"`     // share of relevant questions when any attribute is asked with equal probability
	Relevant  []float64 `json:"relevant"`   // Relevant[k-1]: most relevant facts that k questions can elicit
	AtRandom  []float64 `json:"at_random"`  // AtRandom[k-1]: relevant facts elicited by k different random questions
	BestShare []float64 `json:"best_share"` // BestShare[k-1]: share of relevant questions among the best k
}

// Optimum computes the bounds for conversations of 1..turns questions over the given tasks
// (all families alike when tasks is empty).
func (w *World) Optimum(turns int, tasks []Task) Optimum {
	var counts []int // relevant attributes per task
	for _, t := range tasks {
		counts = append(counts, len(w.Families[w.family[t.Family]].relevant))
	}
	if len(tasks) == 0 {
		for _, f := range w.Families {
			counts = append(counts, len(f.relevant))
		}
	}
	relevant := 0
	for _, c := range counts {
		relevant += c
	}
	n, attributes := float64(len(counts)), float64(len(w.Attributes))
	o := Optimum{Chance: float64(relevant) / n / attributes}
	for k := 1; k <= turns; k++ {
		best := 0
		for _, c := range counts {
			best += min(c, k)
		}
		o.Relevant = append(o.Relevant, float64(best)/n)
		o.BestShare = append(o.BestShare, float64(best)/n/float64(k))
		o.AtRandom = append(o.AtRandom, float64(relevant)/n*min(1, float64(k)/attributes))
	}
	return o
}
