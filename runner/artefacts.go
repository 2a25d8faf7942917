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

// publishIteration seals the conversations of an iteration, which were published as its pairs
// went by. Where the ledger has become large, the texts of their calls move to the store too.
func (s *session) publishIteration(ctx context.Context, it *stargate.Iteration, by stargate.Questioner) error {
	if s.store == nil {
		return nil
	}
	if err := s.gathered[it.N].seal(ctx); err != nil || s.moved[it.N] {
		return err
	}
	return s.offload(ctx, it.N, by)
}

// offload moves the texts of an iteration's calls to the store, if the ledger has more calls
// than it should have texts. Which calls they are is found by going through the pairs again,
// which costs look-ups only.
func (s *session) offload(ctx context.Context, n int, by stargate.Questioner) error {
	totals, err := s.ledger.Totals(ctx)
	if err != nil {
		return err
	}
	calls, most := int64(0), s.storage.bodiesAbove()
	for _, t := range totals {
		calls += t.Made
	}
	moved, err := s.ledger.MovedCalls(ctx) // of earlier iterations
	if err != nil {
		return err
	}
	if calls-moved <= most {
		return nil
	}
	in := s.input()
	in.Observe = nil
	pairs := len(in.Split(n).Pairs)
	for k := 0; k*pairsPerShard < pairs; k++ {
		recording, recorder := ledger.Recording(ctx)
		from := k * pairsPerShard
		if err := in.Pairs(recording, n, by, from, min(from+pairsPerShard, pairs), func(int, stargate.Candidates, []stargate.Selected) error { return nil }); err != nil {
			return err
		}
		if _, err := shard.Offload(ctx, s.store, s.ledger, s.stage(n, "calls"), k, recorder.Keys()); err != nil {
			return err
		}
	}
	return nil
}
