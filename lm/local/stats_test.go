package local

import "testing"

// What the prefix cache is said to save is what an engine without it does more.
func TestSavedWorkIsDoneWithoutTheCache(t *testing.T) {
	const enough = 1 << 24 // nothing is preempted
	var with, without Stats
	for _, x := range []struct {
		o Options
		s *Stats
	}{{Options{Workers: 2, KVBytes: enough}, &with}, {Options{Workers: 2, KVBytes: enough, NoPrefixCache: true}, &without}} {
		m := newTestModel(t, x.o)
		answers(t, m, 24)
		*x.s = m.Stats()
	}
	if with.Reused == 0 || without.Reused != 0 || without.PrefixFLOPs != 0 {
		t.Errorf("reused %d tokens with the cache, %d without", with.Reused, without.Reused)
	}
	if with.Computed+with.Reused != without.Computed || with.Drawn != without.Drawn {
		t.Errorf("%d tokens computed and %d reused, without the cache %d computed", with.Computed, with.Reused, without.Computed)
	}
	if with.FLOPs+with.PrefixFLOPs != without.FLOPs || with.FLOPs == 0 {
		t.Errorf("%d operations and %d saved, without the cache %d", with.FLOPs, with.PrefixFLOPs, without.FLOPs)
	}
	if without.HeadFLOPs <= with.HeadFLOPs || with.HeadFLOPs == 0 {
		t.Errorf("heads left out: %d with the cache, %d without", with.HeadFLOPs, without.HeadFLOPs)
	}
	if sum := with.Plus(without); sum.FLOPs != with.FLOPs+without.FLOPs || sum.PrefixFLOPs != with.PrefixFLOPs || sum.Steps != with.Steps+without.Steps {
		t.Errorf("the sum of both is %+v", sum)
	}
}
