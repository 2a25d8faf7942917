package runner

import (
	"fmt"
	"testing"

	"stargate"
	"stargate/lm/remote"
	"stargate/trainer/tinker"
)

// Enough pairs are under way for the places of all servers that play, and never fewer than the
// default.
func TestPairsAtOnce(t *testing.T) {
	at := func(concurrency int, urls ...string) Player {
		return Player{Role: remote.Role{URLs: urls, Concurrency: concurrency}}
	}
	var eight []string
	for i := range 8 {
		eight = append(eight, fmt.Sprintf("http://gpu%d", i))
	}
	q, s, small, many := at(0, "http://q"), at(0, "http://s"), at(64, "http://q"), at(0, eight...)
	for what, c := range map[string]struct {
		roles   Roles
		samples int
		named   int
		sampled bool
		want    int
	}{
		"no server":                       {samples: 10, want: 32},
		"one server for all":              {roles: Roles{Questioner: &q}, samples: 10, want: 32},
		"the same, two samples":           {roles: Roles{Questioner: &q}, samples: 2, want: 128},
		"a server for each role":          {roles: Roles{Questioner: &q, Scorer: &s, Roleplayer: []Player{at(1024, "http://r")}}, samples: 10, want: 77},
		"one that takes little":           {roles: Roles{Questioner: &small}, samples: 1, want: 64},
		"eight servers":                   {roles: Roles{Questioner: &many}, samples: 10, want: 205},
		"eight servers, one sample":       {roles: Roles{Questioner: &many}, samples: 1, want: 512},
		"a judge asks in no conversation": {roles: Roles{Judge: []Player{q}}, samples: 1, want: 32},
		"policies on a Tinker server":     {roles: Roles{Roleplayer: []Player{q}}, samples: 2, sampled: true, want: 160},
		"a number of its own":             {roles: Roles{Questioner: &many}, samples: 1, named: 3, want: 3},
	} {
		e := Experiment{Roles: c.roles, Algorithm: stargate.Paper()}
		e.Algorithm.Samples = c.samples
		if c.named > 0 {
			e.Algorithm.Concurrency = c.named
		}
		if c.sampled {
			e.Trainer.Tinker = &TinkerSpec{Config: tinker.Config{}, Sample: true}
		}
		if got := e.pairsAtOnce(); got != c.want {
			t.Errorf("%s: %d pairs at once, want %d", what, got, c.want)
		}
	}
}
