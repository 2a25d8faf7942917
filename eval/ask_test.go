package eval

import (
	"context"
	"fmt"
	"maps"
	"testing"

	"stargate"
	"stargate/lm/lmtest"
)

// What shards ask for is what the evaluation asks for: nothing is missing, and nothing more
// is made, however the pairs are cut.
func TestAskMakesTheCallsOfRun(t *testing.T) {
	calls := func(do func(in Input) error) map[string]bool {
		w := newWorld(t, 3, 4, clumsy, knowing)
		w.Credit, w.WinPairs = true, 6
		policy := asker(knowing)
		w.Models[1].Policy = stargate.NewQuestioner(policy, embedded(t), w.Config)
		if err := do(w.Input); err != nil {
			t.Fatal(err)
		}
		made := map[string]bool{}
		for name, s := range map[string]*lmtest.Script{"base": w.base, "roleplayer": w.roleplayer, "m1": policy} {
			for _, c := range s.Calls() {
				made[fmt.Sprintf("%s %+v", name, c)] = true
			}
		}
		return made
	}
	whole := calls(func(in Input) error { _, err := Run(context.Background(), in); return err })
	for _, size := range []int{1, 5, 12} {
		cut := calls(func(in Input) error {
			for from := 0; from < len(in.Test.Pairs); from += size {
				if err := Ask(context.Background(), in, from, min(from+size, len(in.Test.Pairs))); err != nil {
					return err
				}
			}
			return nil
		})
		if !maps.Equal(whole, cut) {
			t.Errorf("shards of %d pairs make %d different calls, the evaluation %d", size, len(cut), len(whole))
			for c := range whole {
				if !cut[c] {
					t.Logf("missing: %.300s", c)
					break
				}
			}
			for c := range cut {
				if !whole[c] {
					t.Logf("not wanted: %.300s", c)
					break
				}
			}
		}
	}
}
