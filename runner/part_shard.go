package runner

import (
	"context"
	"errors"
	"fmt"

	"stargate"
	"stargate/ledger"
	"stargate/ledger/shard"
)

// wholeShard tells whether the pairs from..to-1 of iteration n's split are one shard of its
// conversations in the store. Others are published by who makes the report.
func (p *Part) wholeShard(n, from, to int) bool {
	return p.session.store != nil && from%pairsPerShard == 0 && (to-from == pairsPerShard || to-from < pairsPerShard && to == len(p.in.Split(n).Pairs))
}

// publishShard does the pairs of a shard and publishes their conversations. Where the run is so
// large that bodies are kept only in shards, those of its calls go there too, so that the ledger
// never holds them all.
func (p *Part) publishShard(ctx context.Context, n int, asks Policy, from, to int, progress func(int)) (Tally, error) {
	s := p.session
	moves := s.movesBodies()
	var recorder *ledger.Recorder
	making := ctx
	if moves {
		making, recorder = ledger.Recording(ctx)
	}
	best, selected := make([]stargate.Candidates, to-from), make([][]stargate.Selected, to-from)
	t, err := p.converse(making, n, asks, from, to, progress, func(i int, c stargate.Candidates, sel []stargate.Selected) {
		best[i-from], selected[i-from] = c, sel
	})
	if err != nil {
		return t, err
	}
	var rows []shard.Conversation
	for i := range best {
		rows = append(rows, shard.Conversations(n, p.in.Split(n).Name, best[i], selected[i])...)
	}
	number := from / pairsPerShard
	if _, err := shard.Publish(ctx, s.store, s.stage(n, "simulate"), number, rows); err != nil {
		return t, err
	}
	if !moves {
		return t, nil
	}
	_, err = shard.Offload(ctx, s.store, s.ledger, s.stage(n, "calls"), number, recorder.Keys())
	return t, err
}

// publishedSelection is what was selected in iteration n, if workers have published all its
// conversations and these come to what the shards told. The stage is then sealed, and the ledger
// remembers what it holds: who makes the report reads it instead of millions of calls.
func (p *Part) publishedSelection(ctx context.Context, n int, asked Policy, chosen Tally, read func(pairs int)) (all []stargate.Selected, ok bool, err error) {
	s := p.session
	if s.store == nil {
		return nil, false, nil
	}
	pairs := p.in.Split(n).Pairs
	var t Tally
	var entries []shard.Entry
	for from := 0; from < len(pairs); from += pairsPerShard {
		rows, e, found, err := shard.Read[shard.Conversation](ctx, s.store, s.stage(n, "simulate"), len(entries))
		if err != nil || !found {
			return nil, false, err
		}
		some := pairs[from:min(from+pairsPerShard, len(pairs))]
		if e.Pairs != int64(len(some)) {
			return nil, false, nil
		}
		err = eachPair(some, rows, func(_ int, best stargate.Candidates, sel []stargate.Selected) error {
			t = t.Plus(tallyOf(best, sel))
			all = append(all, sel...)
			return nil
		})
		if err != nil {
			return nil, false, err
		}
		entries = append(entries, e)
		read(t.Pairs)
	}
	if t != chosen {
		return nil, false, nil // of another run of this name: what the ledger holds decides
	}
	m, err := shard.Seal[shard.Conversation](ctx, s.store, s.stage(n, "simulate"), entries)
	if err != nil {
		return nil, false, err
	}
	return all, true, s.ledger.Put(ctx, s.conversedKey(n, asked.Digest), conversed{m.Digest(), s.movesBodies()})
}

// conversed is what the ledger remembers of an iteration whose conversations workers have published.
type conversed struct {
	Shards string `json:"shards"` // digest of what the stage holds
	Moved  bool   `json:"moved"`  // the bodies of its calls are in shards too
}

// conversedKey is the document that is a [conversed].
func (s *session) conversedKey(n int, asked string) string {
	return fmt.Sprintf("published conversations: %s after %s", s.stage(n, "simulate"), asked)
}

// known is for [stargate.Input.Known]: what workers have published, if the ledger says so.
func (s *session) known(ctx context.Context, n int, visit func(i int, best stargate.Candidates, sel []stargate.Selected) error) (bool, error) {
	if s.store == nil {
		return false, nil
	}
	var c conversed
	found, err := s.ledger.Get(ctx, s.conversedKey(n, s.models.digests[fmt.Sprintf("m%d", n-1)]), &c)
	if err != nil || !found {
		return false, err
	}
	m, err := s.store.Manifest(ctx, s.stage(n, "simulate"))
	if errors.Is(err, shard.ErrNotExist) { // removed since: the ledger has all calls
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if m.Digest() != c.Shards {
		return false, fmt.Errorf("%w: iteration %d: the conversations in %s are others than those that were trained on", ErrTally, n, s.store)
	}
	if s.moved == nil {
		s.moved = map[int]bool{}
	}
	s.moved[n] = c.Moved
	return true, s.readConversations(ctx, m, s.split(n).Pairs, visit)
}

// readConversations visits what the conversations of a stage were made from, pair by pair.
func (s *session) readConversations(ctx context.Context, m shard.Manifest, pairs []stargate.Pair, visit func(i int, best stargate.Candidates, sel []stargate.Selected) error) error {
	at := 0
	var rows []shard.Conversation
	give := func() error {
		if at == len(pairs) {
			return fmt.Errorf("%w: the store has conversations of more pairs than the run", ErrTally)
		}
		err := eachPair(pairs[at:at+1], rows, func(_ int, best stargate.Candidates, sel []stargate.Selected) error { return visit(at, best, sel) })
		at, rows = at+1, rows[:0]
		return err
	}
	for r, err := range shard.Rows[shard.Conversation](ctx, s.store, m) {
		if err != nil {
			return err
		}
		if len(rows) > 0 && (r.Task != rows[0].Task || r.Persona != rows[0].Persona) {
			if err := give(); err != nil {
				return err
			}
		}
		rows = append(rows, r)
	}
	if err := give(); err != nil {
		return err
	}
	if at != len(pairs) {
		return fmt.Errorf("%w: the store has conversations of %d pairs of %d", ErrTally, at, len(pairs))
	}
	return nil
}

// eachPair visits what the rows of a shard, which are of these pairs in their order, were made
// from.
func eachPair(pairs []stargate.Pair, rows []shard.Conversation, visit func(i int, best stargate.Candidates, sel []stargate.Selected) error) error {
	for i, p := range pairs {
		n := 0
		for n < len(rows) && rows[n].Task == p.Task.ID && rows[n].Persona == p.Persona.ID {
			n++
		}
		best, sel, err := shard.Candidates(p, rows[:n])
		if err != nil {
			return err
		}
		if err := visit(i, best, sel); err != nil {
			return err
		}
		rows = rows[n:]
	}
	if len(rows) > 0 {
		return fmt.Errorf("%w: the store has conversations of pair %s/%s where the run has none", ErrTally, rows[0].Task, rows[0].Persona)
	}
	return nil
}

// movesBodies tells whether workers move the bodies of calls to the store as soon as a shard of
// pairs is done.
func (s *session) movesBodies() bool { return s.expectedCalls() > s.storage.bodiesAbove() }

// expectedCalls is how many calls the iterations of the run make, about: a question and an answer
// a turn, a score of every conversation, and the responses.
func (s *session) expectedCalls() (calls int64) {
	c := s.config
	pair := int64(c.Samples*(c.MaxTurns+1+1) + c.TopK) // K turns at most are (K+1)/2 on average
	for n := 1; n <= c.Iterations; n++ {
		calls += int64(len(s.split(n).Pairs)) * pair
	}
	return calls
}
