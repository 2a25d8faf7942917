package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"stargate/ledger"
	"stargate/lm"
	"stargate/lm/local"
	"stargate/lm/remote"
)

// base is Q_BASE with every call and every fine-tune journaled.
type base struct {
	lm.Generator
	lm.Scorer
	digest  string
	weights *local.Model   // nil: they are on a server
	server  *remote.Client // nil: they are here
	trainer *otherTrainer  // nil: the embedded one, on weights
	models  *models

	scripted *Scripted // nil: there is something to train
}

// openBase is the base model of the session.
func (s *session) openBase() (*base, error) {
	b, err := s.models.base(&s.cast, s.experiment.Trainer)
	if err == nil {
		b.scripted = s.scripted
	}
	return b, err
}

func (s *models) base(c *cast, t TrainerSpec) (*base, error) {
	s.digests["m0"] = c.questioner.digest
	b := &base{
		Generator: s.ledger.Generator(s.role("questioner"), c.questioner.digest, c.questioner.model),
		Scorer:    s.ledger.Scorer(s.role("scorer"), c.scorer.digest, c.scorer.model),
		digest:    c.questioner.digest, weights: c.weights, models: s,
	}
	b.server, _ = c.questioner.model.(*remote.Client)
	var err error
	b.trainer, err = t.open(s, c)
	return b, err
}

// errNoWeights: a run would simulate, which may cost much, and could not train.
var errNoWeights = errors.New("trainer: the questioner is on a server, so the embedded trainer has no weights; give trainer: {base: DIR}, the model's directory, or trainer: {command: …}")

// tuned is what the ledger keeps of a fine-tune: the weights themselves are a directory.
type tuned struct {
	Digest string     `json:"digest"`
	Log    lm.TuneLog `json:"log"`
	Kind   string     `json:"kind,omitempty"`   // of what another trainer made
	Remote string     `json:"remote,omitempty"` // where that trainer's server samples it
	Notes  []string   `json:"notes,omitempty"`  // what a reader of the log should know
}

// A fine-tune that takes long keeps checkpoints beside the model it makes, until it is made.
const (
	trainingSuffix  = ".training"
	checkpointEvery = 30 * time.Second
)

// Tune makes models/<name>, or opens it if an earlier session finished it. The model is
// always read back from its directory, so that a resumed run uses the very same weights.
func (b *base) Tune(ctx context.Context, name string, examples []lm.Example, h lm.Hyper) (lm.Generator, lm.TuneLog, error) {
	fail := func(err error) (lm.Generator, lm.TuneLog, error) { return nil, lm.TuneLog{}, err }
	content := []any{"tune", b.digest, examples, h}
	if b.trainer != nil {
		content = append(content, b.trainer.identity)
	}
	key, err := digestList(content)
	if err != nil {
		return fail(err)
	}
	dir := b.models.place(name, key)
	done, err := ledger.Do(ctx, b.models.ledger, key, "tune "+name, func(ctx context.Context) (tuned, error) {
		made, err := b.makeTuned(ctx, name, key, dir, examples, h)
		if err != nil {
			return made, err
		}
		return made, b.models.keep(ctx, made.Digest, dir) // before others hear that it is there
	})
	if err != nil {
		return fail(err)
	}
	err = b.models.bring(ctx, name, done.Digest, dir)
	if errors.Is(err, errModelGone) && b.trainer == nil {
		err = b.trainAgain(ctx, name, dir, done.Digest, examples, h)
	}
	if err != nil {
		return fail(err)
	}
	if err := os.RemoveAll(dir + trainingSuffix); err != nil { // the ledger has the fine-tune now
		return fail(err)
	}
	policy, found, err := b.openTuned(ctx, name, dir, done)
	switch {
	case err != nil && b.trainer == nil:
		return fail(fmt.Errorf("%w; remove %s and run again: it is trained again from what the ledger holds", err, dir))
	case err != nil:
		return fail(err)
	case found != done.Digest:
		return fail(fmt.Errorf("%s is not the model this run made (digest %.12s…, the ledger has %.12s…): it was changed; remove it and run again", dir, found, done.Digest))
	}
	b.models.digests[name], b.models.notes[name], b.models.keys[name] = done.Digest, done.Notes, key
	if err := b.models.link(name, dir); err != nil {
		return fail(err)
	}
	return b.models.ledger.Generator(b.models.role(b.policyRole()), done.Digest, policy), done.Log, nil
}

// makeTuned makes the fine-tune in dir.
func (b *base) makeTuned(ctx context.Context, name, key, dir string, examples []lm.Example, h lm.Hyper) (tuned, error) {
	if b.scripted != nil {
		return b.scripted.note(name, key, dir, len(examples))
	}
	if b.trainer != nil {
		return b.trainer.train(ctx, name, key, dir, examples, h)
	}
	return b.train(ctx, name, dir, examples, h)
}

// train is the embedded trainer.
func (b *base) train(ctx context.Context, name, dir string, examples []lm.Example, h lm.Hyper) (tuned, error) {
	if b.weights == nil {
		return tuned{}, errNoWeights
	}
	out, log, err := b.weights.TuneWithCheckpoints(ctx, name, examples, h, local.Checkpoints{Dir: dir + trainingSuffix, Every: checkpointEvery, Step: b.models.watchSteps(name)})
	if err != nil {
		return tuned{}, err
	}
	m, ok := out.(*local.Model)
	if !ok {
		return tuned{}, fmt.Errorf("tune %s: unexpected model %T", name, out)
	}
	defer m.Close()
	return tuned{Digest: m.Digest(), Log: log}, publish(m, dir)
}

// trainAgain makes a finished model that is gone once more: the embedded trainer makes the same
// of the same.
func (b *base) trainAgain(ctx context.Context, name, dir, digest string, examples []lm.Example, h lm.Hyper) error {
	made, err := b.train(ctx, name, dir, examples, h)
	if err != nil || made.Digest == digest {
		return err
	}
	err = fmt.Errorf("model %s: %w, and trained again on this machine it came out otherwise (digest %.12s…, the ledger has %.12s…): bring it back, or begin the run anew with another --out", name, errModelGone, made.Digest, digest)
	return errors.Join(err, os.RemoveAll(dir))
}

// openTuned makes a fine-tuned policy ready to speak, and tells the digest of what it found.
func (b *base) openTuned(ctx context.Context, name, dir string, done tuned) (lm.Generator, string, error) {
	if b.scripted != nil {
		return b.scripted.open(dir)
	}
	if b.trainer != nil {
		return b.trainer.openTuned(ctx, b, name, dir, done)
	}
	m, err := local.OpenDir(dir, local.Options{Engine: b.models.engine})
	if err != nil {
		return nil, "", err
	}
	b.models.open = append(b.models.open, m)
	return m, m.Digest(), nil
}
