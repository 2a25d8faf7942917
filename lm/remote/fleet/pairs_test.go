package fleet_test

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"stargate"
	"stargate/internal/simserver"
)

// TestPairsInFlight: how many pairs are under way changes how well servers are used, and no
// result. The table of docs/bench/fleet.md is that with STARGATE_SOAK.
func TestPairsInFlight(t *testing.T) {
	type setting struct{ batch, pairs int }
	tasks, personas, all := 8, 6, []setting{{64, 4}, {64, 32}}
	if os.Getenv("STARGATE_SOAK") != "" {
		tasks, personas, all = 24, 20, nil
		for _, batch := range []int{64, 256, 1024} {
			for _, pairs := range []int{8, 16, 32, 64, 77, 128, 154, 256, 307} {
				all = append(all, setting{batch, pairs})
			}
		}
	}
	took := map[setting]time.Duration{}
	var first []stargate.Selected
	for _, c := range all {
		synctest.Test(t, func(t *testing.T) {
			p := newPlay(t, tasks, personas, "questioner", "roleplayer", "scorer", func(o *simserver.Options) { o.Hardware.Batch = c.batch })
			p.in.Config.Concurrency = c.pairs
			began := time.Now()
			selected := p.run(t).Selected
			took[c] = time.Since(began)
			if first == nil {
				first = selected
			}
			if d := cmp.Diff(first, selected); d != "" {
				t.Errorf("%d pairs in flight select other conversations:\n%s", c.pairs, d)
			}
			t.Logf("batch %d, %d pairs in flight: %v", c.batch, c.pairs, took[c].Round(time.Second))
			for name, s := range p.servers {
				r := s.Report()
				t.Logf("  %-10s %6d requests, %5.1f %% of its maximum, %5.1f %% from cache", name, r.Requests, 100*r.Least.Seconds()/took[c].Seconds(), 100*float64(r.Cached)/float64(r.Prompt))
			}
		})
	}
	if few, usual := took[all[0]], took[setting{64, 32}]; usual >= few {
		t.Errorf("%v with %d pairs in flight, %v with 32", few, all[0].pairs, usual)
	}
}
