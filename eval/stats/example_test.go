package stats_test

import (
	"fmt"

	"stargate/eval/stats"
)

// Two systems on the same pairs: differences pair by pair, errors clustered by task and
// persona, and a bootstrap that draws tasks and personas again.
func Example() {
	var differences []stats.Observation
	for _, task := range []string{"trip", "dinner", "gift", "room"} {
		for j, persona := range []string{"Ann", "Ben", "Cara"} {
			differences = append(differences, stats.Observation{Task: task, Persona: persona, Value: float64(len(task)) + float64(j)})
		}
	}
	e := stats.Mean(differences)
	low, high := e.Interval()
	fmt.Printf("%.2f ± %.2f [%.2f, %.2f], n = %d, p = %.3f\n", e.Mean, e.SEM, low, high, e.N, e.P(0))
	interval, _, ok := stats.Cross(differences).Studentised(stats.Resampling{Seed: 1, Resamples: 1000}, 0)
	fmt.Println(ok, interval.Low < e.Mean && e.Mean < interval.High)
	fmt.Printf("300 comparisons can tell %.0f points\n", 100*stats.PowerOfShare(300, 0, 1).HalfWidth)
	// Output:
	// 5.50 ± 0.67 [3.26, 7.74], n = 12, p = 0.005
	// true true
	// 300 comparisons can tell 6 points
}
