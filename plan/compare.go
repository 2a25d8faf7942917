package plan

import (
	"maps"
	"slices"
)

// Error is how far a forecast was from what a run took: forecast minus actual, as a share
// of actual.
type Error struct {
	Role      string  `json:"role"`
	Calls     float64 `json:"calls"`
	TokensIn  float64 `json:"tokens_in"`
	TokensOut float64 `json:"tokens_out"`
}

// Compare sets a forecast against the calls of a finished run.
func (f *Forecast) Compare(actual map[string]Spent) []Error {
	var out []Error
	share := func(forecast, actual int64) float64 {
		if actual == 0 {
			return 0
		}
		return float64(forecast-actual) / float64(actual)
	}
	for _, role := range slices.Sorted(maps.Keys(actual)) {
		a, l := actual[role], f.Roles[role]
		out = append(out, Error{role, share(l.Calls, a.Calls), share(l.TokensIn, a.TokensIn), share(l.TokensOut, a.TokensOut)})
	}
	return out
}
