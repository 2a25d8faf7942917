package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"stargate"
	"stargate/ledger"
	"stargate/ledger/shard"
)

// artefact is a model's name in the store: its digest, so that it is published once whoever
// made it.
func artefact(digest string) string { return "models/" + digest }

// keep publishes a model that was made in dir.
func (s *models) keep(ctx context.Context, digest, dir string) error {
	if s.store == nil {
		return nil
	}
	_, err := s.store.PublishDirectory(ctx, artefact(digest), dir)
	return err
}

// errModelGone: a finished model is neither in its directory nor in a store.
var errModelGone = errors.New("it was made on another machine or removed")

// bring has the model of this digest in dir, which is a cache of the store: it may have been
// made on another machine.
func (s *models) bring(ctx context.Context, name, digest, dir string) error {
	_, err := os.Stat(dir)
	switch {
	case err == nil && s.store != nil:
		_, err := s.store.Directory(ctx, artefact(digest))
		if errors.Is(err, shard.ErrNotExist) { // made before the run had a store
			return s.keep(ctx, digest, dir)
		}
		return err
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("model %s: %w", name, err)
	case s.store == nil:
		return fmt.Errorf("model %s is finished, but %s is not there: %w. Bring it back, or give --store, where runs on several machines find their models", name, dir, errModelGone)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("model %s: %w", name, err)
	}
	if err := s.store.FetchDirectory(ctx, artefact(digest), dir); err != nil {
		return fmt.Errorf("model %s: %w", name, err)
	}
	return nil
}

// pairsPerShard is how many pairs a shard of conversations has: a megabyte or so.
const pairsPerShard = 100

// stage names one of iteration n in the store: "it1/simulate", or with the run's name before it
// where several runs share a store.
func (s *session) stage(n int, of string) string {
	name := fmt.Sprintf("it%d/%s", n, of)
	if s.shared {
		name = filepath.Base(s.dir) + "/" + name
	}
	return name
}

// publishIteration publishes the conversations of an iteration. Where the ledger has become
// large, the texts of their calls move to the store too.
func (s *session) publishIteration(ctx context.Context, it *stargate.Iteration, by stargate.Questioner) error {
	if s.store == nil {
		return nil
	}
	if err := publishConversations(ctx, s.store, s.stage(it.N, "simulate"), it); err != nil {
		return err
	}
	return s.offload(ctx, it.N, by)
}

func publishConversations(ctx context.Context, store *shard.Store, stage string, it *stargate.Iteration) error {
	if _, err := store.Manifest(ctx, stage); !errors.Is(err, shard.ErrNotExist) {
		return err // by an earlier session, or unreadable
	}
	selected := make(map[string][]stargate.Selected)
	for _, sel := range it.Selected {
		selected[sel.Pair.Key()] = append(selected[sel.Pair.Key()], sel)
	}
	var entries []shard.Entry
	for from := 0; from < len(it.Candidates); from += pairsPerShard {
		var rows []shard.Conversation
		for _, c := range it.Candidates[from:min(from+pairsPerShard, len(it.Candidates))] {
			rows = append(rows, shard.Conversations(it.N, it.Split, c, selected[c.Pair.Key()])...)
		}
		e, err := shard.Publish(ctx, store, stage, len(entries), rows)
		if err != nil {
			return err
		}
		entries = append(entries, e)
	}
	_, err := shard.Seal[shard.Conversation](ctx, store, stage, entries)
	return err
}

// offload moves the texts of an iteration's calls to the store, if the ledger has more calls
// than it should have texts. Which calls they are is found by going through the pairs again,
// which costs look-ups only.
func (s *session) offload(ctx context.Context, n int, by stargate.Questioner) error {
	totals, err := s.ledger.Totals(ctx)
	if err != nil {
		return err
	}
	var calls, most int64 = 0, s.storage.BodiesAbove
	if most == 0 {
		most = shard.Threshold
	}
	for _, t := range totals {
		calls += t.Made
	}
	if calls <= most {
		return nil
	}
	in := s.input()
	in.Observe = nil
	pairs := len(in.Split(n).Pairs)
	for k := 0; k*pairsPerShard < pairs; k++ {
		recording, recorder := ledger.Recording(ctx)
		from := k * pairsPerShard
		if err := in.Pairs(recording, n, by, from, min(from+pairsPerShard, pairs), func(int, stargate.Candidates, []stargate.Selected) {}); err != nil {
			return err
		}
		if _, err := shard.Offload(ctx, s.store, s.ledger, s.stage(n, "calls"), k, recorder.Keys()); err != nil {
			return err
		}
	}
	return nil
}
