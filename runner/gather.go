package runner

import (
	"context"
	"errors"
	"fmt"

	"stargate"
	"stargate/eval"
	"stargate/ledger/shard"
	"stargate/report"
)

// gathered is what a session keeps of an iteration whose pairs go by: numbers, a sample of its
// pairs, and where its conversations are in the store. An iteration of a million conversations
// needs little more memory than one of a thousand.
type gathered struct {
	n         int
	split     string
	dropped   map[string]int
	redrawn   map[string]int
	view      *report.Viewer
	selection *eval.Selection
	reward    *eval.Reward

	store   *shard.Store // nil: conversations are published nowhere, or are so already
	stage   string
	rows    []shard.Conversation // of the next shard
	pairs   int                  // in rows
	entries []shard.Entry
}

// gather is for [stargate.Input.Visit].
func (s *session) gather(ctx context.Context, n, i int, best stargate.Candidates, sel []stargate.Selected) error {
	if i == 0 {
		g, err := s.newGathered(ctx, n)
		if err != nil {
			return err
		}
		if s.gathered == nil {
			s.gathered = map[int]*gathered{}
		}
		s.gathered[n] = g
	}
	return s.gathered[n].add(ctx, i, best, sel)
}

func (s *session) newGathered(ctx context.Context, n int) (*gathered, error) {
	split, truth := s.split(n), s.truth()
	asks := fmt.Sprintf("m%d", n-1)
	g := &gathered{n: n, split: split.Name, dropped: map[string]int{}, redrawn: map[string]int{},
		view: report.NewViewer(n, split.Name, split.Pairs, truth, sampled), selection: eval.NewSelection(truth), reward: eval.NewReward(asks, split.Name, s.config.Seed, truth),
		store: s.store, stage: s.stage(n, "simulate")}
	if g.store == nil {
		return g, nil
	}
	_, err := g.store.Manifest(ctx, g.stage)
	switch {
	case errors.Is(err, shard.ErrNotExist):
		return g, nil
	case err != nil:
		return nil, err
	}
	g.store = nil // by an earlier session
	return g, nil
}

// split is that of iteration n.
func (s *session) split(n int) stargate.Split {
	return stargate.Input{A: s.data.A, B: s.data.B}.Split(n)
}

// truth is nil where it is not known.
func (s *session) truth() eval.Truth {
	if s.data.world == nil {
		return nil
	}
	return s.data.world
}

func (g *gathered) add(ctx context.Context, i int, best stargate.Candidates, sel []stargate.Selected) error {
	eval.Count([]stargate.Candidates{best}, g.dropped, g.redrawn)
	for _, s := range sel {
		if s.Outcome != stargate.Complete {
			g.dropped["response: "+string(s.Outcome)]++
		}
	}
	g.view.Add(i, best, sel)
	g.selection.Add(best)
	g.reward.Add(best)
	if g.store == nil {
		return nil
	}
	g.rows = append(g.rows, shard.Conversations(g.n, g.split, best, sel)...)
	if g.pairs++; g.pairs < pairsPerShard {
		return nil
	}
	return g.publish(ctx)
}

func (g *gathered) publish(ctx context.Context) error {
	e, err := shard.Publish(ctx, g.store, g.stage, len(g.entries), g.rows)
	if err != nil {
		return err
	}
	g.entries = append(g.entries, e)
	g.rows, g.pairs = g.rows[:0], 0
	return nil
}

// seal publishes the last shard, and the list of all.
func (g *gathered) seal(ctx context.Context) error {
	if g.store == nil {
		return nil
	}
	if g.pairs > 0 {
		if err := g.publish(ctx); err != nil {
			return err
		}
	}
	_, err := shard.Seal[shard.Conversation](ctx, g.store, g.stage, g.entries)
	return err
}
